"""What a study may spend, and what it has spent. A study that has spent its budget starts no further trial."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from cpc_core.config import Section
from study.files import write_atomically

CLOCK = "clock.json"


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
        study: The study folder.
    """

    def __init__(self, study: Path) -> None:
        self._path, self._before_s, self._started = study / CLOCK, elapsed_s(study), time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds over all runs, this one included."""
        return self._before_s + time.monotonic() - self._started

    def keep(self) -> None:
        """Writes it down."""
        write_atomically(self._path, json.dumps({"elapsed_s": self.elapsed_s}) + "\n")


def elapsed_s(study: Path) -> float:
    """Seconds that a study has been run, as far as was kept; 0 before."""
    try:
        return float(json.loads((study / CLOCK).read_text(encoding="utf-8"))["elapsed_s"])
    except FileNotFoundError:
        return 0.0
