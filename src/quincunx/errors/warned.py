"""Every way to be warned, by name."""

__all__ = [
    "AsymptoticWarning",
    "CalibrationWarning",
    "ConstantColumnWarning",
    "EnsembleSpreadWarning",
    "FailureWarning",
    "FewSimulationsWarning",
    "MisspecificationWarning",
    "PromotionWarning",
    "QuincunxWarning",
    "RecoveryWarning",
    "SamplerWarning",
]


class QuincunxWarning(UserWarning):
    """Anything Quincunx warns about."""


class ConstantColumnWarning(QuincunxWarning):
    """A column with no variance, which carries no information."""


class FailureWarning(QuincunxWarning):
    """Some simulations failed; they are kept, marked and counted."""


class FewSimulationsWarning(QuincunxWarning):
    """So few simulations that the answer will be poor."""


class RecoveryWarning(QuincunxWarning):
    """Something in a run's folder had to be mended: what was found and what was done."""


class PromotionWarning(QuincunxWarning):
    """An array was given a shape or dtype it did not come with, to make it usable."""


class MisspecificationWarning(QuincunxWarning):
    """An observation unlike anything that was simulated."""


class SamplerWarning(QuincunxWarning):
    """Draws whose own diagnostics say they should not be trusted as they are."""


class CalibrationWarning(QuincunxWarning):
    """An answer whose stated probabilities do not match frequencies."""


class AsymptoticWarning(QuincunxWarning):
    """Confidence sets from the large-sample law of the likelihood ratio where it need not hold: few events, or a maximum on a bound."""


class EnsembleSpreadWarning(QuincunxWarning):
    """Members of an ensemble that disagree, over all events together, by as much as the data can tell."""
