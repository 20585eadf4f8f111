"""Asynchronous successive halving."""

from __future__ import annotations

from typing import Literal

import optuna
from pydantic import Field

from search_spaces.pruners.base import Pruner, Rung


class HalvingPruner(Pruner):
    """Asynchronous successive halving (ASHA): each rung keeps the best 1/reduction of trials."""

    kind: Literal["asha"] = "asha"

    first_rung: int = Field(ge=1)
    """Optimizer steps at the first rung; each next one is `reduction` times as far."""

    reduction: int = Field(default=3, ge=2)
    """Share of trials that each rung stops, as its inverse."""

    def build(self, longest: int) -> optuna.pruners.BasePruner:
        return optuna.pruners.SuccessiveHalvingPruner(
            min_resource=self.first_rung, reduction_factor=self.reduction
        )

    def rungs(self, trials: float, longest: int) -> list[Rung]:
        return halving(0, trials, self.first_rung, self.reduction, longest)


def halving(bracket: int, trials: float, first: int, reduction: int, longest: int) -> list[Rung]:
    """Rungs of one bracket from its first one, and the end of its trials.

    Args:
        bracket: Its number.
        trials: Number of trials that start in it.
        first: Optimizer steps at its first rung.
        reduction: Ratio of steps between neighbouring rungs, and inverse of the share that is kept.
        longest: Optimizer steps of a trial that is not stopped.
    """
    found: list[Rung] = []
    steps = first
    while steps < longest:
        found.append(Rung(bracket, steps, trials / reduction ** len(found)))
        steps *= reduction
    return [*found, Rung(bracket, longest, trials / reduction ** len(found))]
