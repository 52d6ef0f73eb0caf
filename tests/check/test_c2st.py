"""C2ST by the benchmark's definition."""

import sys

import numpy as np
import pytest

from quincunx.check import c2st
from quincunx.errors import MissingExtra, ShapeMismatch, UsageError

pytest.importorskip("sklearn")


def benchmark_c2st(first, second, seed=1, n_folds=5):
    """The published definition, spelled out with scikit-learn's own cross-validation (2101.04653)."""
    from sklearn.model_selection import KFold, cross_val_score
    from sklearn.neural_network import MLPClassifier

    mean, spread = first.mean(axis=0), first.std(axis=0, ddof=1)
    first, second = (first - mean) / spread, (second - mean) / spread
    dim = first.shape[1]
    network = MLPClassifier(
        activation="relu", hidden_layer_sizes=(10 * dim, 10 * dim), max_iter=10000, solver="adam", random_state=seed
    )
    data = np.concatenate((first, second))
    target = np.concatenate((np.zeros(len(first)), np.ones(len(second))))
    folds = KFold(n_splits=n_folds, shuffle=True, random_state=seed)
    return np.mean(cross_val_score(network, data, target, cv=folds, scoring="accuracy"))


def test_agrees_with_the_benchmark_to_the_last_digit():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(120, 2)).astype(np.float32)
    second = (0.7 * rng.normal(size=(120, 2)) + 0.3).astype(np.float32)
    assert c2st(first, second) == benchmark_c2st(first, second)


def test_the_null_is_one_half():
    rng = np.random.default_rng(1)
    score = c2st(rng.normal(size=(200, 2)), rng.normal(size=(200, 2)))
    # 400 held-out labels: standard error 0.025
    assert abs(score - 0.5) < 4 * 0.025


def test_fewer_folds_estimate_the_same():
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(200, 1)), 1.5 + rng.normal(size=(200, 1))
    # the best classifier reaches Phi(0.75) = 0.773; 80 held-out labels: standard error 0.047
    assert abs(c2st(first, second, folds_used=1) - 0.773) < 4 * 0.047


def test_scaled_by_the_reference_only():
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(100, 1)), rng.normal(size=(100, 1)) + 1
    assert c2st(first, second, folds_used=1) == c2st(1024 * first, 1024 * second, folds_used=1)


def test_bad_input_is_refused():
    with pytest.raises(ShapeMismatch, match="dimension 2 and 3"):
        c2st(np.zeros((10, 2)), np.zeros((10, 3)))
    with pytest.raises(UsageError, match="1 to 5"):
        c2st(np.zeros((10, 2)), np.zeros((10, 2)), folds_used=0)


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.model_selection", None)
    with pytest.raises(MissingExtra, match=r"quincunx\[bench\]"):
        c2st(np.zeros((10, 2)), np.zeros((10, 2)))
