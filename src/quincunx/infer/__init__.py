"""From simulations to answers: methods, estimators, posteriors, and the samplers behind them. Called, it infers."""

import lazy_loader

from quincunx._verb import make_callable

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["samplers"],
    submod_attrs={
        "asymptotic": ["asymptotic_set"],
        "calibrated": ["CalibratedRatio", "calibrate_ratio"],
        "conditional": ["ConditionalPosterior"],
        "confidence": ["ConfidenceSet"],
        "counted": ["SummaryRatio", "summary_ratio"],
        "direct": ["DirectEstimator", "DirectPosterior"],
        "estimator": ["Estimator"],
        "failing": ["Failures", "failures"],
        "fisher": [
            "complete_information",
            "full_information",
            "histogram_information",
            "rate_information",
            "rate_of_events",
        ],
        "fmpe": ["FMPE"],
        "gold_ratios": ["ALICE", "ALICES", "CARL", "CASCAL", "RASCAL", "ROLR"],
        "interval": ["hdi"],
        "indirect": ["PotentialEstimator", "PotentialPosterior"],
        "information": ["Information"],
        "likelihood": ["Likelihood"],
        "local_score": ["LocalScore", "learn_score"],
        "marginal": ["Marginal"],
        "maximum": ["Maximum", "maximum_likelihood"],
        "method": ["Method", "method_named", "method_names"],
        "misspecification": ["Familiarity", "Misspecification"],
        "neyman": ["NeymanBelt", "neyman_belt", "neyman_set"],
        "nle": ["NLE"],
        "npe": ["NPE"],
        "npse": ["NPSE"],
        "nre": ["NRE"],
        "posterior": ["Posterior"],
        "ratio": ["Ratio"],
        "ratio_to": ["RatioTo"],
        "refinement": ["refine"],
        "restriction": ["restrict"],
        "run": ["Run"],
        "sally": ["SALLINO", "SALLY"],
        "scandal": ["SCANDAL"],
        "scanned": ["Scan"],
        "scanning": ["profile", "scan"],
        "summarised": ["SummarisedPosterior", "summarise"],
        "summary": ["Summary"],
        "verb": ["infer"],
    },
)


def _infer(*arguments, **options):
    from quincunx.infer.verb import infer

    return infer(*arguments, **options)


make_callable(__name__, _infer)
