"""Any number of observations and draws through functions compiled for few shapes."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from quincunx.infer.sets import padded_size

ROWS = 16_384
"""How many rows one compiled call handles: enough to be fast, few enough to fit any memory."""


def chunk_of(n: int) -> int:
    """The number of rows an observation gets in one compiled call when it needs n."""
    return min(padded_size(n), ROWS)


def in_blocks(function: Callable[..., Any], batched: tuple[Any, ...], *, rows: int) -> np.ndarray:
    """Apply `function` to blocks of observations of one size, the last one padded by repetition.

    `batched` are arrays with a leading axis of observations; `rows` is how many rows each of them costs. Blocks are cut and joined on the
    host, where that needs no compilation.

    >>> in_blocks(lambda a: 2 * a, (np.arange(5.0),), rows=ROWS // 2).tolist()
    [0.0, 2.0, 4.0, 6.0, 8.0]
    """
    b = len(batched[0])
    size = min(padded_size(b), max(1, ROWS // rows))
    count = -(-b // size)
    index = np.minimum(np.arange(count * size), b - 1)
    parts = [
        np.asarray(function(*(a if b == size else a[index[i * size : (i + 1) * size]] for a in batched)))
        for i in range(count)
    ]
    return (parts[0] if count == 1 else np.concatenate(parts))[:b]


def over_rows(
    function: Callable[..., Any], rows: Float[Array | np.ndarray, "b n d"], batched: tuple[Any, ...]
) -> Float[np.ndarray, "b n"]:
    """Apply `function(rows, *batched)` -> (b, n) in chunks of rows and blocks of observations."""
    rows = np.asarray(rows, np.float32)
    n = rows.shape[1]
    chunk = chunk_of(n)
    count = -(-n // chunk)
    padded = np.pad(rows, ((0, 0), (0, count * chunk - n), (0, 0)), mode="edge")
    parts = [in_blocks(function, (padded[:, c * chunk : (c + 1) * chunk], *batched), rows=chunk) for c in range(count)]
    return (parts[0] if count == 1 else np.concatenate(parts, axis=1))[:, :n]
