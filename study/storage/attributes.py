"""User attributes of Optuna's trials: every name, with a typed reader and writer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from optuna.trial import FrozenTrial, Trial, TrialState

from cpc_core.report import FinalOutcome, Outcome, Report
from search_spaces.samplers.base import POINT
from search_spaces.space import Sample

CANCELLED_BY_USER = "cancelled by the user"
"""Reason of such a trial. Others are cancelled because another one has the same configuration."""

_SEED, _KNOBS, _TRIAL_ID, _CELL_ID = "seed", "knobs", "trial_id", "cell_id"
_RETRY_OF, _CONTINUES, _ENDING = "retry_of", "continues", "ending"


class TrialAttributes:
    """User attributes of one trial.

    Args:
        stored: Name → value.
    """

    def __init__(self, stored: Mapping[str, Any]) -> None:
        self._stored = stored

    @classmethod
    def of(cls, trial: FrozenTrial | Trial) -> TrialAttributes:
        """The attributes of a trial. Each access to those of a `Trial` copies them."""
        return cls(trial.user_attrs)

    @property
    def complete(self) -> bool:
        """True if the trial's identity is stored, which happens just after it was proposed."""
        return _CELL_ID in self._stored

    @property
    def seed(self) -> int:
        return cast(int, self._stored[_SEED])

    @property
    def knobs(self) -> Sample:
        return cast(Sample, self._stored[_KNOBS])

    @property
    def trial_id(self) -> str:
        """Signature of the configuration and the corpus; empty if it cannot be trained."""
        return cast(str, self._stored.get(_TRIAL_ID, ""))

    @property
    def cell_id(self) -> str:
        """Signature without the seed; empty if the configuration cannot be trained."""
        return cast(str, self._stored[_CELL_ID])

    @property
    def point(self) -> int | None:
        """Number of the trial whose proposed configuration this one repeats."""
        return cast("int | None", self._stored.get(POINT))

    @property
    def retry_of(self) -> int | None:
        """Number of the trial that this one replaces."""
        return cast("int | None", self._stored.get(_RETRY_OF))

    @property
    def continues(self) -> int | None:
        """Step of that trial's checkpoint from which this one resumes."""
        return cast("int | None", self._stored.get(_CONTINUES))

    @property
    def ending(self) -> Report | None:
        """Final outcome, reason and metrics, at step 0; None until the trial has ended."""
        ending = self._stored.get(_ENDING)
        return None if ending is None else Report(0, **ending)


def identity(
    sample: Sample,
    seed: int,
    trial_id: str = "",
    cell_id: str = "",
    *,
    point: int | None = None,
    retry_of: int | None = None,
    continues: int | None = None,
) -> dict[str, object]:
    """Attributes that identify a trial. Without ids its configuration cannot be trained.

    Args:
        sample: Knob name → value.
        seed: The replicate's.
        trial_id: Signature of the configuration and the corpus.
        cell_id: The same without the seed.
        point: Number of the trial whose proposed configuration this one repeats.
        retry_of: Number of the trial that this one replaces.
        continues: Step of that trial's checkpoint from which this one resumes.
    """
    # The cell's id comes last of what every trial has: `TrialAttributes.complete` looks for it.
    stored = {_SEED: seed, _KNOBS: dict(sample), _TRIAL_ID: trial_id, _CELL_ID: cell_id}
    links = {POINT: point, _RETRY_OF: retry_of, _CONTINUES: continues}
    return stored | {name: value for name, value in links.items() if value is not None}


def ending(
    outcome: FinalOutcome, reason: str, metrics: Mapping[str, float]
) -> tuple[str, dict[str, object]]:
    """Name and value of the attribute that an ended trial has."""
    return _ENDING, {"outcome": outcome, "reason": reason, "metrics": dict(metrics)}


def outcome_of(trial: FrozenTrial) -> Outcome:
    """Status of a stored trial."""
    if trial.state == TrialState.WAITING:
        return "waiting"
    report = TrialAttributes.of(trial).ending
    return "running" if trial.state == TrialState.RUNNING or report is None else report.outcome


def successors(trials: Iterable[FrozenTrial]) -> dict[int, int]:
    """Number of each trial that was retried → number of its retry."""
    retries = ((TrialAttributes.of(trial).retry_of, trial.number) for trial in trials)
    return {number: retry for number, retry in retries if number is not None}
