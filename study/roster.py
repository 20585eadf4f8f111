"""What asking for a trial takes into account of all the others, so that each of them is looked at once after it has ended."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from study.points import POINT
from study.reading import stored_outcome

UNTRAINED = ("waiting", "failed", "cancelled")
"""Outcomes of trials that do not keep another of the same configuration from being trained."""


class Roster:
    """Counts over a study's trials, brought up to date by `read`.

    Attributes:
        ended: Trials that have ended.
        points: Points that were proposed; replicates repeat one of them.
        waits: Whether a trial waits to be started.
    """

    def __init__(self) -> None:
        self.ended, self.points, self.waits = 0, 0, False
        self._settled, self._settled_points = 0, 0
        self._trained: dict[str, int] = {}
        self._open: list[FrozenTrial] = []

    def read(self, trials: Sequence[FrozenTrial]) -> None:
        """Takes in the study's trials, in the order of their numbers. The ended ones before the first that has not are kept count of."""
        while self._settled < len(trials) and trials[self._settled].state.is_finished():
            trial = trials[self._settled]
            self._settled += 1
            self._settled_points += POINT not in trial.user_attrs
            if stored_outcome(trial) not in UNTRAINED:
                self._trained.setdefault(trial.user_attrs["trial_id"], trial.number)
        self._open = list(trials[self._settled :])
        self.ended = self._settled + sum(trial.state.is_finished() for trial in self._open)
        self.points = self._settled_points + sum(POINT not in trial.user_attrs for trial in self._open)
        self.waits = any(trial.state == TrialState.WAITING for trial in self._open)

    def same(self, trial_id: str, number: int) -> int | None:
        """Number of another trial than `number` that trains, or has trained, the configuration of this id."""
        if trial_id in self._trained:
            return self._trained[trial_id]
        for trial in self._open:
            if trial.number != number and trial.user_attrs.get("trial_id") == trial_id and stored_outcome(trial) not in UNTRAINED:
                return trial.number
        return None
