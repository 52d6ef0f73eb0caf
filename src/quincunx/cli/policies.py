"""Policies from the command line: learned with the designs that they must beat, kept in files, and followed by a loop."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from quincunx.cli.progress import progress
from quincunx.design import Policy, PolicyComparison, RandomDesigns, compare_policies, train_policy
from quincunx.design.density import has_density
from quincunx.errors import Interrupted, UsageError
from quincunx.lab.study import Study
from quincunx.values import load

ADAPTIVE, STATIC, RANDOM = "adaptive", "static", "random"
"""The policy that is learned, and the designs beside which it is shown."""
OPTIONS = ("outer", "inner", "learning_rate", "width", "method", "gradient")
"""What `--set` says of the training."""
OUTER = 128
"""Campaigns in a step, unless said."""

# Designs decided beforehand are a table of a few numbers, which is learned in fewer and longer steps than a network; but never in so few that what
# is to be beaten has not been learned.
_FEWER, _LEAST, _LONGER = 4, 512, 3e-2


def read_policy(path: Path) -> Policy:
    """The policy in a file.

    Raises:
        UsageError: for a file of something else. DataFileError, CorruptFile, UnsafeFile and others: as `quincunx.load`.
    """
    found = load(path)
    if not isinstance(found, Policy):
        raise UsageError(
            f"got a {type(found).__name__} in {path}; expected a policy; learn one with: quincunx policy SOURCE --out FILE.qx"
        )
    return found


def following(study: Study, policy: Policy, *, rounds: bool) -> Study:
    """The same study, whose loop follows a policy; of as many experiments as the policy plans unless `rounds` are said elsewhere.

    Raises:
        UsageError: for a policy of another simulator, space or number of events, or of fewer rounds.
    """
    assert study.designer is not None
    horizon = {} if rounds else {"rounds": policy.rounds}
    return dataclasses.replace(study, designer=dataclasses.replace(study.designer, policy=policy, **horizon))


def learned(study: Study, *, budget: int, options: Mapping[str, Any], key: int) -> dict[str, Any]:
    """A policy for a study's loop from `budget` simulated campaigns, and beside it designs fixed beforehand and drawn at random, by name.

    Without a likelihood every one of them is learned with a critic, by which it is judged.

    Raises:
        UsageError: for an option that training does not have, or a budget below one step; and as `train_policy`. Interrupted: by Ctrl-C.
    """
    designer = study.designer
    assert designer is not None
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise UsageError(
            f"a policy's training has no setting {', '.join(unknown)}; it has {', '.join(sorted(OPTIONS))}"
        )
    if callable(designer.events):
        raise UsageError(
            "got events by design; expected as many in every experiment, which is what a policy learns from; give --events N"
        )
    options = {"outer": OUTER, **options}
    steps = budget // options["outer"] if isinstance(options["outer"], int) and options["outer"] > 0 else 0
    if not steps:
        raise UsageError(
            f"got a budget of {budget} campaigns at outer={options['outer']} in a step; expected at least one step; give a larger --budget"
        )
    shape = {"rounds": designer.rounds, "events": designer.events, "key": key}

    def train(designs: Any, **settings: Any) -> Policy:
        with progress(f"learning {designs} designs") as tell:
            made = _trained(study, designs, {**options, **shape, **settings}, tell)
        if made.surrogate.stopped == "interrupted":
            raise Interrupted("training was stopped, and nothing is written")
        return made

    exact = has_density(study.simulator) and options.get("method", "auto") in ("auto", "likelihood")
    fewer = {"steps": max(_LEAST, steps // _FEWER), "learning_rate": _LONGER} if exact else {"steps": steps}
    return {
        ADAPTIVE: train(ADAPTIVE, steps=steps),
        STATIC: train(STATIC, **fewer),
        RANDOM: RandomDesigns(designer.space) if has_density(study.simulator) else train(RANDOM, steps=steps),
    }


def _trained(study: Study, designs: str, options: dict[str, Any], tell: Callable[[dict[str, Any]], None]) -> Policy:
    assert study.designer is not None
    try:
        return train_policy(study.simulator, study.designer.space, designs=designs, progress=tell, **options)
    except (TypeError, ValueError) as error:
        raise UsageError(f"a policy cannot be trained with these settings ({error})") from error


def judged(study: Study, policies: Mapping[str, Any], *, campaigns: int, draws: int, key: int) -> PolicyComparison:
    """What each of them teaches in all, on the same campaigns, which none was learned from."""
    designer = study.designer
    assert designer is not None and not callable(designer.events)
    return compare_policies(
        study.simulator, policies, rounds=designer.rounds, events=designer.events, n=campaigns, inner=draws, key=key
    )
