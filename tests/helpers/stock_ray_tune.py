"""Ray's own searcher and scheduler, called as Tune's controller calls them: what the outcome tests
hold ours against.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

SPACE: dict[str, BaseDistribution] = {
    "temperature": optuna.distributions.FloatDistribution(0.01, 1.0, log=True)
}


class StockTune:
    """`OptunaSearch` and `ASHAScheduler`, halving at every step."""

    def __init__(
        self,
        storage: BaseStorage | None = None,
        metric: Any = "dev_accuracy",
        mode: Any = "max",
        **settings: Any,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.search = OptunaSearch(
            SPACE,
            metric=metric,
            mode=mode,
            storage=storage or optuna.storages.InMemoryStorage(),
            **settings,
        )
        self.scheduler = ASHAScheduler(
            metric="dev_accuracy", mode="max", max_t=100, grace_period=1, reduction_factor=2
        )
        self._last: dict[str, dict[str, Any]] = {}

    def start(self, trial_id: str) -> float:
        suggested = self.search.suggest(trial_id)
        assert suggested is not None
        self.scheduler.on_trial_add(None, self._trial(trial_id))  # type: ignore[arg-type]
        return float(suggested["temperature"])

    def result(self, trial_id: str, step: int, **metrics: float) -> str:
        self._last[trial_id] = result = {"training_iteration": step, **metrics}
        decision: str = self.scheduler.on_trial_result(None, self._trial(trial_id), result)  # type: ignore[arg-type]
        if decision == "STOP":
            self.search.on_trial_complete(trial_id, result={**result, "done": True})
        else:
            self.search.on_trial_result(trial_id, result)
        return decision

    def returned(self, trial_id: str) -> None:
        self.search.on_trial_complete(trial_id, result={**self._last[trial_id], "done": True})

    @property
    def study(self) -> optuna.Study:
        return cast(optuna.Study, self.search._ot_study)

    @property
    def trials(self) -> list[FrozenTrial]:
        return self.study.trials

    @staticmethod
    def _trial(trial_id: str) -> SimpleNamespace:
        return SimpleNamespace(trial_id=trial_id)
