from __future__ import annotations

import random
from pathlib import Path
from statistics import fmean
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from cpc_core.report import FinalOutcome
from search_spaces.samplers.base import POINT
from search_spaces.samplers.replicate_mean import PointSampler, PointView, observation
from study.dispatch.dispatcher import Dispatcher
from study.dispatch.trial_spec import TrialSpec
from tests.helpers.specs import tiny_spec
from tests.helpers.studies import opened

COMPLETE, PRUNED, FAIL, RUNNING, WAITING = (
    TrialState.COMPLETE,
    TrialState.PRUNED,
    TrialState.FAIL,
    TrialState.RUNNING,
    TrialState.WAITING,
)


RANGE: dict[str, Any] = {"temperature": {"low": 0.0, "high": 1.0}}


def replicate(
    state: TrialState, value: float | None = None, reported: dict[int, float] | None = None
) -> FrozenTrial:
    if state == WAITING:
        return create_trial(state=state)
    return create_trial(
        state=state,
        value=value,
        params={"x": 0.5},
        distributions={"x": FloatDistribution(0, 1)},
        intermediate_values=reported or {},
    )


@pytest.mark.parametrize(
    ("trials", "state", "value"),
    [
        ([replicate(COMPLETE, 1.0), replicate(COMPLETE, 4.0)], COMPLETE, 2.5),
        ([replicate(RUNNING), replicate(WAITING)], RUNNING, None),
        ([replicate(COMPLETE, 1.0), replicate(WAITING)], COMPLETE, 1.0),
        ([replicate(RUNNING), replicate(COMPLETE, 3.0)], COMPLETE, 3.0),
        ([replicate(PRUNED, 9.0, {1: 9.0}), replicate(COMPLETE, 3.0)], COMPLETE, 3.0),
        (
            [replicate(FAIL), replicate(COMPLETE, 3.0), replicate(PRUNED, 9.0, {1: 9.0})],
            COMPLETE,
            3.0,
        ),
        ([replicate(PRUNED, 9.0, {1: 9.0}), replicate(WAITING)], RUNNING, None),
        ([replicate(FAIL), replicate(RUNNING)], RUNNING, None),
        ([replicate(FAIL), replicate(PRUNED, 9.0, {1: 9.0})], PRUNED, None),
        ([replicate(FAIL), replicate(FAIL)], FAIL, None),
    ],
)
def test_a_point_is_the_mean_of_what_is_complete(
    trials: list[FrozenTrial], state: TrialState, value: float | None
) -> None:
    seen = observation(trials)
    assert (seen.state, seen.value, seen.params) == (state, value, {"x": 0.5})


def test_a_point_pruned_with_every_seed_keeps_the_mean_of_its_reports() -> None:
    trials = [
        replicate(PRUNED, 4.0, {10: 2.0, 20: 4.0}),
        replicate(PRUNED, 4.0, {10: 4.0}),
        replicate(FAIL, None, {10: 99.0, 30: 99.0}),
    ]
    assert observation(trials).intermediate_values == {10: 3.0, 20: 4.0}


def test_seeing_a_point_changes_no_trial() -> None:
    trials = [replicate(COMPLETE, 1.0), replicate(COMPLETE, 4.0)]
    observation(trials)
    assert [trial.value for trial in trials] == [1.0, 4.0]


def noisy_spec(points: int, seeds: int, **changes: Any) -> Any:
    return tiny_spec(
        space=RANGE | {"negatives": ["cross", "local"]},
        sampler={"kind": "tpe", "trials": points, "startup_trials": 4},
        seeds=list(range(seeds)),
        **changes,
    )


def what_the_sampler_sees(store: Dispatcher) -> list[FrozenTrial]:
    sampler = store._study.sampler
    assert isinstance(sampler, PointSampler)
    with sampler.points.refreshed():
        pass
    return sampler.points._get_trials()


def tell(store: Dispatcher, assignment: TrialSpec, noise: random.Random) -> None:
    """Ends a trial as chance has it."""
    outcome: FinalOutcome = noise.choice(
        ["complete", "complete", "complete", "pruned", "diverged", "failed"]
    )
    store.report(assignment.number, 10, {"dev_map": noise.random()})
    store.tell(
        assignment.number, outcome, {"dev_map": noise.random()} if outcome == "complete" else {}, ""
    )


def content(trials: list[FrozenTrial]) -> list[tuple[Any, ...]]:
    return [
        (trial.number, trial.state, trial.values, trial.params, trial.intermediate_values)
        for trial in trials
    ]


