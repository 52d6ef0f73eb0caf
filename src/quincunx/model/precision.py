"""Scopes of one floating precision, whatever JAX's global flag says: it is never touched."""

import importlib
from typing import Any

import jax

__all__ = ["double_scope", "single_scope"]


def double_scope() -> Any:
    """A context in which JAX computes in float64, whatever the global flag says, and which leaves that flag alone.

    >>> with double_scope():
    ...     print(jax.numpy.ones(()).dtype)
    float64
    >>> jax.numpy.ones(()).dtype
    dtype('float32')
    """
    return _scope()(True)


def single_scope() -> Any:
    """A context in which JAX computes in float32: a network that was fitted so is evaluated so, inside a float64 calculation too.

    >>> with double_scope(), single_scope():
    ...     print(jax.numpy.ones(()).dtype)
    float32
    """
    return _scope()(False)


def _scope() -> Any:
    scope = getattr(jax, "enable_x64", None)
    return importlib.import_module("jax.experimental").enable_x64 if scope is None else scope
