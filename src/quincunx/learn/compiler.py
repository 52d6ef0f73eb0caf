"""Compiler options that make training programs compile sooner, asked for per function and never globally."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax

_ON_CPU = {"xla_cpu_use_fusion_emitters": False}


@functools.cache
def quick_options() -> dict[str, Any]:
    """Options under which a spline flow's gradient compiles a third sooner on a CPU and runs as fast; none elsewhere.

    A compiler that does not know them is found out by compiling a trivial function once.
    """
    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda x: x, compiler_options=_ON_CPU)(0.0)
    except Exception:  # whatever a later compiler says to an option it no longer has
        return {}
    return dict(_ON_CPU)


def quick_jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """`equinox.filter_jit` with `quick_options`, resolved at the first call so that importing starts no backend.

    >>> import jax.numpy as jnp
    >>> @quick_jit
    ... def double(x):
    ...     return 2 * x
    >>> float(double(jnp.array(2.0)))
    4.0
    """

    @functools.cache
    def compiled() -> Callable[..., Any]:
        return eqx.filter_jit(function, compiler_options=quick_options())

    @functools.wraps(function)
    def call(*args, **kwargs):
        return compiled()(*args, **kwargs)

    return call
