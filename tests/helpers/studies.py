"""Study folders whose trials never trained: what the command line and the readers find after a
study.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.trial import TrialState

from cpc_core.report import Outcome, Report
from cpc_core.storage_path import StoragePath
from study.dispatch.dispatcher import Dispatcher
from study.dispatch.trial_spec import TrialSpec
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from study.results.records import StudyRecord
from study.spec.study_spec import StudySpec
from study.storage.backends import storage_of
from study.storage.base import Storage
from tests.helpers.specs import TINY_BASE

STEPS: int = TINY_BASE["training"]["steps"]
"""Of a tiny trial."""

Measured = Callable[[TrialSpec], dict[str, float]]


def ended_study(
    folder: Path, spec: StudySpec, measured: Measured, *, trials: int | None = None
) -> StudyRecord:
    """Runs a study without training: the first `trials` of it end complete with what `measured`
    gives.
    """
    store = Dispatcher.create_or_open(StudyFolder(folder), spec, "c" * 64, "sample (3 clips)")
    try:
        for _ in range(spec.planned_trials if trials is None else trials):
            assignment = store.ask()
            assert assignment is not None
            metrics = measured(assignment)
            trial = store.trial_folder(assignment.number)
            trial.append(Report(assignment.config.training.steps, metrics, "complete", "", 60.0))
            store.report(assignment.number, assignment.config.training.steps, metrics)
            store.tell(assignment.number, "complete", metrics)
    finally:
        store.close()
    return read_study(StudyFolder(folder))


def train(folder: Path, spec: StudySpec) -> int:
    """Trains one trial after the other, an hour each, until no more is to be started."""
    trained = 0
    with opened(folder, spec) as store:
        while (assignment := store.ask()) is not None:
            trained += 1
            log_up_to(store, assignment, STEPS, outcome="complete")
            store.tell(assignment.number, "complete", {"dev_map": 0.5})
        assert store.finished
    return trained


def entry(step: int) -> Report:
    return Report(step, {"dev_map": step / 3}, "running", "", 0.1 * step)


def writes(content: bytes) -> Callable[[Path], None]:
    def save(target: Path) -> None:
        (target / "state.pt").write_bytes(content)

    return save


CORPUS = "c" * 64


@contextmanager
def opened(
    folder: Path | StoragePath, spec: StudySpec, corpus_hash: str = CORPUS
) -> Iterator[Dispatcher]:
    store = Dispatcher.create_or_open(StudyFolder(folder), spec, corpus_hash, "sample (3 clips)")
    try:
        yield store
    finally:
        store.close()


def locked(folder: Path | StoragePath) -> Storage:
    """The lock of a driver on a study that exists; `close` releases it."""
    storage = storage_of(StudyFolder(folder))
    with storage.exclusive():
        return storage


def asked(store: Dispatcher) -> TrialSpec:
    assignment = store.ask()
    assert assignment is not None
    return assignment


def states(store: Dispatcher) -> list[TrialState]:
    return [trial.state for trial in store.trials()]


def log_up_to(
    store: Dispatcher, assignment: TrialSpec, *steps: int, outcome: Outcome = "running"
) -> None:
    """Writes the log that a worker would have left; `outcome` goes into its last line."""
    folder = store.trial_folder(assignment.number)
    for step in steps:
        last = outcome if step == steps[-1] else "running"
        folder.append(Report(step, {"dev_accuracy": step / 100, "dev_map": 0.5}, last, "", 1.0))


def run_through(store: Dispatcher, count: int) -> list[TrialSpec]:
    """Asks for trials one by one and tells each a value."""
    assignments = []
    for _ in range(count):
        assignment = store.ask()
        if assignment is None:
            break
        epsilon_db = assignment.sample.get("epsilon_db", -90)
        assert isinstance(epsilon_db, int | float)
        value = -abs(epsilon_db + 55) / 100
        store.tell(assignment.number, "complete", {"dev_map": value})
        assignments.append(assignment)
    return assignments
