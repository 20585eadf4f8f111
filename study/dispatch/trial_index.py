"""What asking for a trial takes into account of all the others, so that each of them is looked at
once after it has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from optuna.trial import FrozenTrial, TrialState

from search_spaces.samplers.base import POINT
from study.spec.study_spec import StudySpec
from study.storage.attributes import CANCELLED_BY_USER, RETRY_OF, stored_outcome

UNTRAINED = ("waiting", "failed", "cancelled")
"""Outcomes of trials that do not keep another of the same configuration from being trained, unless
the user cancelled them.
"""


class TrialIndex:
    """Counts over a study's trials, brought up to date by `read`.

    Attributes:
        ended: Trials that have ended, without those that were retried.
        points: Points that were proposed; replicates repeat one of them.
        waits: Whether a trial waits to be started.
    """

    def __init__(self) -> None:
        self.ended, self.points, self.waits = 0, 0, False
        self._settled, self._settled_points = 0, 0
        self._trained: dict[str, int] = {}
        self._retried: set[int] = set()
        self._open: list[FrozenTrial] = []

    def read(self, trials: Sequence[FrozenTrial]) -> None:
        """Takes in the study's trials, in the order of their numbers. The ended ones before the
        first that has not are kept count of.
        """
        self._retried.update(
            trial.user_attrs[RETRY_OF]
            for trial in trials[self._settled :]
            if RETRY_OF in trial.user_attrs
        )
        while self._settled < len(trials) and trials[self._settled].state.is_finished():
            trial = trials[self._settled]
            self._settled += 1
            self._settled_points += POINT not in trial.user_attrs
            if _keeps(trial) and self._holder(trial.user_attrs["trial_id"]) is None:
                self._trained[trial.user_attrs["trial_id"]] = trial.number
        self._open = list(trials[self._settled :])
        self.ended = (
            self._settled
            + sum(trial.state.is_finished() for trial in self._open)
            - len(self._retried)
        )
        self.points = self._settled_points + sum(
            POINT not in trial.user_attrs for trial in self._open
        )
        self.waits = any(trial.state == TrialState.WAITING for trial in self._open)

    def same(self, trial_id: str, number: int, begun: Callable[[int], bool]) -> int | None:
        """Number of another trial than `number` that trains, or has trained, the configuration of
        this id.

        Args:
            trial_id: Of the configuration.
            number: Of the trial that is to be trained.
            begun: Whether the training of a running trial was begun. A kill can leave a repeat
                marked as running before it is found to be one; it must not end the trial that it
                repeats.
        """
        holder = self._holder(trial_id)
        if holder is not None:
            return holder
        for trial in self._open:
            other = trial.number not in (number, *self._retried)
            if not other or trial.user_attrs.get("trial_id") != trial_id or not _keeps(trial):
                continue
            if trial.state.is_finished() or begun(trial.number):
                return trial.number
        return None

    def _holder(self, trial_id: str) -> int | None:
        """The settled trial that has trained this configuration, and still counts."""
        holder = self._trained.get(trial_id)
        return None if holder in self._retried else holder


def _keeps(trial: FrozenTrial) -> bool:
    """Whether a trial keeps its configuration from being trained again. One that the user cancelled
    does, until it is retried.
    """
    outcome = stored_outcome(trial)
    by_user = outcome == "cancelled" and trial.user_attrs["ending"]["reason"] == CANCELLED_BY_USER
    return by_user or outcome not in UNTRAINED


def wilcoxon_verdict(trials: Iterable[FrozenTrial], cell_id: str, spec: StudySpec) -> str | None:
    """The same, read from a study's trials; None unless its spec spends seeds adaptively."""
    if spec.pruner.judges != "finals":
        return None
    sign = 1.0 if spec.objectives[0].direction == "maximize" else -1.0
    values: dict[str, dict[int, float]] = {}
    for trial in trials:
        if trial.state == TrialState.COMPLETE and trial.value is not None:
            values.setdefault(trial.user_attrs["cell_id"], {})[trial.user_attrs["seed"]] = (
                sign * trial.value
            )
    return spec.pruner.verdict(values, cell_id)
