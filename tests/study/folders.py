"""Study folders whose trials never trained: what the command line and the readers find after a study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from study.assignment import Assignment
from study.reading import read_study
from study.records import StudyRecord
from study.spec import StudySpec
from study.store import StudyStore
from study.trial_folder import LogEntry

Measured = Callable[[Assignment], dict[str, float]]


def ended_study(folder: Path, spec: StudySpec, measured: Measured, *, trials: int | None = None) -> StudyRecord:
    """Runs a study without training: the first `trials` of it end complete with what `measured` gives."""
    store = StudyStore.create_or_open(folder, spec, "c" * 64, "sample (3 clips)")
    try:
        for _ in range(spec.planned_trials if trials is None else trials):
            assignment = store.ask()
            assert assignment is not None
            metrics = measured(assignment)
            trial = store.trial_folder(assignment.number)
            trial.append(LogEntry(assignment.config.training.steps, metrics, "complete", "", 60.0))
            store.report(assignment.number, assignment.config.training.steps, metrics)
            store.tell(assignment.number, "complete", metrics)
    finally:
        store.close()
    return read_study(folder)
