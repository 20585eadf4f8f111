"""Budget of a study, and its usage. A study without budget left starts no further trial."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from cpc_core.config import Section


class Budget(Section):
    """Limits of a study. Running trials end as they would; a raised budget resumes the study. Never
    part of a hash.
    """

    trials: int | None = Field(default=None, ge=1)
    """Trials to start."""

    steps: int | None = Field(default=None, ge=1)
    """Optimizer steps of all trials together."""

    wall_h: float | None = Field(default=None, gt=0)
    """Hours of all runs of the study together."""

    gpu_h: float | None = Field(default=None, gt=0)
    """GPU hours of all trials together."""

    def exhausted_by(self, spent: Spent) -> str | None:
        """The limit that has been reached, as text; None while none has."""
        limits = (
            ("trials", self.trials, spent.trials),
            ("optimizer steps", self.steps, spent.steps),
            ("hours", self.wall_h, spent.wall_s / 3600),
            ("GPU hours", self.gpu_h, spent.gpu_s / 3600),
        )
        return next(
            (
                f"its budget of {limit:g} {what} is spent"
                for what, limit, used in limits
                if limit is not None and used >= limit
            ),
            None,
        )

    @property
    def words(self) -> str:
        """The limits as text; empty without any."""
        limits = (
            (self.trials, "trials"),
            (self.steps, "optimizer steps"),
            (self.wall_h, "hours"),
            (self.gpu_h, "GPU hours"),
        )
        return ", ".join(f"{limit:g} {what}" for limit, what in limits if limit is not None)


@dataclass(frozen=True)
class Spent:
    """Resources that a study has used.

    Attributes:
        trials: Trials that were started.
        steps: Optimizer steps they took.
        gpu_s: Seconds that they reserved GPUs, times the number of GPUs.
        wall_s: Seconds of all runs of the study.
    """

    trials: int
    steps: int
    gpu_s: float
    wall_s: float
