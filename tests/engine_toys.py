"""Simulators that worker processes find by their place in this file."""

import os
import signal
import time

import numpyro.distributions as dist

from quincunx.model import Prior, simulator, wrap

PRIOR = Prior(mu=dist.Normal(0.0, 1.0))


def bell(theta, *, rng, design=None):
    shift = 0.0 if design is None else float(design["shift"])
    return rng.normal(theta["mu"] + shift, 1.0, 2)


def deadly(theta, *, rng):
    if theta["mu"] > 1.5:
        os.kill(os.getpid(), signal.SIGKILL)
    return rng.normal(theta["mu"], 1.0, 2)


def sticky(theta, *, rng):
    if theta["mu"] > 1.5:
        time.sleep(1000)
    return rng.normal(theta["mu"], 1.0, 2)


def picky(theta, *, rng):
    if theta["mu"] > 0.0:
        raise ValueError("no root")
    return rng.normal(theta["mu"], 1.0, 2)


def drowsy(theta, *, rng):
    time.sleep(0.02)
    return rng.normal(theta["mu"], 1.0, 2)


def together(theta, *, rngs):
    return [rng.normal(mu, 1.0, 2) for mu, rng in zip(theta["mu"], rngs)]


BELL = wrap(bell, PRIOR, name="bell", observables=["left", "right"], units="m", version="3")
DEADLY = wrap(deadly, PRIOR, name="deadly")
STICKY = wrap(sticky, PRIOR, name="sticky")
PICKY = wrap(picky, PRIOR, name="picky")
DROWSY = wrap(drowsy, PRIOR, name="drowsy")
TOGETHER = wrap(together, PRIOR, name="together")


@simulator(PRIOR)
def decorated(theta, *, rng):
    return rng.normal(theta["mu"], 1.0, 2)
