"""Calls a searcher and a scheduler as Tune does, without Ray."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cluster.events import Notice, StudyEvent
from cluster.tune.control import ControlLoop, ControlSource
from cluster.tune.scheduler import StorePruning, StudyScheduler
from cluster.tune.searcher import StudySearcher
from study.dispatch.dispatcher import Dispatcher
from study.dispatch.trial_spec import TrialSpec


class TrialActor:
    """The handle of a trial's actor, which notes what it is told."""

    def __init__(self, trial_id: str, given_up: list[str]) -> None:
        self.trial_id = trial_id
        self.give_up = SimpleNamespace(remote=lambda: given_up.append(trial_id))


class Tune:
    """Tune's controller, as far as our searcher and scheduler see of it."""

    def __init__(self, store: Dispatcher, concurrent: int = 2) -> None:
        self.store = store
        self.events: list[StudyEvent] = []
        self.search = StudySearcher(store, concurrent, self.events.append)
        self.scheduler = StorePruning(self.search)
        self.given_up: list[str] = []

    def start(self, trial_id: str) -> object:
        return self.search.suggest(trial_id=trial_id)

    def assignment(self, trial_id: str) -> TrialSpec:
        return self.search._live[trial_id].assignment

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
        state = SimpleNamespace(ray_actor=TrialActor(trial_id, self.given_up))
        trial: Any = SimpleNamespace(trial_id=trial_id, temporary_state=state)
        decision = self.scheduler.on_trial_result(None, trial, result)  # type: ignore[arg-type]
        if decision != "STOP":
            self.search.on_trial_result(trial_id=trial_id, result=result)
        return decision


class ControlledTune:
    """Tune's controller with up to two trials, whose loop also reads control requests."""

    def __init__(self, store: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[StudyEvent] = []
        self.notices: list[Notice] = []
        self.killed: list[str] = []
        self.given_up: list[str] = []
        self.trials: dict[str, SimpleNamespace] = {}
        monkeypatch.setattr(
            "cluster.tune.control.ray.kill", lambda actor: self.killed.append(actor.trial_id)
        )
        self.search = StudySearcher(store, 2, self.events.append)
        self.asked = ControlSource(store.folder)
        self.steering = ControlLoop(store, self.search, self.asked, self.notices.append)
        self.scheduler = StudyScheduler(self.search, self.steering)

    def step(self) -> None:
        self.scheduler.choose_trial_to_run(self)  # type: ignore[arg-type]

    def start(self, name: str, status: str = "RUNNING") -> object:
        suggested = self.search.suggest(trial_id=name)
        if isinstance(suggested, dict):
            state = SimpleNamespace(ray_actor=TrialActor(name, self.given_up))
            self.trials[name] = SimpleNamespace(trial_id=name, status=status, temporary_state=state)
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
