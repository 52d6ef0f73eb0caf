"""optuna proposes, our estimates judge: against the closed form of a straight line, and by what a constraint allows."""

import sys

import numpy as np
import pytest

from quincunx.design import Optuna, Space, choose, eig
from quincunx.errors import DesignOutsideSpace, MissingExtra, UsageError

from .toys import line, line_information

SPACE = Space(d=(0.0, 4.0))


def test_without_optuna_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtra, match=r"quincunx\[optuna\]"):
        choose(line, SPACE, optimiser="optuna", key=0)
    with pytest.raises(UsageError, match="trials"):
        Optuna(trials=0)
    with pytest.raises(UsageError, match="Space"):
        choose(line, {"d": [0.0, 1.0]}, optimiser=Optuna(), key=0)


def test_its_sampler_finds_where_most_is_learned_and_the_choice_is_judged_anew():
    search = Optuna(trials=30)
    choice = choose(line, SPACE, optimiser=search, n=256, inner=128, key=0)
    assert len(choice.curve) == 30 and choice.design["d"] > 3.5
    # estimated again with fresh draws: no optimiser's curse is left in it
    assert abs(choice.information.value - line_information(choice.design["d"])) < 3 * choice.information.se
    again = choose(line, SPACE, optimiser=search, n=256, inner=128, key=0)
    np.testing.assert_array_equal(again.curve.designs["d"], choice.curve.designs["d"])


def test_ask_and_tell_over_vectors_levels_and_constraints():
    space = Space(
        times=(0.0, 1.0, 3), kind=["a", "b"], increasing=["times"], constraints=[lambda d: d["times"][0] > 0.2]
    )
    search = Optuna()
    study = search.begin(key=3)
    for _ in range(12):
        trial, design = search.ask(study, space)
        assert space.allows(design) and design["times"] == tuple(sorted(design["times"]))
        search.tell(study, trial, (design["times"][2] + design["kind"], 0.1))
    search.tell(study, search.ask(study, space)[0], float("nan"))
    states = [trial.state.name for trial in study.trials]
    assert states.count("COMPLETE") == 12 and states.count("FAIL") == 1 and "PRUNED" in states
    assert study.best_trial.user_attrs == {"se": 0.1}
    with pytest.raises(DesignOutsideSpace, match="loosen"):
        search.ask(study, space, constraint=lambda design: False)


def test_a_sampler_of_its_own_and_what_it_recommends():
    import optuna

    found = Optuna(sampler=optuna.samplers.RandomSampler(seed=1), trials=16).maximise(
        lambda design: eig(line, design, n=128, inner=128, key=5), SPACE, key=0
    )
    assert found.design["d"] > 3.0 and len(found.values) == 16 and np.all(found.errors[found.values > 0.1] > 0)
