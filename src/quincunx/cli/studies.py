"""The text of a new study: one to begin from, one of a gallery problem, or a file with a simulator made into one."""

from pathlib import Path

from quincunx.cli.source import read_source, studies_in

_OWN = '''\
"""How long does the source live? Counts of decays in twelve hours."""

import jax
import jax.numpy as jnp
import numpyro.distributions as dist

import quincunx as qx

# What is believed before the experiment: any continuous NumPyro distribution by name.
prior = qx.Prior(rate=dist.LogNormal(3.0, 1.0), lifetime=dist.Uniform(1.0, 20.0), units={"lifetime": "hours"})


# What theory says would happen. With `key` it is a JAX function, compiled and vectorised; with `rng`, a NumPy generator, plain Python.
# A program in any language is made a simulator by qx.command(prior, argv=[...], outputs={...}).
@qx.simulator(prior, observables="counts")
def simulator(theta, *, key, design=None):
    expected = theta["rate"] * jnp.exp(-jnp.arange(12.0) / theta["lifetime"])
    return jax.random.poisson(key, expected).astype(float)


# What did happen: numbers, the path of a CSV, JSON or NPY file beside this one, or a function that gives either.
experiment = [31.0, 24, 27, 13, 18, 9, 11, 6, 8, 4, 3, 5]

study = qx.Study(
    simulator,
    experiment,
    method="npe",  # or nle, nre, ratio, fmpe, npse, auto; alices for a simulator with gold; or an object with options such as qx.NPE(members=3)
    budget=4_000,  # simulations
    key=0,  # every random number follows from it
)
'''

_GALLERY = '''\
"""{title}"""

import quincunx as qx

# A worked problem of the gallery, with its simulator, prior and observations.
problem = qx.gallery.load("{name}")

study = qx.Study(
    problem.simulator,
    # What did happen: here the problem's first observation; numbers, or the path of a file beside this one, will do as well.
    experiment=lambda: problem.observation(1),
    method="{method}",  # or another of: npe, nle, nre, ratio, fmpe, npse, auto, alices
    budget=4_000,  # simulations
    key=0,  # every random number follows from it
)
'''

_ADDED = """

import quincunx as qx  # noqa: E402

study = qx.Study(
    {simulator},
    experiment=None,  # what did happen: numbers, the path of a CSV, JSON or NPY file beside this one, or a function that gives either
    method="npe",  # or nle, nre, ratio, fmpe, npse, auto; alices for a simulator with gold; or an object with options such as qx.NPE(members=3)
    budget=4_000,  # simulations
    key=0,  # every random number follows from it
)
"""


def study_text(source: str | None) -> str:
    """A study.py: one of one's own to change, or one of the problem or file that ``source`` names.

    Raises:
        UnknownProblem, UsageError, SimulatorError: as ``read_source``.

    >>> print(study_text("two_moons").splitlines()[0])
    \"""Two crescents\"""
    """
    if source is None:
        return _OWN
    found = read_source(source)
    if found.module is None:
        # Networks that read single outcomes do not take sets of events, likelihoods do.
        method = "npe" if found.problem.events is None else "nle"
        return _GALLERY.format(title=found.problem.title.replace('"', "'"), name=found.text, method=method)
    text = Path(source).read_text(encoding="utf-8")
    if studies_in(found.module):
        return text
    name = next(name for name, value in vars(found.module).items() if value is found.simulator)
    return text.rstrip("\n") + "\n" + _ADDED.format(simulator=name)
