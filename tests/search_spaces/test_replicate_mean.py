from __future__ import annotations

import random
from pathlib import Path
from statistics import fmean
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from cpc_core.report import FinalOutcome
from search_spaces.samplers.base import POINT
from search_spaces.samplers.replicate_mean import (
    ReplicateMeanSampler,
    observations,
    replicate_mean,
)
from search_spaces.samplers.tpe import TpeSampler
from study.dispatch.dispatcher import Dispatcher
from study.dispatch.trial_spec import TrialSpec
from study.spec.study_spec import StudySpec
from tests.helpers.specs import tiny_spec
from tests.helpers.studies import asked, opened

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
def test_a_configuration_is_the_mean_of_complete_replicates(
    trials: list[FrozenTrial], state: TrialState, value: float | None
) -> None:
    seen = replicate_mean(trials)
    assert (seen.state, seen.value, seen.params) == (state, value, {"x": 0.5})


def test_all_replicates_pruned_keep_the_mean_of_their_reports() -> None:
    trials = [
        replicate(PRUNED, 4.0, {10: 2.0, 20: 4.0}),
        replicate(PRUNED, 4.0, {10: 4.0}),
        replicate(FAIL, None, {10: 99.0, 30: 99.0}),
    ]
    assert replicate_mean(trials).intermediate_values == {10: 3.0, 20: 4.0}


def test_taking_the_mean_changes_no_trial() -> None:
    trials = [replicate(COMPLETE, 1.0), replicate(COMPLETE, 4.0)]
    replicate_mean(trials)
    assert [trial.value for trial in trials] == [1.0, 4.0]


class Spy(RandomSampler):
    """Draws at random and keeps the trials that it receives at each stage of a proposal."""

    def __init__(self) -> None:
        super().__init__(seed=0)
        self.inferred: list[FrozenTrial] = []
        self.sampled: list[FrozenTrial] = []

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        self.inferred = study.get_trials()
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        self.sampled = study.get_trials()
        return {}


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    """What a study whose sampler is TPE proposes with."""
    found = Spy()

    def build(self: TpeSampler, seed: int, first_seed: int) -> BaseSampler:
        return found

    monkeypatch.setattr(TpeSampler, "build", build)
    return found


def noisy_spec(points: int, seeds: int, **changes: Any) -> StudySpec:
    return tiny_spec(
        space=RANGE | {"negatives": ["cross", "local"]},
        sampler={"kind": "tpe", "trials": points, "startup_trials": 4},
        seeds=list(range(seeds)),
        **changes,
    )


def tell(dispatcher: Dispatcher, assignment: TrialSpec, noise: random.Random) -> None:
    """Ends a trial as chance has it."""
    outcome: FinalOutcome = noise.choice(
        ["complete", "complete", "complete", "pruned", "diverged", "failed"]
    )
    dispatcher.report(assignment.number, 10, {"dev_map": noise.random()})
    dispatcher.tell(
        assignment.number, outcome, {"dev_map": noise.random()} if outcome == "complete" else {}, ""
    )


def content(trials: list[FrozenTrial]) -> list[tuple[Any, ...]]:
    return [
        (trial.number, trial.state, trial.values, trial.params, trial.intermediate_values)
        for trial in trials
    ]


def by_hand(dispatcher: Dispatcher) -> list[tuple[Any, ...]]:
    """The configurations by their definition."""
    points: dict[int, list[FrozenTrial]] = {}
    for trial in dispatcher.trials():
        points.setdefault(trial.user_attrs.get(POINT, trial.number), []).append(trial)
    return content([replicate_mean(group) for group in points.values()])


def test_a_sampler_receives_each_configuration_once(tmp_path: Path, spy: Spy) -> None:
    with opened(tmp_path, noisy_spec(7, 3)) as dispatcher:
        values: dict[float, list[float]] = {}
        for _ in range(6 * 3):
            assignment = asked(dispatcher)
            value = 0.1 * assignment.number
            dispatcher.tell(assignment.number, "complete", {"dev_map": value})
            values.setdefault(float(assignment.sample["temperature"] or 0), []).append(value)
        asked(dispatcher)
    assert [len(each) for each in values.values()] == [3] * 6
    *seen, proposed = spy.sampled
    assert (proposed.state, proposed.number) == (RUNNING, 18)
    assert [(trial.params["temperature"], trial.value) for trial in seen] == [
        (x, fmean(each)) for x, each in values.items()
    ]


