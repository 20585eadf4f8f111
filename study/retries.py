"""Trials that are trained again. Optuna never reopens a trial that has ended: a retry is a new one that takes its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from optuna.trial import FrozenTrial

from cpc_core.config import CpcConfig
from cpc_core.errors import ConfigError
from study.errors import NotFoundError
from study.records import CANCELLED_BY_USER, StudyRecord, TrialRecord
from study.trial_folder import TrialFolder

RETRY_OF, CONTINUES = "retry_of", "continues"
"""User attributes of a retry: the trial that it stands in for, and the step of that one's training from which it goes on, if it does."""


def successors(trials: Iterable[FrozenTrial]) -> dict[int, int]:
    """Number of each trial that was retried → number of its retry."""
    return {trial.user_attrs[RETRY_OF]: trial.number for trial in trials if RETRY_OF in trial.user_attrs}


def retry_attributes(trial: FrozenTrial, folder: TrialFolder, *, fresh: bool) -> dict[str, Any]:
    """User attributes of the retry of a trial.

    Args:
        trial: A trial that failed, diverged or was cancelled.
        folder: Its folder.
        fresh: Whether to train from scratch although there is a checkpoint.
    """
    kept = {name: trial.user_attrs[name] for name in ("seed", "knobs", "trial_id", "cell_id")}
    step = None if fresh else _last_good(trial.user_attrs["ending"]["outcome"], folder)
    goes_on = {} if step is None else {CONTINUES: step}
    return {**kept, **goes_on, RETRY_OF: trial.number}


def take_over(attributes: Mapping[str, Any], old: TrialFolder, own: TrialFolder, config: CpcConfig) -> bool:
    """Gives a retry what it goes on from; returns whether there is such a thing.

    Args:
        attributes: User attributes of the retry.
        old: Folder of the trial that it stands in for.
        own: Its own folder.
        config: The configuration of both.
    """
    step = attributes.get(CONTINUES)
    if step is None:
        return False
    ending = old.ending()
    own.adopt(old, config, step, ended=ending is not None and ending.step == step)
    return True


def _last_good(outcome: str, folder: TrialFolder) -> int | None:
    """The step of the newest checkpoint, where going on from it can end otherwise than the first time."""
    if outcome == "diverged" or (outcome == "failed" and folder.ending() is not None):
        return None
    return folder.newest_step()


def retriable(record: StudyRecord, numbers: Iterable[int] | None) -> list[TrialRecord]:
    """The trials to train again: those named, or all that failed, diverged or were cancelled by the user.

    Raises:
        NotFoundError: A number is no trial of the study, or nothing is left to retry.
        ConfigError: A named trial cannot be retried; says why.
    """
    if numbers is None:
        found = [trial for trial in record.trials if _refusal(trial) is None]
        if not found:
            raise NotFoundError(f"{record.name} has nothing to retry: no trial failed, diverged or was cancelled by the user")
        return found
    named = [record.trial(number) for number in sorted(set(numbers))]
    for trial in named:
        refusal = _refusal(trial)
        if refusal is not None:
            raise ConfigError(f"trial {trial.number} of {record.name} {refusal}")
    return named


def cancellable(record: StudyRecord, numbers: Iterable[int] | None) -> list[TrialRecord]:
    """The trials to cancel: those named, or all that wait or run.

    Raises:
        NotFoundError: A number is no trial of the study, or nothing is left to cancel.
        ConfigError: A named trial has ended.
    """
    if numbers is None:
        found = [trial for trial in record.trials if not trial.ended]
        if not found:
            raise NotFoundError(f"{record.name} has nothing to cancel: no trial is running or waiting")
        return found
    named = [record.trial(number) for number in sorted(set(numbers))]
    for trial in named:
        if trial.ended:
            raise ConfigError(f"trial {trial.number} of {record.name} has already ended ({trial.outcome}): name one that runs or waits")
    return named


def _refusal(trial: TrialRecord) -> str | None:
    """Why a trial is not trained again, or None where it can be."""
    if trial.retried_as is not None:
        return f"was retried as trial {trial.retried_as}: name that one"
    if not trial.ended:
        return f"has not ended ({trial.outcome}): `cpc study resume` goes on with it"
    if not trial.trial_id:
        return f"cannot be trained, however often ({trial.reason})"
    if trial.outcome in ("failed", "diverged") or (trial.outcome == "cancelled" and trial.reason == CANCELLED_BY_USER):
        return None
    return f"is {trial.outcome}{f' ({trial.reason})' if trial.reason else ''}: only failed, diverged and user-cancelled trials are retried"
