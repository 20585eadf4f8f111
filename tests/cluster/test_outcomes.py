"""Each known fault of Ray's own Optuna searcher, first seen in it and then shown to be absent from
ours.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.pruners import NopPruner, SuccessiveHalvingPruner
from optuna.samplers._tpe.sampler import _split_trials
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from ray import tune
from ray.tune.search.optuna import OptunaSearch

from cpc_core.errors import ConfigError
from search_spaces.samplers.replicate_mean import observations
from study.analysis.cells import group_cells
from study.dispatch.dispatcher import Dispatcher
from study.folders.study_folder import JOURNAL, StudyFolder
from study.results.reader import read_study
from tests.helpers.fake_tune import Tune
from tests.helpers.specs import problems, tiny_spec
from tests.helpers.stock_ray_tune import StockTune

RANGE: dict[str, Any] = {"temperature": {"low": 0.01, "high": 1.0, "log": True}}


ASHA: dict[str, Any] = {
    "objective": {"metric": "dev_accuracy"},
    "pruner": {"kind": "asha", "first_rung": 1, "reduction": 2},
}


@contextmanager
def our_tune(folder: Path, trials: int = 8, **changes: Any) -> Iterator[Tune]:
    """A search with ours, by whichever driver opens it next."""
    settings = {
        "space": RANGE,
        "sampler": {"kind": "tpe", "trials": trials, "startup_trials": 4},
        "objective": {"metric": "dev_accuracy"},
    }
    store = Dispatcher.create_or_open(
        StudyFolder(folder), tiny_spec(**{**settings, **changes}), "c" * 64, ""
    )
    try:
        yield Tune(store, concurrent=4)
    finally:
        store.close()


def study_of(tune: Tune) -> optuna.Study:
    """The Optuna study as the driver has stored it."""
    journal = JournalFileBackend(str(tune.store.folder.path / JOURNAL))
    return optuna.load_study(study_name=tune.store.spec.name, storage=JournalStorage(journal))


def trials_of(tune: Tune) -> list[FrozenTrial]:
    return tune.store.trials()


def test_trial_stopped_early_is_pruned_and_keeps_its_last_value(tmp_path: Path) -> None:
    stock = StockTune()
    for trial_id, value in (("good", 0.8), ("bad", 0.3)):
        stock.start(trial_id)
        stopped = stock.result(trial_id, 1, dev_accuracy=value) == "STOP"
        assert stopped == (trial_id == "bad")
    told = stock.trials[1]
    assert (told.state, told.value, told.intermediate_values) == (TrialState.COMPLETE, 0.3, {})

    with our_tune(tmp_path, **ASHA) as ours:
        for trial_id, value in (("good", 0.8), ("bad", 0.3)):
            ours.start(trial_id)
            assert (ours.result(trial_id, 1, dev_accuracy=value) == "STOP") == (trial_id == "bad")
        ours.search.on_trial_complete(trial_id="bad", result={"training_iteration": 1})
        told = trials_of(ours)[1]
        assert (told.state, told.intermediate_values) == (TrialState.PRUNED, {1: 0.3})


def test_what_was_stopped_early_is_never_the_best(tmp_path: Path) -> None:
    """Values that fall from a flattering start, as those of a warm-up do: stopped at 0.6, a trial
    would beat one complete at 0.5.
    """
    stock = StockTune()
    stock.start("good")
    stock.result("good", 1, dev_accuracy=0.9)
    stock.start("bad")
    assert stock.result("bad", 1, dev_accuracy=0.6) == "STOP"
    stock.result("good", 2, dev_accuracy=0.5)
    stock.returned("good")
    assert stock.study.best_value == 0.6

    with our_tune(tmp_path, **ASHA) as ours:
        ours.start("good")
        ours.result("good", 1, dev_accuracy=0.9)
        ours.start("bad")
        assert ours.result("bad", 1, dev_accuracy=0.6) == "STOP"
        ours.search.on_trial_complete(trial_id="bad")
        ours.result("good", 2, "complete", dev_accuracy=0.5)
        ours.returned("good")
        assert study_of(ours).best_value == 0.5
        assert best_of_sampler(ours) == [0.5]
    record = read_study(StudyFolder(tmp_path))
    assert [cell.metrics["dev_accuracy"].mean for cell in group_cells(record) if cell.metrics] == [
        0.5
    ]


def valued_observations(tune: Tune) -> list[FrozenTrial]:
    """Complete and pruned trials as the sampler receives them."""
    found = observations(trials_of(tune))
    return [trial for trial in found if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]


def best_of_sampler(tune: Tune) -> list[float | None]:
    """Values of what our sampler takes for good, its pruned trials left out where a complete one is
    there.
    """
    valued = valued_observations(tune)
    below, _ = _split_trials(study_of(tune), valued, 1)
    return [trial.value for trial in below]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_no_number_ends_the_trial(tmp_path: Path, value: float) -> None:
    stock = StockTune()
    stock.start("a")
    stock.result("a", 1, dev_accuracy=0.5)
    stock.result("a", 2, dev_accuracy=value)
    stock.returned("a")
    assert stock.trials[0].state == (
        TrialState.RUNNING if math.isnan(value) else TrialState.COMPLETE
    )

    with our_tune(tmp_path) as ours:
        for trial_id, outcome in (("a", "complete"), ("b", "diverged")):
            ours.start(trial_id)
            ours.result(trial_id, 1, dev_accuracy=0.5)
            ours.result(
                trial_id,
                2,
                outcome,
                "loss became nan" if outcome == "diverged" else "",
                dev_accuracy=value,
            )
            ours.returned(trial_id)
        assert [trial.state for trial in trials_of(ours)] == [TrialState.FAIL] * 2
        assert [trial.intermediate_values[1] for trial in trials_of(ours)] == [0.5] * 2
    assert [trial.outcome for trial in read_study(StudyFolder(tmp_path)).trials] == [
        "failed",
        "diverged",
    ]


def test_a_new_driver_does_not_repeat_the_first_suggestions(tmp_path: Path) -> None:
    def stock(storage: optuna.storages.BaseStorage) -> list[float]:
        tune = StockTune(storage, seed=7)
        return [tune.start(trial_id) for trial_id in "abcd"]

    storage = optuna.storages.InMemoryStorage()
    assert stock(storage) == stock(storage)

    drawn = []
    for _ in range(2):
        with our_tune(tmp_path, sampler={"kind": "tpe", "trials": 8, "startup_trials": 8}) as ours:
            for trial_id in "abcd":
                ours.start(trial_id)
                drawn.append(ours.assignment(trial_id).sample["temperature"])
                ours.result(trial_id, 30, "complete", dev_accuracy=0.5)
                ours.returned(trial_id)
    assert len(set(drawn)) == 8


def test_a_killed_drivers_trials_run_on(tmp_path: Path) -> None:
    storage = optuna.storages.InMemoryStorage()
    StockTune(storage).start("a")
    again = StockTune(storage)
    again.start("b")
    again.result("b", 1, dev_accuracy=0.5)
    again.returned("b")
    assert [trial.state for trial in again.trials] == [TrialState.RUNNING, TrialState.COMPLETE]

    with our_tune(tmp_path, trials=1) as ours:
        ours.start("a")
        ours.result("a", 10, dev_accuracy=0.4)
        sample = ours.assignment("a").sample
    with our_tune(tmp_path, trials=1) as ours:
        ours.start("b")
        assert ours.assignment("b").sample == sample
        ours.result("b", 30, "complete", dev_accuracy=0.5)
        ours.returned("b")
        (trial,) = trials_of(ours)
        assert (trial.state, trial.intermediate_values) == (TrialState.COMPLETE, {10: 0.4, 30: 0.5})


def test_the_pruner_is_the_one_that_was_asked_for(tmp_path: Path) -> None:
    assert isinstance(StockTune().study.pruner, NopPruner)
    with our_tune(tmp_path, **ASHA) as ours:
        assert isinstance(ours.store.spec.pruner.build(30), SuccessiveHalvingPruner)
        for name, value in (("good", 0.9), ("bad", 0.6)):
            ours.start(name)
            assert (ours.result(name, 1, dev_accuracy=value) == "STOP") == (name == "bad")


def test_studies_that_share_a_place_are_not_mixed_up(tmp_path: Path) -> None:
    storage = optuna.storages.InMemoryStorage()
    StockTune(storage).start("a")
    assert len(StockTune(storage).trials) == 1

    with (
        our_tune(tmp_path / "one", name="one") as one,
        our_tune(tmp_path / "other", name="other") as other,
    ):
        one.start("a")
        assert (len(trials_of(one)), len(trials_of(other))) == (1, 0)
        assert study_of(one).study_name == "one"
    with (
        pytest.raises(ConfigError, match="holds the study 'one'"),
        our_tune(tmp_path / "one", name="another"),
    ):
        pass


def test_planned_points_are_planned_once(tmp_path: Path) -> None:
    storage = optuna.storages.InMemoryStorage()
    for _ in range(3):
        stock = StockTune(storage, points_to_evaluate=[{"temperature": 0.05}, {"temperature": 0.1}])
    assert len(stock.trials) == 6

    for _ in range(3):
        with our_tune(
            tmp_path, sampler={"kind": "grid"}, space={"temperature": [0.05, 0.1]}
        ) as ours:
            assert len(trials_of(ours)) == 2


def test_several_objectives_keep_their_intermediate_values(tmp_path: Path) -> None:
    stock = StockTune(metric=["dev_accuracy", "dev_loss"], mode=["max", "min"])
    stock.start("a")
    stock.result("a", 1, dev_accuracy=0.5, dev_loss=3.0)
    assert stock.trials[0].intermediate_values == {}

    objective = [{"metric": "dev_accuracy"}, {"metric": "dev_loss", "direction": "minimize"}]
    with our_tune(tmp_path, objective=objective) as ours:
        ours.start("a")
        ours.result("a", 1, dev_accuracy=0.5, dev_loss=3.0)
        ours.result("a", 2, "complete", dev_accuracy=0.6, dev_loss=2.0)
        ours.returned("a")
        (trial,) = trials_of(ours)
        assert (trial.intermediate_values, trial.values) == ({1: 0.5, 2: 0.6}, [0.6, 2.0])


def test_a_step_on_a_logarithmic_range_is_refused_not_dropped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="ray.tune"):
        converted = OptunaSearch.convert_search_space({"x": tune.qloguniform(1e-4, 1e-1, 1e-4)})
    assert converted["x"].step is None

    text = (
        "name: a\nspace:\n  temperature: {low: 0.01, high: 1.0, log: true, step: 0.01}\n"
        "sampler: {kind: random, trials: 4}\n"
    )
    assert problems(tmp_path, text) == [
        "my.yaml:3: space.temperature: a logarithmic range takes no step"
    ]


def test_only_complete_values_enter_a_mean(tmp_path: Path) -> None:
    """One setting with five seeds that end in five ways: the mean is that of the one that is
    complete.
    """
    ends = {0: "complete", 1: "pruned", 2: "diverged", 3: "failed", 4: "cancelled"}
    with our_tune(
        tmp_path, sampler={"kind": "random", "trials": 1}, seeds=list(ends), pruner={"kind": "none"}
    ) as ours:
        while (assignment := ours.store.ask()) is not None:
            value = 0.6 if assignment.seed == 0 else 0.9 + 0.01 * assignment.seed
            ours.store.report(assignment.number, 10, {"dev_accuracy": value})
            ours.store.tell(assignment.number, ends[assignment.seed], {"dev_accuracy": value}, "")  # type: ignore[arg-type]
        assert best_of_sampler(ours) == [0.6]
    (cell,) = group_cells(read_study(StudyFolder(tmp_path)))
    assert (cell.metrics["dev_accuracy"].mean, cell.metrics["dev_accuracy"].n) == (0.6, 1)
    assert sorted(cell.outcomes) == sorted(ends.values())


def test_pruned_points_rank_behind_complete_ones(
    tmp_path: Path,
) -> None:
    """TPE ranks a pruned trial by its last step, as Optuna intends, and a failed one not at all."""
    with our_tune(tmp_path) as ours:
        for number, (outcome, value) in enumerate(
            [
                ("complete", 0.1),
                ("pruned", 0.9),
                ("diverged", 0.99),
                ("complete", 0.2),
                ("pruned", 0.8),
            ]
        ):
            ours.start(str(number))
            ours.store.report(number, 20 if number == 4 else 10, {"dev_accuracy": value})
            ours.store.tell(number, outcome, {"dev_accuracy": value}, "")  # type: ignore[arg-type]
            ours.search._live.clear()
        seen = valued_observations(ours)
        orders = [
            [trial.number for trial in _split_trials(study_of(ours), seen, count)[0]]
            for count in (1, 2, 3, 4)
        ]
    assert orders == [[3], [0, 3], [0, 3, 4], [0, 1, 3, 4]]
