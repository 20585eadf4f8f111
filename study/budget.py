"""What a study may spend, and what it has spent. A study that has spent its budget starts no further trial."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from optuna import Study
from pydantic import Field

from cpc_core.config import Section

_RUN = "run "
"""Begins the names of the study's attributes that hold its runs."""


class Budget(Section):
    """Limits of a study. Running trials end as they would; raised, the study goes on. Never part of a hash."""

    trials: int | None = Field(default=None, ge=1)
    """Trials to start."""

    steps: int | None = Field(default=None, ge=1)
    """Optimizer steps of all trials together."""

    wall_h: float | None = Field(default=None, gt=0)
    """Hours that the study runs, all its runs together."""

    gpu_h: float | None = Field(default=None, gt=0)
    """GPU hours of all trials together."""

    def exhausted_by(self, spent: Spent) -> str | None:
        """Which limit has been reached, in words; None while none has."""
        limits = (
            ("trials", self.trials, spent.trials),
            ("optimizer steps", self.steps, spent.steps),
            ("hours", self.wall_h, spent.wall_s / 3600),
            ("GPU hours", self.gpu_h, spent.gpu_s / 3600),
        )
        return next(
            (f"its budget of {limit:g} {what} is spent" for what, limit, used in limits if limit is not None and used >= limit), None
        )

    @property
    def words(self) -> str:
        """The limits in words; empty without any."""
        limits = ((self.trials, "trials"), (self.steps, "optimizer steps"), (self.wall_h, "hours"), (self.gpu_h, "GPU hours"))
        return ", ".join(f"{limit:g} {what}" for limit, what in limits if limit is not None)


@dataclass(frozen=True)
class Spent:
    """What a study has used.

    Attributes:
        trials: Trials that were started.
        steps: Optimizer steps they took.
        gpu_s: Seconds that they held GPUs, times how many.
        wall_s: Seconds that the study has been run, over all its runs.
    """

    trials: int
    steps: int
    gpu_s: float
    wall_s: float


def spent(progress: Iterable[tuple[int, float]], gpus_per_trial: float, wall_s: float) -> Spent:
    """Sums up started trials.

    Args:
        progress: Optimizer steps and seconds of training of each.
        gpus_per_trial: GPUs that each of them held.
        wall_s: Seconds that the study has been run.
    """
    listed = list(progress)
    return Spent(len(listed), sum(steps for steps, _ in listed), sum(seconds for _, seconds in listed) * gpus_per_trial, wall_s)


class Clock:
    """How long a study has been run. A killed run counts up to the last time it was kept.

    Args:
        study: The Optuna study, which remembers every run.
    """

    def __init__(self, study: Study) -> None:
        self._study, self._name = study, f"{_RUN}{uuid.uuid4().hex[:12]}"
        self._began, self._started = time.time(), time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds over all runs, this one included."""
        return elapsed_s({**self._study.user_attrs, self._name: self._run})

    def keep(self) -> None:
        """Writes it down."""
        self._study.set_user_attr(self._name, self._run)

    @property
    def _run(self) -> tuple[float, float]:
        return self._began, self._began + time.monotonic() - self._started


def elapsed_s(attributes: Mapping[str, Any]) -> float:
    """Seconds that a study has been run, as far as was kept. Runs at the same time count once.

    Args:
        attributes: Of the Optuna study; the begin and end of each run in seconds of the epoch are among them.
    """
    total, until = 0.0, -math.inf
    for began, ended in sorted(tuple(run) for name, run in attributes.items() if name.startswith(_RUN)):
        total += max(0.0, ended - max(began, until))
        until = max(until, ended)
    return total