def test_each_proposal_reads_all_trials_after_a_resume_too(tmp_path: Path, spy: Spy) -> None:
    noise, spec = random.Random(5), noisy_spec(25, 3, resources={"concurrent_trials": 4})
    running: list[TrialSpec] = []
    proposals = 0
    for _ in range(4):
        with opened(tmp_path, spec) as dispatcher:
            # The next driver dispatches what the one before left running.
            running = [again for _ in running if (again := dispatcher.ask()) is not None]
            for _ in range(20):
                before = by_hand(dispatcher)
                while len(running) < 4 and (assignment := dispatcher.ask()) is not None:
                    running.append(assignment)
                    if assignment.seed == 0:
                        proposals += 1
                        assert content(spy.sampled)[:-1] == before
                    before = by_hand(dispatcher)
                if not running:
                    break
                tell(dispatcher, running.pop(noise.randrange(len(running))), noise)
    assert (running, proposals) == ([], 25)


def test_a_repeated_configuration_changes_its_mean(tmp_path: Path) -> None:
    with opened(tmp_path, noisy_spec(3, 2)) as dispatcher:
        while (assignment := dispatcher.ask()) is not None:
            dispatcher.tell(assignment.number, "complete", {"dev_map": 0.5})
        trials = dispatcher.trials()
    assert [trial.value for trial in observations(trials)] == [0.5] * 3
    first = trials[0]
    again = create_trial(
        value=0.8,
        params=first.params,
        distributions=first.distributions,
        user_attrs={POINT: 0},
    )
    assert [trial.value for trial in observations([*trials, again])] == [
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
    with opened(tmp_path, spec) as dispatcher:
        while (assignment := dispatcher.ask()) is not None:
            temperature = float(assignment.sample["temperature"] or 0)
            dispatcher.tell(
                assignment.number,
                "complete",
                {"dev_map": temperature if assignment.seed == 0 else -3 * temperature},
            )
            drawn += [temperature] if assignment.seed == 0 else []
    assert fmean(drawn[-15:]) < 0.2


def test_adaptive_replicates_have_one_mean_too(tmp_path: Path) -> None:
    spec = noisy_spec(6, 6, pruner={"kind": "wilcoxon"})
    values: dict[int, list[float]] = {}
    with opened(tmp_path, spec) as dispatcher:
        while (assignment := dispatcher.ask()) is not None:
            point = dispatcher.trials()[assignment.number].user_attrs.get(POINT, assignment.number)
            value = float(assignment.sample["temperature"] or 0) + 0.001 * assignment.seed
            dispatcher.tell(assignment.number, "complete", {"dev_map": value})
            values.setdefault(point, []).append(value)
        seen = observations(dispatcher.trials())
    spent = [len(each) for each in values.values()]
    assert (max(spent), min(spent)) == (6, 4)
    assert {trial.number: trial.value for trial in seen} == {
        point: pytest.approx(fmean(each)) for point, each in values.items()
    }


def test_the_space_is_inferred_from_all_trials() -> None:
    """The model is fitted to a few of them only, which may lack a knob."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for number in range(50):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        if number == 7:
            trial.suggest_float("y", 0, 1)
        study.tell(trial, float(number == 7))
    spy = Spy()
    study.sampler = ReplicateMeanSampler(spy, study, 10)
    study.ask().suggest_float("x", 0, 1)
    assert [trial.number for trial in spy.inferred] == list(range(51))
    assert len(spy.sampled) == 11
    assert not any("y" in trial.params for trial in spy.sampled)


def test_several_objectives_show_all_trials() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"])
    for number in range(20):
        study.add_trial(create_trial(values=[number, number]))
    spy = Spy()
    study.sampler = ReplicateMeanSampler(spy, study, 10)
    study.ask().suggest_float("x", 0, 1)
    assert len(spy.sampled) == 21


def test_what_a_sampler_writes_stays_in_the_study() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    inner = optuna.samplers.CmaEsSampler(seed=0, n_startup_trials=2)
    study.sampler = ReplicateMeanSampler(inner, study)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1), 6)
    assert [bool(trial.system_attrs) for trial in study.trials[-3:]] == [True] * 3
