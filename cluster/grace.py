"""Bound on the time between a request to stop and the last checkpoint of a trial."""

from __future__ import annotations

import time
from collections.abc import Callable

from cluster.stop_flag import StudyStopFlag
from cpc_core.distributed import from_first_worker


class Grace:
    """Decision after each step between two reports: to go on, or to save a checkpoint and end.

    Once a stop was requested, a trial goes on only while its next report is likely to come in time.
    The first worker decides for all, because they have to end after the same step.

    Args:
        seconds: Time that a trial has from the request on.
        requested: True once a stop was requested.
    """

    def __init__(self, seconds: float, requested: Callable[[], bool]) -> None:
        self._seconds, self._requested = seconds, requested
        self._deadline_s: float | None = None
        self._first_s = self._latest_s = time.monotonic()
        self._steps, self._longest_s = 0, 0.0

    @classmethod
    def of_study(cls, seconds: float | None, scratch: str) -> Grace | None:
        """Decision of the trials of a run with that scratch folder; None without a limit."""
        return None if seconds is None else cls(seconds, StudyStopFlag(scratch).is_set)

    def __call__(self, steps_left: int) -> bool:
        """True if the attempt is to end here, with so many steps to the next report."""
        return from_first_worker(self._too_late(steps_left))

    def _too_late(self, steps_left: int) -> bool:
        now = time.monotonic()
        if self._steps:
            # The longest one has a report in it, with its evaluation and its checkpoint.
            self._longest_s = max(self._longest_s, now - self._latest_s)
        else:
            self._first_s = now  # What comes before the first step, such as the model, is no step.
        self._steps, self._latest_s = self._steps + 1, now
        if self._deadline_s is None and self._requested():
            self._deadline_s = now + self._seconds
        if self._deadline_s is None:
            return False
        step_s = (now - self._first_s) / max(1, self._steps - 1)
        return now + steps_left * step_s + self._longest_s >= self._deadline_s
