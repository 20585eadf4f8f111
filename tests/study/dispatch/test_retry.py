"""Trials that are cancelled or trained again, in the store and in what is read from it."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.trial import TrialState

from cpc_core.errors import ConfigError
from cpc_core.report import FinalOutcome, Outcome
from study.analysis.answer import answer_info
from study.analysis.cells import group_cells
from study.control.apply import apply_and_wait
from study.control.requests import ControlRequests
from study.control.selection import cancellable, retriable
from study.dispatch.dispatcher import Dispatcher
from study.dispatch.trial_spec import TrialSpec
from study.errors import NotFoundError
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from study.spec.study_spec import StudySpec
from study.storage.attributes import CANCELLED_BY_USER
from tests.helpers.specs import tiny_spec
from tests.helpers.studies import CORPUS, asked, locked, log_up_to, opened, run_through, states


def half_trained(
    folder: Path, outcome: FinalOutcome, logged: Outcome = "running", spec: StudySpec | None = None
) -> None:
    """Trial 0 logs steps 10 and 20, keeps a checkpoint at 10, and ends so; trial 1 waits."""
    with opened(folder, spec or tiny_spec()) as store:
        first = asked(store)
        log_up_to(store, first, 10, 20, outcome=logged)
        store.trial_folder(0).save_checkpoint(10, lambda path: (path / "weights").write_text("w"))
        store.tell(
            0, outcome, {"dev_map": 0.5}, CANCELLED_BY_USER if outcome == "cancelled" else "why"
        )


def test_waiting_and_interrupted_trials_are_cancelled_for_good(tmp_path: Path) -> None:
    with opened(tmp_path, tiny_spec(seeds=[0, 1])) as store:
        log_up_to(store, asked(store), 10, 20)
    with opened(tmp_path, tiny_spec(seeds=[0, 1])) as store:
        for number in (0, 2):
            store.cancel(number)
            store.cancel(number)
        assert states(store) == [
            TrialState.FAIL,
            TrialState.WAITING,
            TrialState.FAIL,
            TrialState.WAITING,
        ]
        assert store.trials()[0].intermediate_values == {10: 0.5, 20: 0.5}
    with opened(tmp_path, tiny_spec(seeds=[0, 1])) as store:
        assert [asked(store).number, asked(store).number] == [1, 3]
        assert store.ask() is None
    record = read_study(StudyFolder(tmp_path))
    assert [(record.trial(number).outcome, record.trial(number).reason) for number in (0, 2)] == [
        ("cancelled", CANCELLED_BY_USER)
    ] * 2


def test_cancelled_configuration_is_not_trained_again(tmp_path: Path) -> None:
    spec = tiny_spec(space={"negatives": ["cross"]}, sampler={"kind": "random", "trials": 3})
    with opened(tmp_path, spec) as store:
        asked(store)
    with opened(tmp_path, spec) as store:
        store.cancel(0)
        assert store.ask() is None
    assert {trial.reason for trial in read_study(StudyFolder(tmp_path)).trials[1:]} == {
        "the same configuration as trial 0, which is trained once"
    }


@pytest.mark.parametrize("outcome", ["failed", "cancelled"])
def test_retry_is_a_new_trial_from_the_last_checkpoint(
    tmp_path: Path, outcome: FinalOutcome
) -> None:
    half_trained(tmp_path, outcome)
    with opened(tmp_path, tiny_spec()) as store:
        store.retry(0, from_scratch=False)
        store.retry(0, from_scratch=False)
        assert (store.ended, len(store.trials())) == (0, 3)
        old = TrialSpec.of(store.spec, CORPUS, 0, {"temperature": 0.05}, 0)
        assert asked(store).number == 1
        retry = asked(store)
        assert (retry.number, retry.sample, retry.seed, retry.trial_id) == (
            2,
            old.sample,
            old.seed,
            old.trial_id,
        )
        assert store.ask() is None
        folder = store.trial_folder(2)
        assert [entry.step for entry in folder.log()] == [10]
        checkpoint = folder.checkpoint()
        assert checkpoint is not None and (checkpoint / "weights").read_text() == "w"
        assert [entry.step for entry in store.trial_folder(0).log()] == [10, 20]
        store.tell(2, "complete", {"dev_map": 0.5})
        assert (store.ended, store.finished) == (1, False)


@pytest.mark.parametrize(
    ("outcome", "logged", "fresh"),
    [("diverged", "diverged", False), ("failed", "running", True), ("failed", "diverged", False)],
)
def test_retry_from_scratch_reuses_nothing(
    tmp_path: Path, outcome: FinalOutcome, logged: Outcome, fresh: bool
) -> None:
    half_trained(tmp_path, outcome, logged)
    with opened(tmp_path, tiny_spec()) as store:
        store.retry(0, from_scratch=fresh)
        assert [asked(store).number, asked(store).number] == [1, 2]
        assert (store.trial_folder(2).log(), store.trial_folder(2).checkpoint()) == ((), None)


def test_interrupted_retry_keeps_its_own_progress(tmp_path: Path) -> None:
    half_trained(tmp_path, "failed")
    with opened(tmp_path, tiny_spec()) as store:
        store.retry(0, from_scratch=False)
        asked(store)
        retry = asked(store)
        log_up_to(store, retry, 20)
        store.trial_folder(2).save_checkpoint(20, lambda path: None)
    with opened(tmp_path, tiny_spec()) as store:
        assert [asked(store).number, asked(store).number] == [1, 2]
        assert [entry.step for entry in store.trial_folder(2).log()] == [10, 20]


def test_only_the_retry_counts_in_what_is_read(tmp_path: Path) -> None:
    half_trained(tmp_path, "failed")
    assert [cell.outcomes for cell in group_cells(read_study(StudyFolder(tmp_path)))] == [
        {"failed": 1},
        {"waiting": 1},
    ]
    with opened(tmp_path, tiny_spec()) as store:
        store.retry(0, from_scratch=False)
    record = read_study(StudyFolder(tmp_path))
    assert [(trial.number, trial.retried_as) for trial in record.every_trial] == [
        (0, 2),
        (1, None),
        (2, None),
    ]
    assert (len(record.trials), record.planned, record.ended, record.finished) == (2, 2, 0, False)
    assert {tuple(cell.outcomes.items()) for cell in group_cells(record)} == {(("waiting", 1),)}
    assert answer_info(record).state == "2 trials: 2 waiting"
    with opened(tmp_path, tiny_spec()) as store:
        run_through_grid(store)
    record = read_study(StudyFolder(tmp_path))
    assert (record.ended, record.finished) == (2, True)
    assert answer_info(record).state == "2 trials: 2 complete"


def run_through_grid(store: Dispatcher) -> None:
    while (assignment := store.ask()) is not None:
        store.tell(assignment.number, "complete", {"dev_map": 0.5})


def test_a_retry_in_a_search_repeats_a_point_and_proposes_none(tmp_path: Path) -> None:
    space = {"epsilon_db": {"low": -80, "high": -30}, "adversary": ["fgsm"]}
    with opened(
        tmp_path, tiny_spec(space=space, sampler={"kind": "random", "trials": 3}, seeds=[0, 1])
    ) as store:
        first, second = asked(store), asked(store)
        store.tell(first.number, "failed", {}, "why")
        store.tell(second.number, "failed", {}, "why")
        for number in (0, 1):
            store.retry(number, from_scratch=False)
        assert len(run_through(store, 100)) == 6
        assert store.finished
        assert store.ended == 6
    record = read_study(StudyFolder(tmp_path))
    assert (len(record.trials), len(record.retried), record.planned, record.finished) == (
        6,
        2,
        6,
        True,
    )
    assert {trial.outcome for trial in record.trials} == {"complete"}
    assert all(len(cell.values["dev_map"]) == 2 for cell in group_cells(record))


def test_budget_counts_the_reused_steps_of_a_retry_once(tmp_path: Path) -> None:
    half_trained(tmp_path, "failed", spec=tiny_spec(budget={"steps": 31}))
    with opened(tmp_path, tiny_spec(budget={"steps": 31})) as store:
        store.retry(0, from_scratch=False)
        assert [asked(store).number, asked(store).number] == [1, 2]
        log_up_to(store, TrialSpec.of(store.spec, CORPUS, 2, {"temperature": 0.05}, 0), 20)
        assert store.budget_spent is None  # 20 steps of trial 0, and 10 of its retry
    assert read_study(StudyFolder(tmp_path)).budget_spent is None
    with opened(tmp_path, tiny_spec(budget={"steps": 30})) as store:
        assert store.budget_spent == "its budget of 30 optimizer steps is spent"
    assert (
        read_study(StudyFolder(tmp_path)).budget_spent
        == "its budget of 30 optimizer steps is spent"
    )


def test_trials_that_cannot_be_retried_or_cancelled_are_named(tmp_path: Path) -> None:
    half_trained(tmp_path, "failed")
    record = read_study(StudyFolder(tmp_path))
    assert [trial.number for trial in retriable(record, None)] == [0]
    assert [trial.number for trial in cancellable(record, None)] == [1]
    with pytest.raises(NotFoundError, match="tiny has no trial 7, it has 0 to 1"):
        retriable(record, [7])
    with pytest.raises(ConfigError, match=r"trial 1 of tiny has not ended \(waiting\)"):
        retriable(record, [0, 1])
    with pytest.raises(ConfigError, match=r"trial 0 of tiny has already ended \(failed\)"):
        cancellable(record, [0])
    with opened(tmp_path, tiny_spec()) as store:
        store.retry(0, from_scratch=False)
        run_through_grid(store)
    record = read_study(StudyFolder(tmp_path))
    with pytest.raises(ConfigError, match="was retried as trial 2: name that one"):
        retriable(record, [0])
    with pytest.raises(
        ConfigError,
        match=r"is complete .*: only failed, diverged and user-cancelled trials are retried",
    ):
        retriable(record, [2])
    with pytest.raises(NotFoundError, match="nothing to retry"):
        retriable(record, None)
    with pytest.raises(NotFoundError, match="nothing to cancel"):
        cancellable(record, None)


def test_duplicates_are_not_retried_by_default(tmp_path: Path) -> None:
    spec = tiny_spec(space={"negatives": ["cross"]}, sampler={"kind": "random", "trials": 3})
    with opened(tmp_path, spec) as store:
        store.tell(asked(store).number, "diverged", {}, "why")
        assert store.ask() is None
    assert [trial.number for trial in retriable(read_study(StudyFolder(tmp_path)), None)] == [0]


def test_requests_are_applied_here_without_a_driver(tmp_path: Path) -> None:
    with opened(tmp_path, tiny_spec()):
        pass
    record = apply_and_wait(StudyFolder(tmp_path), ControlRequests(desired="cancel"))
    assert [trial.outcome for trial in record.trials] == ["cancelled"] * 2
    record = apply_and_wait(StudyFolder(tmp_path), ControlRequests(retry=(0,), from_scratch=(1,)))
    assert [trial.retried_as for trial in record.every_trial] == [2, 3, None, None]


def test_requests_wait_for_the_driver_of_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver reads the request from the file; once it has ended, it is applied here."""
    with opened(tmp_path, tiny_spec()):
        pass
    lock, waits = locked(tmp_path), 0

    def sleep(seconds: float) -> None:
        nonlocal waits
        waits += 1
        if waits == 3:
            lock.close()

    monkeypatch.setattr("study.control.apply.time.sleep", sleep)
    record = apply_and_wait(StudyFolder(tmp_path), ControlRequests(cancel=(1,)))
    assert (waits, record.trial(1).outcome, record.trial(0).outcome) == (3, "cancelled", "waiting")
    assert (tmp_path / "control.json").is_file()
