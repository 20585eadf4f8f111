"""Trials that a control request may name."""

from __future__ import annotations

from collections.abc import Iterable

from cpc_core.errors import ConfigError
from study.errors import NotFoundError
from study.results.records import StudyRecord, TrialRecord
from study.storage.attributes import CANCELLED_BY_USER


def retriable(record: StudyRecord, numbers: Iterable[int] | None) -> list[TrialRecord]:
    """Trials to train again: the named ones, or all that failed, diverged or were user-cancelled.

    Raises:
        NotFoundError: A number is no trial of the study, or nothing is left to retry.
        ConfigError: A named trial cannot be retried.
    """
    if numbers is None:
        found = [trial for trial in record.trials if _refusal(trial) is None]
        if not found:
            raise NotFoundError(
                f"{record.name} has nothing to retry: no trial failed, diverged or was cancelled "
                "by the user"
            )
        return found
    named = [record.trial(number) for number in sorted(set(numbers))]
    for trial in named:
        refusal = _refusal(trial)
        if refusal is not None:
            raise ConfigError(f"trial {trial.number} of {record.name} {refusal}")
    return named


def cancellable(record: StudyRecord, numbers: Iterable[int] | None) -> list[TrialRecord]:
    """Trials to cancel: the named ones, or all that wait or run.

    Raises:
        NotFoundError: A number is no trial of the study, or nothing is left to cancel.
        ConfigError: A named trial has ended.
    """
    if numbers is None:
        found = [trial for trial in record.trials if not trial.ended]
        if not found:
            raise NotFoundError(
                f"{record.name} has nothing to cancel: no trial is running or waiting"
            )
        return found
    named = [record.trial(number) for number in sorted(set(numbers))]
    for trial in named:
        if trial.ended:
            raise ConfigError(
                f"trial {trial.number} of {record.name} has already ended ({trial.outcome}): name "
                "one that runs or waits"
            )
    return named


def _refusal(trial: TrialRecord) -> str | None:
    """Reason not to train a trial again, to follow its number; None if it can be trained."""
    if trial.retried_as is not None:
        return f"was retried as trial {trial.retried_as}: name that one"
    if not trial.ended:
        return f"has not ended ({trial.outcome}): `cpc study resume` continues it"
    if not trial.trial_id:
        return f"cannot be trained, however often ({trial.reason})"
    if trial.outcome in ("failed", "diverged") or (
        trial.outcome == "cancelled" and trial.reason == CANCELLED_BY_USER
    ):
        return None
    reason = f" ({trial.reason})" if trial.reason else ""
    return (
        f"is {trial.outcome}{reason}: only failed, diverged and user-cancelled trials are retried"
    )
