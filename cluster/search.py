"""Ray Tune's searcher and scheduler over the study store: Tune runs trials, the store decides and remembers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from study.records import Outcome
from study.store import Assignment, Ending, StudyStore

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController

_METRICS = "metrics/"
"""Tune hands results on with nested names joined by a slash."""


@dataclass(frozen=True)
class StudyEvent:
    """Something that happened in a running study, for live progress.

    Attributes:
        kind: A trial started, reported, or ended.
        assignment: The trial.
        step: Optimizer steps it has taken.
        metrics: Its latest metrics.
        outcome: How it stands.
        reason: Why, where that is not plain success.
        ended: Trials of the study that have ended, this one included.
        planned: Trials the study asks for in all.
    """

    kind: Literal["started", "report", "ended"]
    assignment: Assignment
    step: int
    metrics: Mapping[str, float]
    outcome: Outcome
    reason: str
    ended: int
    planned: int


@dataclass
class _Live:
    assignment: Assignment
    step: int = 0
    outcome: Outcome = "running"
    reason: str = ""
    metrics: Mapping[str, float] | None = None
    pruned: bool = False
    begun: bool = False


class StudySearch(Searcher):
    """Asks the store for trials and tells it their true outcome.

    Args:
        store: The open study.
        concurrent: Trials that may run at the same time.
        on_event: Called in this process for everything that happens.
    """

    def __init__(self, store: StudyStore, concurrent: int, on_event: Callable[[StudyEvent], None]) -> None:
        super().__init__()
        self._store, self._concurrent, self._on_event = store, concurrent, on_event
        self._live: dict[str, _Live] = {}
        self._again: list[Assignment] = []
        self._restarts: Counter[int] = Counter()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles searchers into its own folder, which is thrown away."""
        return {}

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        self._store.hold()
        if len(self._live) >= self._concurrent:
            return None
        if self._again:
            self._live[trial_id] = _Live(self._again.pop(0))
            return {"number": self._live[trial_id].assignment.number}
        assignment = self._store.ask()
        if assignment is None:
            # Ray declares a dict and takes this word, too.
            return None if self._live else cast(dict[str, Any], Searcher.FINISHED)
        self._store.trial_folder(assignment.number).create(assignment.config)
        self._live[trial_id] = _Live(assignment)
        self._emit("started", self._live[trial_id])
        return {"number": assignment.number}

    def begin(self, trial_id: str) -> None:
        """Notes that a process has taken the trial on."""
        self._live[trial_id].begun = True

    def record(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Takes in a result; returns whether the trial is to be stopped."""
        live = self._live[trial_id]
        live.outcome, live.reason = result["outcome"], result["reason"]
        if live.outcome == "failed":
            return False
        live.step = result["step"]
        live.metrics = {name.removeprefix(_METRICS): value for name, value in result.items() if name.startswith(_METRICS)}
        number = live.assignment.number
        self._store.report(number, live.step, live.metrics)
        live.pruned = live.outcome == "running" and self._store.should_prune(number)
        self._emit("report", live)
        return live.pruned

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        live = self._live.pop(trial_id)
        number = live.assignment.number
        if error and not live.begun and self._restarts[number] < self._store.spec.resources.max_failures:
            # Tune does not try again where an actor that it meant to reuse has died since.
            self._restarts[number] += 1
            self._again.append(live.assignment)
            return
        outcome, reason = _ending(live, error)
        live.outcome, live.reason = outcome, reason
        self._store.tell(number, outcome, live.metrics or {}, reason)
        self._emit("ended", live)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the store is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore: every run makes a new Tuner over the store."""

    def _emit(self, kind: Literal["started", "report", "ended"], live: _Live) -> None:
        ended, planned = self._store.ended, self._store.spec.planned_trials
        self._on_event(StudyEvent(kind, live.assignment, live.step, live.metrics or {}, live.outcome, live.reason, ended, planned))


class Beginnings(tune.Callback):
    """Tells the searcher which trials have a process."""

    def __init__(self, search: StudySearch) -> None:
        self._search = search

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._search.begin(trial.trial_id)


class StorePruning(FIFOScheduler):
    """Runs trials in order and stops those that the store's pruner gives up.

    The store keeps what a pruner knows, so that its rungs survive the driver. The scheduler, not the searcher, takes the
    results in: Tune does not tell a searcher the result at which a trial is stopped.
    """

    def __init__(self, search: StudySearch) -> None:
        super().__init__()
        self._search = search

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles schedulers into its own folder, which is thrown away."""
        return {}

    def on_trial_result(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> str:
        # A trainable that returns makes Tune repeat its last result, marked as done.
        stop = not result["done"] and self._search.record(trial.trial_id, result)
        return TrialScheduler.STOP if stop else TrialScheduler.CONTINUE


def _ending(live: _Live, error: bool) -> tuple[Ending, str]:
    """The outcome that the evidence shows."""
    if live.outcome in ("complete", "diverged", "failed"):
        return cast(Ending, live.outcome), live.reason
    if live.pruned:
        return "pruned", f"stopped at step {live.step}: worse than the other trials there"
    if error:
        return "failed", f"its process ended unexpectedly after step {live.step}, more often than resources.max_failures allows"
    return "failed", f"training returned after step {live.step} without a final report"