def by_hand(store: Dispatcher) -> list[tuple[Any, ...]]:
    """The points as their definition has them, of those that a sampler takes notice of."""
    points: dict[int, list[FrozenTrial]] = {}
    for trial in store._frozen():
        points.setdefault(trial.user_attrs.get(POINT, trial.number), []).append(trial)
    return content(
        [seen for group in points.values() if (seen := observation(group)).state != FAIL]
    )


def test_a_sampler_sees_each_point_once_at_the_mean_of_its_seeds(tmp_path: Path) -> None:
    with opened(tmp_path, noisy_spec(6, 3)) as store:
        values: dict[float, list[float]] = {}
        while (assignment := store.ask()) is not None:
            value = 0.1 * assignment.number
            store.tell(assignment.number, "complete", {"dev_map": value})
            values.setdefault(float(assignment.sample["temperature"] or 0), []).append(value)
        seen = what_the_sampler_sees(store)
    assert [len(each) for each in values.values()] == [3] * 6
    assert [(trial.params["temperature"], trial.value) for trial in seen] == [
        (x, fmean(each)) for x, each in values.items()
    ]


def test_what_is_folded_away_is_what_reading_everything_gives_also_after_a_resume(
    tmp_path: Path,
) -> None:
    noise, spec = random.Random(5), noisy_spec(25, 3, resources={"concurrent_trials": 4})
    running: list[TrialSpec] = []
    for _ in range(4):
        with opened(tmp_path, spec) as store:
            # A driver that takes over hands out again what the killed one left running.
            running = [again for _ in running if (again := store.ask()) is not None]
            for _ in range(20):
                while len(running) < 4 and (assignment := store.ask()) is not None:
                    running.append(assignment)
                if not running:
                    break
                tell(store, running.pop(noise.randrange(len(running))), noise)
                assert [
                    each for each in content(what_the_sampler_sees(store)) if each[1] != FAIL
                ] == by_hand(store)
    assert not running


def test_a_point_that_is_trained_again_is_seen_anew(tmp_path: Path) -> None:
    with opened(tmp_path, noisy_spec(3, 2)) as store:
        while (assignment := store.ask()) is not None:
            store.tell(assignment.number, "complete", {"dev_map": 0.5})
        assert [trial.value for trial in what_the_sampler_sees(store)] == [0.5] * 3
        first = store._frozen()[0]
        store._study.add_trial(
            create_trial(
                value=0.8,
                params=first.params,
                distributions=first.distributions,
                user_attrs={POINT: 0},
            )
        )
        assert [trial.value for trial in what_the_sampler_sees(store)] == [
            pytest.approx(0.6),
            0.5,
            0.5,
        ]


def test_means_lead_a_search_where_single_seeds_mislead(tmp_path: Path) -> None:
    """Seed 0 likes high temperatures a little, seed 1 hates them: the mean falls, though every best
    single value is at the top.
    """
    spec = tiny_spec(
        space=RANGE, sampler={"kind": "tpe", "trials": 40, "startup_trials": 10}, seeds=[0, 1]
    )
    drawn = []
    with opened(tmp_path, spec) as store:
        while (assignment := store.ask()) is not None:
            temperature = float(assignment.sample["temperature"] or 0)
            store.tell(
                assignment.number,
                "complete",
                {"dev_map": temperature if assignment.seed == 0 else -3 * temperature},
            )
            drawn += [temperature] if assignment.seed == 0 else []
    assert fmean(drawn[-15:]) < 0.2


def test_seeds_spent_adaptively_still_give_every_point_one_mean(tmp_path: Path) -> None:
    spec = noisy_spec(6, 6, pruner={"kind": "wilcoxon"})
    values: dict[int, list[float]] = {}
    with opened(tmp_path, spec) as store:
        while (assignment := store.ask()) is not None:
            point = store._frozen()[assignment.number].user_attrs.get(POINT, assignment.number)
            value = float(assignment.sample["temperature"] or 0) + 0.001 * assignment.seed
            store.tell(assignment.number, "complete", {"dev_map": value})
            values.setdefault(point, []).append(value)
        seen = what_the_sampler_sees(store)
    spent = [len(each) for each in values.values()]
    assert (max(spent), min(spent)) == (6, 4)
    assert {trial.number: trial.value for trial in seen} == {
        point: pytest.approx(fmean(each)) for point, each in values.items()
    }


def test_the_kinds_of_points_are_those_of_all_points(tmp_path: Path) -> None:
    """What a sampler infers its space from is a few points only, yet has every set of knobs."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for number in range(50):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        if number % 10 == 7:
            trial.suggest_float("y", 0, 1)
        study.tell(trial, 0.0)
    study.ask()
    view = PointView(study, 10)
    with view.refreshed():
        shown = view._get_trials()
        assert [trial.number for trial in shown] == [0, 7, 50]
    assert len(view._get_trials()) == 11
