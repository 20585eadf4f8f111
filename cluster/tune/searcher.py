"""Ray Tune's searcher over the dispatcher: Tune runs the trials that the dispatcher returns."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from ray.tune.search import Searcher

from cluster.events import EventKind, StudyEvent
from cluster.stop_flag import StopFlag
from cluster.tune.results import CRASHED, PAUSED, UNWRITABLE
from cpc_core.report import FinalOutcome, Outcome
from study.control.requests import Desired
from study.dispatch.dispatcher import Dispatcher
from study.dispatch.trial_spec import TrialSpec
from study.storage.attributes import CANCELLED_BY_USER

_METRICS = "metrics/"
"""Tune joins nested names of results by a slash."""


@dataclass
class RunningTrial:
    """Trial that is being trained, as of its latest report."""

    trial: TrialSpec
    step: int = 0
    outcome: Outcome = "running"
    reason: str = ""
    metrics: Mapping[str, float] | None = None
    pruned: bool = False
    cancelled: bool = False
    resumable: bool = False
    crash: str = ""
    reported_s: float | None = None


_FINISHED = cast(dict[str, Any], Searcher.FINISHED)
"""Ray declares that a dict is suggested, and accepts this word, too."""


class StudySearcher(Searcher):
    """Dispatches trials to Tune and records their true outcomes.

    Args:
        dispatcher: The open study.
        concurrent: Trials that may run at the same time.
        scratch: Folder of the trials' stop flags.
        on_event: Called in this process for everything that happens.
        first: A trial that is dispatched already.

    Attributes:
        desired: Request to the whole study.
        report_s: Seconds that the latest report of a trial took, None before the second one.
        unwritable: Why a trial could not write its folder; empty while they can. No trial is
            dispatched from then on.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        concurrent: int,
        scratch: str,
        on_event: Callable[[StudyEvent], None],
        first: TrialSpec | None = None,
    ) -> None:
        super().__init__()
        self._dispatcher, self._concurrent, self._scratch, self._on_event = (
            dispatcher,
            concurrent,
            scratch,
            on_event,
        )
        self._first = first
        self._live: dict[str, RunningTrial] = {}
        self.desired: Desired = "run"
        self.report_s: float | None = None
        self.unwritable = ""
        self._lost: list[RunningTrial] = []
        self._losses: Counter[int] = Counter()

    @property
    def running(self) -> int:
        """Number of running trials."""
        return len(self._live)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles searchers into its own folder, which is thrown away."""
        return {}

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        if self.desired in ("stop", "cancel"):
            return _FINISHED
        if len(self._live) >= self._concurrent:
            return None
        if self._lost:
            self._live[trial_id] = self._lost.pop(0)
            return self._config(self._live[trial_id])
        trial, self._first = self._first, None
        if trial is None:
            if self.desired == "pause":
                return None if self._live else _FINISHED
            trial = self._dispatcher.ask()
        if trial is None:
            return None if self._live else _FINISHED
        self._live[trial_id] = RunningTrial(trial)
        self._emit("started", self._live[trial_id])
        return self._config(self._live[trial_id])

    def record(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Records a result, whose checkpoint is on disk; True if the trial is to be stopped."""
        live = self._live[trial_id]
        if result["outcome"] == CRASHED:
            live.crash = result["reason"]
            return False
        if result["outcome"] == UNWRITABLE:
            self.unwritable, self.desired = result["reason"], "stop"
            live.resumable = True
            return True
        if result["outcome"] == PAUSED:
            live.step, live.resumable = result["step"], True
            return True
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
        number = live.trial.number
        self._dispatcher.report(number, live.step, live.metrics)
        live.pruned = live.outcome == "running" and self._dispatcher.should_prune(number)
        self._emit("report", live)
        live.resumable = self.desired == "stop" and live.outcome == "running" and not live.pruned
        stop = live.pruned or live.resumable or live.cancelled
        if stop:
            # Tune keeps the trial's actor for a later one, and calls it only then.
            self._flag(live).set()
        return stop

    def leave_resumable(self, trial_id: str) -> bool:
        """Leaves a trial resumable if the study is stopped; True if it is."""
        live = self._live.get(trial_id)
        if live is None or self.desired != "stop":
            return False
        live.resumable = True
        return True

    def cancel(self, trial_id: str, numbers: Collection[int]) -> bool:
        """Cancels a trial if its number is listed or all are; True if it was not before."""
        live = self._live.get(trial_id)
        if (
            live is None
            or live.cancelled
            or not (self.desired == "cancel" or live.trial.number in numbers)
        ):
            return False
        live.cancelled = True
        self._flag(live).set()
        return True

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        live = self._live.pop(trial_id)
        if live.resumable and not live.cancelled:
            self._emit("left", live)
            return
        number, crashed = live.trial.number, error or bool(live.crash)
        unfinished = live.outcome == "running" and not (live.pruned or live.cancelled)
        if (
            crashed
            and unfinished
            and self._losses[number] < self._dispatcher.spec.resources.max_failures
        ):
            # Tune's own retries give up a trial whose next process dies before it has started,
            # however few its failures.
            self._losses[number] += 1
            self._lost.append(replace(live, crash=""))
            return
        outcome, reason = _ending(live, crashed)
        live.outcome, live.reason = outcome, reason
        self._dispatcher.tell(number, outcome, live.metrics or {}, reason)
        self._emit("ended", live)

    def save(self, checkpoint_path: str) -> None:
        """Saves nothing: the storage is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Restores nothing: every run creates a new Tuner over the storage."""

    def _config(self, live: RunningTrial) -> dict[str, Any]:
        """Tune's configuration of an attempt at a trial."""
        return {"number": live.trial.number, "attempt": self._losses[live.trial.number]}

    def _flag(self, live: RunningTrial) -> StopFlag:
        return StopFlag(self._scratch, **self._config(live))

    def _time(self, live: RunningTrial) -> None:
        now = time.monotonic()
        if live.reported_s is not None:
            self.report_s = now - live.reported_s
        live.reported_s = now

    def _emit(self, kind: EventKind, live: RunningTrial) -> None:
        ended, planned = self._dispatcher.ended, self._dispatcher.spec.planned_trials
        self._on_event(
            StudyEvent(
                kind,
                live.trial,
                live.step,
                live.metrics or {},
                live.outcome,
                live.reason,
                ended,
                planned,
            )
        )


def _ending(live: RunningTrial, crashed: bool) -> tuple[FinalOutcome, str]:
    """Final outcome and reason, from the evidence."""
    if live.outcome in ("complete", "diverged", "failed"):
        return cast(FinalOutcome, live.outcome), live.reason
    if live.cancelled:
        return "cancelled", CANCELLED_BY_USER
    if live.pruned:
        return "pruned", f"stopped at step {live.step}: worse than the other trials there"
    if crashed:
        return "failed", (
            f"its process ended unexpectedly after step {live.step}, more often than "
            f"resources.max_failures allows{f': {live.crash}' if live.crash else ''}"
        )
    return "failed", f"training returned after step {live.step} without a final report"
