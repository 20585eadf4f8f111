"""Calls a searcher and a scheduler as Tune does, without Ray."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from cluster.events import StudyEvent
from cluster.tune.scheduler import StorePruning
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
