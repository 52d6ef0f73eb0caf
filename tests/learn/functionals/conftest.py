"""One conjugate problem: theta ~ N(0, 1), x ~ N(theta, 1); posterior N(x / 2, 1 / 2), evidence N(0, 2)."""

import numpy as np
import pytest

N = 8192


@pytest.fixture(scope="session")
def pairs():
    """Draws of (theta, x), each (N, 1), float32."""
    rng = np.random.default_rng(0)
    theta = rng.normal(size=(N, 1))
    x = theta + rng.normal(size=(N, 1))
    return theta.astype(np.float32), x.astype(np.float32)
