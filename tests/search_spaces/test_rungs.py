from __future__ import annotations

import optuna
import pytest

from search_spaces.pruners.base import Rung
from study.planning import rungs, share_of_steps
from study.spec.study_spec import StudySpec
from tests.helpers.specs import TINY_BASE, tiny_spec


def pruned(trials: int, longest: int, **pruner: object) -> StudySpec:
    return tiny_spec(
        base={**TINY_BASE, "training": {**TINY_BASE["training"], "steps": longest}},
        space={"temperature": {"low": 0.05, "high": 1.0}},
        sampler={"kind": "random", "trials": trials},
        objective={"metric": "dev_accuracy"},
        pruner=pruner,
    )


def test_asha_by_hand() -> None:
    spec = pruned(27, 900, kind="asha", first_rung=100, reduction=3)
    assert rungs(spec) == [Rung(0, 100, 27), Rung(0, 300, 9), Rung(0, 900, 3)]
    assert share_of_steps(spec) == pytest.approx((27 * 100 + 9 * 200 + 3 * 600) / (27 * 900))


def test_the_last_rung_is_the_end_of_a_trial() -> None:
    assert [
        rung.steps for rung in rungs(pruned(8, 250, kind="asha", first_rung=100, reduction=2))
    ] == [100, 200, 250]
    assert [
        rung.steps for rung in rungs(pruned(8, 100, kind="asha", first_rung=100, reduction=2))
    ] == [100]


@pytest.mark.parametrize(
    ("first", "reduction", "longest"), [(10, 3, 810), (10, 3, 800), (100, 2, 100), (7, 4, 500)]
)
def test_hyperband_deals_trials_as_optuna_does(first: int, reduction: int, longest: int) -> None:
    spec = pruned(1000, longest, kind="hyperband", first_rung=first, reduction=reduction)
    pruner = spec.pruner.build(spec.longest)
    assert isinstance(pruner, optuna.pruners.HyperbandPruner)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner._try_initialization(optuna.create_study())
    dealt = pruner._trial_allocation_budgets
    first_rungs = [
        rung
        for index, rung in enumerate(rungs(spec))
        if index == 0 or rungs(spec)[index - 1].bracket != rung.bracket
    ]
    assert [rung.trials for rung in first_rungs] == pytest.approx(
        [1000 * share / sum(dealt) for share in dealt]
    )
    assert [rung.steps for rung in first_rungs] == [
        first * reduction**bracket for bracket in range(len(dealt))
    ]


def test_without_rungs_every_trial_counts_in_full() -> None:
    for pruner in ({"kind": "none"}, {"kind": "median"}, {"kind": "wilcoxon"}):
        spec = pruned(8, 100, **pruner)
        assert rungs(spec) == []
        assert share_of_steps(spec) == 1.0


def test_hyperbands_share_is_its_brackets_together() -> None:
    spec = pruned(90, 90, kind="hyperband", first_rung=10, reduction=3)
    by_bracket: dict[int, list[Rung]] = {}
    for rung in rungs(spec):
        by_bracket.setdefault(rung.bracket, []).append(rung)
    steps = 0.0
    for bracket in by_bracket.values():
        ends = [0, *(rung.steps for rung in bracket)]
        steps += sum(
            rung.trials * (rung.steps - before) for rung, before in zip(bracket, ends, strict=False)
        )
    assert len(by_bracket) == 3
    assert share_of_steps(spec) == pytest.approx(steps / (90 * 90))
