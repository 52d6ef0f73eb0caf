"""Simulators as text: whatever can be found again travels whole, and the rest is refused by name."""

import json

import jax
import numpy as np
import numpyro.distributions as dist
import pytest

from quincunx import gallery
from quincunx.errors import CannotTravel
from quincunx.lab import fingerprint
from quincunx.model import Prior, command, wrap
from quincunx.run.parcel import parcel_of, simulator_in

from ..engine_toys import BELL, PRIOR, decorated

COMMAND = command(
    PRIOR,
    argv=["awk", "BEGIN {{print 2 * {mu}}}"],
    outputs={"x": {"path": "stdout", "reader": "regex", "select": ".+"}},
    timeout=5.0,
)


@pytest.mark.parametrize("sent", [BELL, COMMAND, decorated, gallery.load("two_moons").simulator], ids=lambda s: s.name)
def test_what_arrives_is_the_same_simulator(sent):
    found = simulator_in(parcel_of(sent))
    assert (found.name, found.version, found.kind, found.batched) == (sent.name, sent.version, sent.kind, sent.batched)
    assert found.observables == sent.observables and found.units == sent.units
    assert fingerprint(found) == fingerprint(sent)
    theta = sent.prior.sample(key=1)
    assert jax.tree.all(jax.tree.map(np.array_equal, theta, found.prior.sample(key=1)))
    assert np.array_equal(found(theta, key=2), sent(theta, key=2))


def test_options_of_a_gallery_problem_travel():
    sent = gallery.load("gaussian_linear", dim=3).simulator
    assert simulator_in(parcel_of(sent)).outcome.dim == 3


def test_what_cannot_be_found_is_refused_with_advice():
    def local(theta, *, rng):
        return rng.normal(theta["mu"], 1.0, 2)

    for function in (local, lambda theta, *, rng: rng.normal(theta["mu"], 1.0, 2)):
        with pytest.raises(CannotTravel, match=r"'mine'.*move it to a file of its own"):
            parcel_of(wrap(function, PRIOR, name="mine"))


def test_code_that_is_gone_is_said_by_name():
    told = json.loads(parcel_of(decorated))
    told["function"] |= {"qualname": "no_such_function"}
    with pytest.raises(CannotTravel, match="'decorated' is not found here"):
        simulator_in(json.dumps(told))


def test_a_prior_that_cannot_be_written_down_is_refused_unless_it_is_found_with_the_simulator():
    class Odd(dist.Normal):
        pass

    from ..engine_toys import bell

    with pytest.raises(CannotTravel, match="a prior that cannot be written down"):
        parcel_of(wrap(bell, Prior(mu=Odd(0.0, 1.0)), name="odd"))
