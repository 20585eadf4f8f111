"""The reader of study folders, which may be written meanwhile. It never writes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from cpc_core.report import Report
from cpc_core.storage_path import StoragePath
from study.folders.metrics_log import MetricsLog, Stamp
from study.folders.study_folder import Prediction, StudyFolder
from study.folders.trial_folder import LOG, Origin
from study.folders.usage import elapsed_s, usage_of
from study.results.records import StudyRecord, TrialRecord
from study.spec.study_spec import StudySpec
from study.storage.attributes import TrialAttributes, outcome_of, successors
from study.storage.backends import storage_errors, storage_of
from study.storage.base import Storage

REQUESTS = 16
"""Simultaneous requests to an object store."""


def read_study(folder: StudyFolder) -> StudyRecord:
    """Reads the record of a study at this moment.

    Raises:
        ConfigError: The folder holds no study, or its files are damaged.
        UnreachableError: Its database does not answer.
    """
    return StudyReader(folder).read()


class StudyReader:
    """Reader of one study, again and again: what has not changed is not read twice.

    That is the beginning of the journal, trials that have ended, and the beginning of the metrics
    logs; of a log only the last line is read, until a curve is asked for.

    Args:
        folder: The study folder.
    """

    def __init__(self, folder: StudyFolder) -> None:
        self._folder = folder
        self._opened: tuple[StudySpec, Storage] | None = None
        self._logs: dict[int, MetricsLog] = {}
        self._ended: dict[int, tuple[tuple[FrozenTrial, Stamp | None], TrialRecord]] = {}

    def revision(self) -> str:
        """A hash that changes whenever a trial does.

        It covers the journal or the database, and size and time of every metrics log.

        Raises:
            UnreachableError: The study's database or object store does not answer.
        """
        digest = hashlib.sha256()
        with storage_errors(self._folder):
            storage = self._storage(self._folder.spec()) if self._folder.holds_study() else None
        with storage_errors(self._folder, storage):
            if storage is not None:
                digest.update(storage.revision().encode())
            digest.update(repr(sorted(_stamps(self._folder.path).items())).encode())
        return digest.hexdigest()[:16]

    def read(self) -> StudyRecord:
        """The record of the study at this moment.

        Raises:
            ConfigError: The folder holds no study, or its files are damaged.
            UnreachableError: Its database does not answer.
        """
        folder = self._folder
        spec = folder.spec()
        storage = self._storage(spec)
        with storage_errors(folder, storage):
            provenance = folder.provenance()
            stored, attributes = storage.read()
            trials = self._records([each for each in stored if TrialAttributes.of(each).complete])
            prediction = folder.prediction()
        return record_of(spec, provenance, trials, prediction, elapsed_s(attributes))

    def _storage(self, spec: StudySpec) -> Storage:
        """The storage backend, the same one as long as the spec is."""
        if self._opened is None or self._opened[0] != spec:
            self._opened = spec, storage_of(self._folder, spec)
        return self._opened[1]

    def _records(self, trials: Sequence[FrozenTrial]) -> list[TrialRecord]:
        stamps = _stamps(self._folder.path)
        records = _mapped(self._folder.path, lambda trial: self._record(trial, stamps), trials)
        retries = successors(trials)
        return [
            replace(record, retried_as=retries[record.number])
            if record.number in retries
            else record
            for record in records
        ]

    def _record(self, trial: FrozenTrial, stamps: Mapping[str, Stamp]) -> TrialRecord:
        """The record of a trial, without its retry. That of an ended one is kept."""
        log = self._logs.get(trial.number)
        if log is None:
            log = self._logs[trial.number] = MetricsLog(self._folder.trial(trial.number))
        key, known = (trial, stamps.get(log.folder.name)), self._ended.get(trial.number)
        if known is not None and known[0] == key:
            return known[1]
        log.changed(key[1])
        record = _read_record(self._folder, trial, log)
        if trial.state.is_finished():
            self._ended[trial.number] = key, record
        return record


def record_of(
    spec: StudySpec,
    provenance: Mapping[str, Any],
    trials: Sequence[TrialRecord],
    prediction: Prediction | None,
    wall_s: float,
) -> StudyRecord:
    """The record of a study of that spec.

    Args:
        spec: The study's spec.
        provenance: Of its first run.
        trials: All its trials by number, with those that were retried.
        prediction: Its predicted cost, None where none was made.
        wall_s: Seconds that it has run.
    """
    return StudyRecord(
        name=spec.name,
        question=spec.question,
        metric=spec.objectives[0].metric,
        direction=spec.objectives[0].direction,
        objectives=spec.objectives,
        planned=spec.planned_trials,
        trials=tuple(trial for trial in trials if trial.retried_as is None),
        corpus=provenance["corpus"],
        provenance=provenance,
        claims=spec.completed_claims,
        prediction=prediction,
        accuracy=spec.accuracy,
        reference=spec.reference,
        planned_seeds=spec.seeds,
        looks=1 + len(provenance.get("earlier_looks", ())),
        wall_s=wall_s,
        budget_spent=_budget_spent(spec, trials, wall_s),
        retried=tuple(trial for trial in trials if trial.retried_as is not None),
    )


def _mapped(
    place: StoragePath,
    read: Callable[[FrozenTrial], TrialRecord],
    trials: Sequence[FrozenTrial],
) -> list[TrialRecord]:
    """Results for the trials, in parallel from an object store, where a request is slow."""
    if place.is_local:
        return list(map(read, trials))
    with ThreadPoolExecutor(REQUESTS) as pool:
        return list(pool.map(read, trials))


def _stamps(place: StoragePath) -> Mapping[str, Stamp]:
    """Time and size of every metrics log, by the name of its trial's folder."""
    if not place.is_local:
        return {
            name.split("/")[-2]: (info.mtime_ns or 0, info.size)
            for name, info in place.walk_files().items()
            if name.endswith(f"/{LOG}")
        }
    stamps: dict[str, Stamp] = {}
    for path in Path(place).glob(f"trials/*/{LOG}"):
        with suppress(FileNotFoundError):
            stat = path.stat()
            stamps[path.parent.name] = stat.st_mtime_ns, stat.st_size
    return stamps


