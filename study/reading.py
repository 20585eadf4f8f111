"""Reads a study folder into records, also while it is being written. Never writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import yaml
from optuna.trial import FrozenTrial, TrialState
from pydantic import ValidationError

from cpc_core.corpus.location import Location
from cpc_core.errors import ConfigError
from study.assignment import described
from study.budget import elapsed_s, spent
from study.files import Place
from study.reaching import reached
from study.records import Outcome, Prediction, StudyRecord, TrialRecord
from study.retries import successors
from study.spec import StudySpec
from study.storage import known
from study.trial_folder import LogEntry, Origin, TrialFolder

SPEC, PROVENANCE, PREDICTION = "spec.yaml", "provenance.json", "prediction.json"

REQUESTS = 16
"""To an object store at the same time."""

_UNFINISHED: dict[TrialState, Outcome] = {TrialState.WAITING: "waiting", TrialState.RUNNING: "running"}


def read_study(folder: Place) -> StudyRecord:
    """Everything known of a study at this moment.

    Raises:
        ConfigError: The folder holds no study, or its files are damaged.
        UnreachableError: Its database does not answer.
    """
    place = Location.of(folder)
    spec = read_spec(place)
    with reached(place, spec.store):
        provenance = read_provenance(place)
        stored, attributes = known(place, spec, provenance)
        trials = _records(place, [trial for trial in stored if described(trial)])
        prediction = _prediction(place)
    wall_s = elapsed_s(attributes)
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
        claims=spec.stated_claims,
        prediction=prediction,
        reference=spec.reference,
        wall_s=wall_s,
        budget_spent=_budget_spent(spec, trials, wall_s),
        retried=tuple(trial for trial in trials if trial.retried_as is not None),
    )


def read_spec(folder: Place) -> StudySpec:
    """The spec that the study was started with.

    Raises:
        ConfigError: It is missing or damaged.
    """
    path = folder / SPEC
    try:
        return StudySpec.model_validate(yaml.safe_load(path.read_bytes()))
    except FileNotFoundError as error:
        raise ConfigError(f"{folder} holds no study: it has no {SPEC}; start one with `cpc study run SPEC.yaml -o {folder}`") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise ConfigError(f"{path} cannot be read ({first}): restore it, or start the study again in another folder") from error


def read_provenance(folder: Place) -> dict[str, Any]:
    """Versions, hardware and hashes of the study's first run.

    Raises:
        ConfigError: They are missing or damaged.
    """
    return _json(folder / PROVENANCE)


def _budget_spent(spec: StudySpec, trials: Sequence[TrialRecord], wall_s: float) -> str | None:
    steps = {trial.number: trial.history[-1].step - trial.adopted_steps if trial.history else 0 for trial in trials}
    progress = [(steps[trial.number], trial.duration_s) for trial in trials if steps[trial.number] or trial.outcome == "running"]
    return spec.budget.exhausted_by(spent(progress, spec.resources.gpus_per_trial, wall_s))


def _prediction(folder: Location) -> Prediction | None:
    path = folder / PREDICTION
    return Prediction(**_json(path)) if path.exists() else None


def _json(path: Place) -> dict[str, Any]:
    try:
        return cast(dict[str, Any], json.loads(path.read_bytes()))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}): restore it, or start the study again in another folder") from error


def stored_outcome(trial: FrozenTrial) -> Outcome:
    """How a trial stands in the store."""
    if trial.state in _UNFINISHED:
        return _UNFINISHED[trial.state]
    return cast(Outcome, trial.user_attrs["ending"]["outcome"])


def _records(folder: Location, trials: Sequence[FrozenTrial]) -> tuple[TrialRecord, ...]:
    """A record of each. A store answers many requests at the same time, and one after the other slowly."""
    retries = successors(trials)
    if folder.is_local:
        return tuple(_record(folder, trial, retries.get(trial.number)) for trial in trials)
    with ThreadPoolExecutor(REQUESTS) as pool:
        return tuple(pool.map(lambda trial: _record(folder, trial, retries.get(trial.number)), trials))


def _record(folder: Location, trial: FrozenTrial, retried_as: int | None) -> TrialRecord:
    own = TrialFolder(folder, trial.number)
    log, origin = own.log(), own.origin()
    ending: dict[str, Any] = trial.user_attrs["ending"] if trial.state.is_finished() else {"reason": "", "metrics": {}}
    attributes = trial.user_attrs
    return TrialRecord(
        number=trial.number,
        trial_id=attributes["trial_id"],
        cell_id=attributes["cell_id"],
        seed=attributes["seed"],
        knobs=attributes["knobs"],
        outcome=stored_outcome(trial),
        reason="; ".join(text for text in (ending["reason"], _origin_words(folder, origin, log)) if text),
        metrics=ending["metrics"] or (log[-1].metrics if log else {}),
        history=tuple(entry.report for entry in log),
        duration_s=log[-1].elapsed_s if log else 0.0,
        retried_as=retried_as,
        adopted_steps=origin.step if origin else 0,
    )


def _origin_words(folder: Location, origin: Origin | None, log: tuple[LogEntry, ...]) -> str:
    if origin is None:
        return ""
    where = f"trial {origin.trial}" + (f" of study {origin.study}" if origin.study != folder.name else "")
    whole = log and log[-1].step == origin.step and log[-1].outcome != "running"
    return f"trained as {where}" if whole else f"continued from step {origin.step} of {where}"
