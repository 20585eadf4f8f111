"""Hyperband."""

from __future__ import annotations

import math
from typing import Literal

import optuna
from pydantic import Field

from search_spaces.pruners.asha import halving
from search_spaces.pruners.base import Pruner, Rung


class HyperbandPruner(Pruner):
    """Hyperband: brackets of successive halving, each with its own first rung, share the trials."""

    kind: Literal["hyperband"] = "hyperband"

    first_rung: int = Field(ge=1)
    """Optimizer steps at the first rung of the most eager bracket."""

    reduction: int = Field(default=3, ge=2)
    """Share of trials that each rung stops, as its inverse."""

    def build(self, longest: int) -> optuna.pruners.BasePruner:
        return optuna.pruners.HyperbandPruner(
            min_resource=self.first_rung, max_resource=longest, reduction_factor=self.reduction
        )

    def rungs(self, trials: float, longest: int) -> list[Rung]:
        return [
            rung
            for bracket, share in enumerate(self._shares(longest))
            for rung in halving(
                bracket,
                trials * share,
                self.first_rung * self.reduction**bracket,
                self.reduction,
                longest,
            )
        ]

    def _shares(self, longest: int) -> list[float]:
        """Share of trials of each bracket: ∝ ⌈B · r^s / (s + 1)⌉, s counting down from B − 1."""
        brackets = 1
        while self.first_rung * self.reduction**brackets <= longest:
            brackets += 1
        weights = [
            math.ceil(brackets * self.reduction**s / (s + 1)) for s in reversed(range(brackets))
        ]
        return [weight / sum(weights) for weight in weights]
