"""From simulations to answers: methods, estimators, posteriors, and the samplers behind them. Called, it infers."""

import lazy_loader

from quincunx._verb import make_callable

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["samplers"],
    submod_attrs={
        "conditional": ["ConditionalPosterior"],
        "direct": ["DirectEstimator", "DirectPosterior"],
        "estimator": ["Estimator"],
        "failing": ["Failures", "failures"],
        "fmpe": ["FMPE"],
        "interval": ["hdi"],
        "indirect": ["PotentialEstimator", "PotentialPosterior"],
        "marginal": ["Marginal"],
        "method": ["Method", "method_named", "method_names"],
        "misspecification": ["Familiarity", "Misspecification"],
        "nle": ["NLE"],
        "npe": ["NPE"],
        "npse": ["NPSE"],
        "nre": ["NRE"],
        "posterior": ["Posterior"],
        "ratio": ["Ratio"],
        "refinement": ["refine"],
        "restriction": ["restrict"],
        "run": ["Run"],
        "summary": ["Summary"],
        "verb": ["infer"],
    },
)


def _infer(*arguments, **options):
    from quincunx.infer.verb import infer

    return infer(*arguments, **options)


make_callable(__name__, _infer)
