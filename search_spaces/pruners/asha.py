"""Asynchronous successive halving."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cpc_core.config import Section
from search_spaces.pruners.base import Rung


def _halving(bracket: int, trials: float, first: int, reduction: int, longest: int) -> list[Rung]:
    found: list[Rung] = []
    steps = first
    while steps < longest:
        found.append(Rung(bracket, steps, trials / reduction ** len(found)))
        steps *= reduction
    return [*found, Rung(bracket, longest, trials / reduction ** len(found))]


class HalvingPruner(Section):
    """Asynchronous successive halving (ASHA): at each rung the best 1/reduction of the trials go
    on.
    """

    kind: Literal["asha"] = "asha"

    first_rung: int = Field(ge=1)
    """Optimizer steps at the first rung; each next one is `reduction` times as far."""

    reduction: int = Field(default=3, ge=2)
    """Share of trials that each rung stops, as its inverse."""
