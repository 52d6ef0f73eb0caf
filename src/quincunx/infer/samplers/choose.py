"""Which sampler for which target: the rule that `sampler="auto"` follows."""

from typing import Literal

SAMPLERS = ("smc", "nuts", "slice", "smc+nuts")
SMC_LIMIT = 30
"""Above this dimension a few thousand particles no longer cover the reference, and gradient chains do better."""


def choose_sampler(dim: int, *, differentiable: bool = True) -> Literal["smc", "nuts", "slice"]:
    """Name the sampler for a target of dimension `dim`.

    1. Up to 30 dimensions: tempered SMC. It starts from the whole prior, so it finds separate modes and weighs them, and it gives the evidence.
       Its moves use the gradient if there is one.
    2. Above, with a gradient: NUTS from prior draws resampled by density. It does not move between separate modes; disagreement of the
       chains (R-hat) tells when there are several.
    3. Above, without a gradient: slice sampling, with the same caveat.

    >>> choose_sampler(5), choose_sampler(100), choose_sampler(100, differentiable=False)
    ('smc', 'nuts', 'slice')
    """
    if dim <= SMC_LIMIT:
        return "smc"
    return "nuts" if differentiable else "slice"