def _read_record(folder: StudyFolder, trial: FrozenTrial, log: MetricsLog) -> TrialRecord:
    last = log.last()
    origin = None if trial.state == TrialState.WAITING else log.folder.origin()
    attributes = TrialAttributes.of(trial)
    ending = (attributes.ending if trial.state.is_finished() else None) or Report(0, {})
    return TrialRecord(
        number=trial.number,
        trial_id=attributes.trial_id,
        cell_id=attributes.cell_id,
        seed=attributes.seed,
        knobs=attributes.knobs,
        outcome=outcome_of(trial),
        reason="; ".join(
            text for text in (ending.reason, _origin_words(folder, origin, last)) if text
        ),
        metrics=ending.metrics or (last.metrics if last else {}),
        step=last.step if last else 0,
        history=log,
        duration_s=last.elapsed_s if last else 0.0,
        adopted_steps=origin.step if origin else 0,
        clips=log.folder.metrics_by_recording() if ending.outcome == "complete" else None,
    )


def _budget_spent(spec: StudySpec, trials: Sequence[TrialRecord], wall_s: float) -> str | None:
    steps = {
        trial.number: trial.step - trial.adopted_steps if trial.step else 0 for trial in trials
    }
    progress = [
        (steps[trial.number], trial.duration_s)
        for trial in trials
        if steps[trial.number] or trial.outcome == "running"
    ]
    return spec.budget.exhausted_by(usage_of(progress, spec.resources.gpus_per_trial, wall_s))


def _origin_words(folder: StudyFolder, origin: Origin | None, last: Report | None) -> str:
    if origin is None:
        return ""
    where = f"trial {origin.trial}" + (
        f" of study {origin.study}" if origin.study != folder.name else ""
    )
    whole = last is not None and last.step == origin.step and last.outcome != "running"
    return f"trained as {where}" if whole else f"continued from step {origin.step} of {where}"
