"""Exports hold what the shards hold, appear whole, and replace nothing."""

import numpy as np
import pytest

from quincunx.errors import OutputNotEmpty
from quincunx.infer.export import to_datatree as posterior_tree
from quincunx.lab.export import to_datatree, to_parquet, to_zarr
from quincunx.run import ShardedSimulations, Simulations, write_shard

rng = np.random.default_rng(0)


def simulations(kind: str, n: int = 20) -> Simulations:
    theta = {"mu": rng.normal(size=n), "shape": rng.normal(size=(n, 2))}
    if kind == "keyed":
        x = {"mu": rng.normal(size=(n, 2)), "image": rng.normal(size=(n, 2, 2))}
        return Simulations.of(theta, x, design={"beam": rng.normal(size=n)}, latents={"z": rng.integers(0, 3, (n, 2))})
    if kind == "events":
        return Simulations.of(theta, rng.normal(size=(n, 4, 2)), events=True)
    return Simulations.of(theta, np.where(np.arange(n)[:, None] == 3, np.nan, rng.normal(size=(n, 3))))


@pytest.fixture(params=["plain", "keyed", "events"])
def run(request, tmp_path):
    """Two rounds in shards of different sizes."""
    sims = simulations(request.param)
    parts = [(sims[:8], 0), (sims[8:13], 0), (simulations(request.param, 7), 1)]
    return ShardedSimulations.of(tmp_path, [write_shard(part, tmp_path, key=0, round=r) for part, r in parts])


def test_zarr(run, tmp_path):
    zarr = pytest.importorskip("zarr")
    store = zarr.open_group(to_zarr(run, tmp_path / "run.zarr"), mode="r")
    sims = run.load()
    np.testing.assert_array_equal(store["theta/shape"][:], sims.theta["shape"])
    assert store["theta/shape"].chunks == (8, 2)
    np.testing.assert_array_equal(store["status"][:], sims.status)
    np.testing.assert_array_equal(store["index"][:], sims.index)
    np.testing.assert_array_equal(store["round"][:], [0] * 13 + [1] * 7)
    if sims.outcome.keyed:
        np.testing.assert_array_equal(store["x/image"][:], sims.x["image"])
        np.testing.assert_array_equal(store["latents/z"][:], sims.latents["z"])
        np.testing.assert_array_equal(store["design/beam"][:], sims.design["beam"])
    else:
        np.testing.assert_array_equal(store["x"][:], sims.x)
    assert store.attrs["parameters"] == ["mu", "shape"] and store.attrs["columns"] == list(sims.outcome.columns)


def test_parquet(run, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    file = parquet.ParquetFile(to_parquet(run, tmp_path / "run.parquet"))
    table, sims = file.read(), run.load()
    each = 4 if sims.events else 1
    assert file.num_row_groups == 3 and table.num_rows == 20 * each
    np.testing.assert_array_equal(table["simulation"], np.repeat(sims.index, each))
    np.testing.assert_array_equal(table["shape[1]"], np.repeat(sims.theta["shape"][:, 1], each))
    np.testing.assert_array_equal(table["status"], np.repeat(sims.status, each))
    flat = sims.x_flat().reshape(20 * each, -1)
    names = [
        name
        for name in table.column_names
        if name not in ("round", "simulation", "event", "status", "mu", "shape[0]", "shape[1]", "beam")
    ]
    np.testing.assert_array_equal(np.stack([table[name] for name in names], axis=1), flat)


def test_a_number_of_x_called_like_a_parameter(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    sims = Simulations.of({"mu": np.zeros(2), "x[0]": np.ones(2)}, np.full((2, 2), 7.0))
    run = ShardedSimulations.of(tmp_path, [write_shard(sims, tmp_path, key=0)])
    table = parquet.read_table(to_parquet(run, tmp_path / "run.parquet"))
    assert table.column_names[-4:] == ["mu", "x[0]", "x.x[0]", "x[1]"]


def test_datatree(run):
    sims = run.load()
    more = posterior_tree({"mu": np.zeros(5)}, prior={"mu": np.ones(5)}, observed={"x": np.ones(3)})
    tree = to_datatree(sims, posterior=more)
    groups = {"prior", "prior_predictive", "sample_stats_prior", "posterior", "observed_data"}
    assert set(tree.children) == groups | ({"prior_constant_data"} if sims.design is not None else set())
    np.testing.assert_array_equal(tree["prior"]["shape"].values[0], sims.theta["shape"])
    x = sims.x["image"] if sims.outcome.keyed else sims.x
    np.testing.assert_array_equal(tree["prior_predictive"]["image" if sims.outcome.keyed else "x"].values[0], x)
    np.testing.assert_array_equal(tree["sample_stats_prior"]["status"].values[0], sims.status)


@pytest.mark.parametrize(("write", "module"), [(to_zarr, "zarr"), (to_parquet, "pyarrow")])
def test_nothing_is_replaced_and_nothing_half_written_stays(run, tmp_path, write, module):
    pytest.importorskip(module)
    write(run, tmp_path / "out")
    with pytest.raises(OutputNotEmpty):
        write(run, tmp_path / "out")
    run.paths()[-1].unlink()
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(Exception, match="not a file"):
        write(run, tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
