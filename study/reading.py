"""Reads a study folder into records, also while it is being written. Never writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import optuna
import yaml
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from pydantic import ValidationError

from cpc_core.errors import ConfigError
from study.budget import elapsed_s, spent
from study.records import Outcome, Prediction, StudyRecord, TrialRecord
from study.retries import Start, successors
from study.spec import StudySpec
from study.trial_folder import TrialFolder

SPEC, PROVENANCE, JOURNAL, PREDICTION = "spec.yaml", "provenance.json", "journal.log", "prediction.json"

_UNFINISHED: dict[TrialState, Outcome] = {TrialState.WAITING: "waiting", TrialState.RUNNING: "running"}


def read_study(folder: Path) -> StudyRecord:
    """Everything known of a study at this moment.

    Raises:
        ConfigError: The folder holds no study, or its files are damaged.
    """
    spec = read_spec(folder)
    provenance = read_provenance(folder)
    stored = _trials(folder, spec)
    retries = successors(stored)
    trials = tuple(_record(folder, trial, retries.get(trial.number)) for trial in stored)
    starts = {trial.number: Start.of(trial.user_attrs) for trial in stored}
    wall_s = elapsed_s(folder)
    return StudyRecord(
        name=spec.name,
        question=spec.question,
        metric=spec.objective.metric,
        direction=spec.objective.direction,
        planned=spec.planned_trials,
        trials=tuple(trial for trial in trials if trial.retried_as is None),
        corpus=provenance["corpus"],
        provenance=provenance,
        claims=spec.stated_claims,
        prediction=_prediction(folder),
        reference=spec.reference,
        wall_s=wall_s,
        budget_spent=_budget_spent(spec, trials, starts, wall_s),
        retried=tuple(trial for trial in trials if trial.retried_as is not None),
    )


def read_spec(folder: Path) -> StudySpec:
    """The spec that the study was started with.

    Raises:
        ConfigError: It is missing or damaged.
    """
    path = folder / SPEC
    try:
        return StudySpec.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise ConfigError(f"{folder} holds no study: it has no {SPEC}; start one with `cpc study run SPEC.yaml -o {folder}`") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise ConfigError(f"{path} cannot be read ({first}): restore it, or start the study again in another folder") from error


def read_provenance(folder: Path) -> dict[str, Any]:
    """Versions, hardware and hashes of the study's first run.

    Raises:
        ConfigError: They are missing or damaged.
    """
    return _json(folder / PROVENANCE)


def _budget_spent(spec: StudySpec, trials: Sequence[TrialRecord], starts: Mapping[int, Start], wall_s: float) -> str | None:
    progress = []
    for trial in trials:
        start = starts[trial.number]
        if trial.history:
            progress.append((trial.history[-1].step - start.step, trial.duration_s - start.elapsed_s))
        elif trial.outcome == "running":
            progress.append((0, 0.0))
    return spec.budget.exhausted_by(spent(progress, spec.resources.gpus_per_trial, wall_s))


def _prediction(folder: Path) -> Prediction | None:
    path = folder / PREDICTION
    return Prediction(**_json(path)) if path.exists() else None


def _json(path: Path) -> dict[str, Any]:
    try:
        return cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}): restore it, or start the study again in another folder") from error


def stored_outcome(trial: FrozenTrial) -> Outcome:
    """How a trial stands in the store."""
    if trial.state in _UNFINISHED:
        return _UNFINISHED[trial.state]
    return cast(Outcome, trial.user_attrs["ending"]["outcome"])


def _trials(folder: Path, spec: StudySpec) -> list[FrozenTrial]:
    journal = folder / JOURNAL
    if not journal.exists():
        return []
    try:
        study = optuna.load_study(study_name=spec.name, storage=JournalStorage(JournalFileBackend(str(journal))))
    except KeyError:
        # The driver writes the spec first, then the study's own entry.
        return []
    except (OSError, ValueError) as error:
        raise ConfigError(f"{journal} is damaged ({error}): restore it from a copy, or start the study again in another folder") from error
    # Trials that are being proposed right now have no seed yet.
    return [trial for trial in study.get_trials(deepcopy=False) if "seed" in trial.user_attrs]


def _record(folder: Path, trial: FrozenTrial, retried_as: int | None) -> TrialRecord:
    log = TrialFolder(folder, trial.number).log()
    ending: dict[str, Any] = trial.user_attrs["ending"] if trial.state.is_finished() else {"reason": "", "metrics": {}}
    attributes = trial.user_attrs
    return TrialRecord(
        number=trial.number,
        trial_id=attributes["trial_id"],
        cell_id=attributes["cell_id"],
        seed=attributes["seed"],
        knobs=attributes["knobs"],
        outcome=stored_outcome(trial),
        reason=ending["reason"],
        metrics=ending["metrics"] or (log[-1].metrics if log else {}),
        history=tuple(entry.report for entry in log),
        duration_s=log[-1].elapsed_s if log else 0.0,
        retried_as=retried_as,
    )
