"""Ray Tune's searcher and scheduler over the study store: Tune runs trials, the store decides and
remembers.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from ray.tune.search import Searcher

from cluster.events import EventKind, StudyEvent
from cpc_core.report import FinalOutcome, Outcome
from study.control.requests import Desired
from study.dispatch.dispatcher import Dispatcher
from study.dispatch.trial_spec import TrialSpec
from study.storage.attributes import CANCELLED_BY_USER

_METRICS = "metrics/"
"""Tune hands results on with nested names joined by a slash."""


@dataclass
class RunningTrial:
    """A trial that is being trained, as far as its latest report says."""

    assignment: TrialSpec
    step: int = 0
    outcome: Outcome = "running"
    reason: str = ""
    metrics: Mapping[str, float] | None = None
    pruned: bool = False
    cancelled: bool = False
    left: bool = False
    reported_s: float | None = None


_FINISHED = cast(dict[str, Any], Searcher.FINISHED)
"""Ray declares that a dict is suggested and takes this word, too."""


class StudySearcher(Searcher):
    """Asks the store for trials and tells it their true outcome.

    Attributes:
        wanted: What the whole study is to do.
        cancelled: Tune's names of the trials that were ended on purpose.
        report_s: Seconds that the latest report of a trial took, None before the second one.

    Args:
        store: The open study.
        concurrent: Trials that may run at the same time.
        on_event: Called in this process for everything that happens.
        first: A trial that the store has dispatched already.
    """

    def __init__(
        self,
        store: Dispatcher,
        concurrent: int,
        on_event: Callable[[StudyEvent], None],
        first: TrialSpec | None = None,
    ) -> None:
        super().__init__()
        self._store, self._concurrent, self._on_event = store, concurrent, on_event
        self._first = first
        self._live: dict[str, RunningTrial] = {}
        self.wanted: Desired = "run"
        self.cancelled: set[str] = set()
        self.report_s: float | None = None
        self._lost: list[RunningTrial] = []
        self._losses: Counter[int] = Counter()

    @property
    def running(self) -> int:
        """Trials that are running."""
        return len(self._live)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles searchers into its own folder, which is thrown away."""
        return {}

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        if self.wanted in ("stop", "cancel"):
            return _FINISHED
        if len(self._live) >= self._concurrent:
            return None
        if self._lost:
            self._live[trial_id] = self._lost.pop(0)
            return {"number": self._live[trial_id].assignment.number}
        assignment, self._first = self._first, None
        if assignment is None:
            if self.wanted == "pause":
                return None if self._live else _FINISHED
            assignment = self._store.ask()
        if assignment is None:
            return None if self._live else _FINISHED
        self._live[trial_id] = RunningTrial(assignment)
        self._emit("started", self._live[trial_id])
        return {"number": assignment.number}

    def record(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Takes in a result; returns whether the trial is to be stopped. Its checkpoint is on disk
        before its result comes.
        """
        live = self._live[trial_id]
        live.outcome, live.reason = result["outcome"], result["reason"]
        if live.outcome == "failed":
            return False
        self._time(live)
        live.step = result["step"]
        live.metrics = {
            name.removeprefix(_METRICS): value
            for name, value in result.items()
            if name.startswith(_METRICS)
        }
        number = live.assignment.number
        self._store.report(number, live.step, live.metrics)
        live.pruned = live.outcome == "running" and self._store.should_prune(number)
        self._emit("report", live)
        live.left = self.wanted == "stop" and live.outcome == "running" and not live.pruned
        return live.pruned or live.left or live.cancelled

    def leave(self, trial_id: str) -> bool:
        """Lets a trial be, because the study is stopped: it stays running in the store. Returns
        whether that is so.
        """
        live = self._live.get(trial_id)
        if live is None or self.wanted != "stop":
            return False
        live.left = True
        return True

    def cancel(self, trial_id: str, numbers: Collection[int]) -> bool:
        """Marks a trial as cancelled if its number is listed or all are cancelled. Returns whether
        it was not before.
        """
        live = self._live.get(trial_id)
        if (
            live is None
            or live.cancelled
            or not (self.wanted == "cancel" or live.assignment.number in numbers)
        ):
            return False
        live.cancelled = True
        self.cancelled.add(trial_id)
        return True

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        live = self._live.pop(trial_id)
        if live.left and not live.cancelled:
            self._emit("left", live)
            return
        number = live.assignment.number
        unfinished = live.outcome == "running" and not (live.pruned or live.cancelled)
        if error and unfinished and self._losses[number] < self._store.spec.resources.max_failures:
            # Left to itself, Tune gives up a trial whose next process dies before it has started,
            # however few its failures.
            self._losses[number] += 1
            self._lost.append(live)
            return
        outcome, reason = _ending(live, error)
        live.outcome, live.reason = outcome, reason
        self._store.tell(number, outcome, live.metrics or {}, reason)
        self._emit("ended", live)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the store is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore: every run makes a new Tuner over the store."""

    def _time(self, live: RunningTrial) -> None:
        now = time.monotonic()
        if live.reported_s is not None:
            self.report_s = now - live.reported_s
        live.reported_s = now

    def _emit(self, kind: EventKind, live: RunningTrial) -> None:
        ended, planned = self._store.ended, self._store.spec.planned_trials
        self._on_event(
            StudyEvent(
                kind,
                live.assignment,
                live.step,
                live.metrics or {},
                live.outcome,
                live.reason,
                ended,
                planned,
            )
        )


def _ending(live: RunningTrial, error: bool) -> tuple[FinalOutcome, str]:
    """The outcome that the evidence shows."""
    if live.outcome in ("complete", "diverged", "failed"):
        return cast(FinalOutcome, live.outcome), live.reason
    if live.cancelled:
        return "cancelled", CANCELLED_BY_USER
    if live.pruned:
        return "pruned", f"stopped at step {live.step}: worse than the other trials there"
    if error:
        return (
            "failed",
            f"its process ended unexpectedly after step {live.step}, more often than resources.max_failures allows",
        )
    return "failed", f"training returned after step {live.step} without a final report"
