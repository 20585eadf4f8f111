"""Calls a searcher and a scheduler as Tune does, without Ray."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cluster.control_source import ControlSource
from cluster.events import Notice, StudyEvent
from cluster.tune.control import ControlLoop
from cluster.tune.scheduler import StudyScheduler
from cluster.tune.scratch import SCRATCH
from cluster.tune.searcher import StudySearcher
from study.dispatch.dispatcher import Dispatcher
from study.dispatch.trial_spec import TrialSpec


def scratch(store: Dispatcher) -> str:
    """Folder of the stop flags."""
    return str(store.folder.path / SCRATCH)


def stopped(store: Dispatcher) -> list[int]:
    """Trials whose processes are to end."""
    flags = Path(scratch(store)).glob("stop-*")
    return sorted(int(flag.name.split("-")[1]) for flag in flags)


class Tune:
    """Tune's controller, as far as our searcher and scheduler see of it."""

    def __init__(self, store: Dispatcher, concurrent: int = 2) -> None:
        self.store = store
        self.events: list[StudyEvent] = []
        self.search = StudySearcher(store, concurrent, scratch(store), self.events.append)
        source = ControlSource(store.folder)
        self.scheduler = StudyScheduler(
            self.search,
            ControlLoop(store, self.search, source, lambda notice: None, scratch(store), None),
        )

    def start(self, trial_id: str) -> object:
        return self.search.suggest(trial_id=trial_id)

    def assignment(self, trial_id: str) -> TrialSpec:
        return self.search._live[trial_id].trial

    def result(
        self, trial_id: str, step: int, outcome: str = "running", reason: str = "", **metrics: float
    ) -> str:
        result = {
            "step": step,
            "outcome": outcome,
            "reason": reason,
            "done": False,
            "time_total_s": 1.0,
        }
        return self._hand_on(
            trial_id, {**result, **{f"metrics/{name}": value for name, value in metrics.items()}}
        )

    def returned(self, trial_id: str) -> None:
        """The trainable returned: Tune repeats its last result and completes the trial."""
        self._hand_on(trial_id, {"done": True})
        self.search.on_trial_complete(trial_id=trial_id, result={"done": True})

    def _hand_on(self, trial_id: str, result: dict[str, Any]) -> str:
        trial: Any = SimpleNamespace(trial_id=trial_id)
        decision: str = self.scheduler.on_trial_result(None, trial, result)  # type: ignore[arg-type]
        if decision != "STOP":
            self.search.on_trial_result(trial_id=trial_id, result=result)
        return decision


class ControlledTune:
    """Tune's controller with up to two trials, whose loop also reads control requests."""

    def __init__(self, store: Dispatcher) -> None:
        self.events: list[StudyEvent] = []
        self.notices: list[Notice] = []
        self.trials: dict[str, SimpleNamespace] = {}
        self.search = StudySearcher(store, 2, scratch(store), self.events.append)
        self.source = ControlSource(store.folder)
        self.scheduler = StudyScheduler(
            self.search,
            ControlLoop(store, self.search, self.source, self.notices.append, scratch(store), None),
        )

    def step(self) -> None:
        self.scheduler.choose_trial_to_run(self)  # type: ignore[arg-type]

    def start(self, name: str, status: str = "RUNNING") -> object:
        suggested = self.search.suggest(trial_id=name)
        if isinstance(suggested, dict):
            self.trials[name] = SimpleNamespace(trial_id=name, status=status)
        return suggested

    def report(self, name: str, step: int, outcome: str = "running") -> str:
        result = {
            "step": step,
            "outcome": outcome,
            "reason": "",
            "done": False,
            "metrics/dev_map": 0.5,
        }
        decision = self.scheduler.on_trial_result(None, self.trials[name], result)  # type: ignore[arg-type]
        if decision == "STOP":
            self.stop_trial(self.trials[name])
        return decision

    def ended(self, name: str, *, error: bool = False) -> None:
        del self.trials[name]
        self.search.on_trial_complete(trial_id=name, error=error)

    def stop_trial(self, trial: SimpleNamespace) -> None:
        self.ended(trial.trial_id)

    def get_live_trials(self) -> set[Any]:
        return _Identified(self.trials.values())

    def get_trials(self) -> list[Any]:
        return []


class _Identified(set[Any]):
    """A set of what cannot be hashed."""

    def __init__(self, trials: Any) -> None:
        super().__init__()
        self._trials = list(trials)

    def copy(self) -> Any:
        return self._trials
