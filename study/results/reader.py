"""The reader of study folders, which may be written meanwhile. It never writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from optuna.trial import FrozenTrial

from cpc_core.report import Report
from study.folders.study_folder import Prediction, StudyFolder
from study.folders.trial_folder import Origin
from study.folders.usage import elapsed_s, usage_of
from study.results.records import StudyRecord, TrialRecord
from study.spec.study_spec import StudySpec
from study.storage.attributes import TrialAttributes, outcome_of, successors
from study.storage.backends import storage_errors, storage_of

REQUESTS = 16
"""Simultaneous requests to an object store."""


def read_study(folder: StudyFolder) -> StudyRecord:
    """Reads the record of a study at this moment.

    Raises:
        ConfigError: The folder holds no study, or its files are damaged.
        UnreachableError: Its database does not answer.
    """
    spec = folder.spec()
    storage = storage_of(folder, spec)
    with storage_errors(folder, storage):
        provenance = folder.provenance()
        stored, attributes = storage.read()
        identified = [trial for trial in stored if TrialAttributes.of(trial).complete]
        trials = _records(folder, identified)
        prediction = folder.prediction()
    return record_of(spec, provenance, trials, prediction, elapsed_s(attributes))


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


def _budget_spent(spec: StudySpec, trials: Sequence[TrialRecord], wall_s: float) -> str | None:
    steps = {
        trial.number: trial.history[-1].step - trial.adopted_steps if trial.history else 0
        for trial in trials
    }
    progress = [
        (steps[trial.number], trial.duration_s)
        for trial in trials
        if steps[trial.number] or trial.outcome == "running"
    ]
    return spec.budget.exhausted_by(usage_of(progress, spec.resources.gpus_per_trial, wall_s))


def _records(folder: StudyFolder, trials: Sequence[FrozenTrial]) -> tuple[TrialRecord, ...]:
    """Records of the trials, read in parallel from an object store, where a request is slow."""
    retries = successors(trials)
    if folder.path.is_local:
        return tuple(_record(folder, trial, retries.get(trial.number)) for trial in trials)
    with ThreadPoolExecutor(REQUESTS) as pool:
        return tuple(
            pool.map(lambda trial: _record(folder, trial, retries.get(trial.number)), trials)
        )


def _record(folder: StudyFolder, trial: FrozenTrial, retried_as: int | None) -> TrialRecord:
    own = folder.trial(trial.number)
    log, origin = own.log(), own.origin()
    attributes = TrialAttributes.of(trial)
    ended = trial.state.is_finished()
    ending = (attributes.ending if ended else None) or Report(0, {})
    return TrialRecord(
        number=trial.number,
        trial_id=attributes.trial_id,
        cell_id=attributes.cell_id,
        seed=attributes.seed,
        knobs=attributes.knobs,
        outcome=outcome_of(trial),
        reason="; ".join(
            text for text in (ending.reason, _origin_words(folder, origin, log)) if text
        ),
        metrics=ending.metrics or (log[-1].metrics if log else {}),
        history=log,
        duration_s=log[-1].elapsed_s if log else 0.0,
        retried_as=retried_as,
        adopted_steps=origin.step if origin else 0,
        clips=own.metrics_by_recording() if ending.outcome == "complete" else None,
    )


def _origin_words(folder: StudyFolder, origin: Origin | None, log: tuple[Report, ...]) -> str:
    if origin is None:
        return ""
    where = f"trial {origin.trial}" + (
        f" of study {origin.study}" if origin.study != folder.name else ""
    )
    whole = log and log[-1].step == origin.step and log[-1].outcome != "running"
    return f"trained as {where}" if whole else f"continued from step {origin.step} of {where}"
