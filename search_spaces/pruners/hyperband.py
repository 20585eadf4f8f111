"""Hyperband."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from cpc_core.config import Section


def _bracket_shares(first: int, reduction: int, longest: int) -> list[float]:
    """Share of the trials that Optuna deals to each bracket: in proportion to ⌈B · r^s / (s + 1)⌉,
    s counting down from B − 1.
    """
    brackets = 1
    while first * reduction**brackets <= longest:
        brackets += 1
    weights = [math.ceil(brackets * reduction**s / (s + 1)) for s in range(brackets - 1, -1, -1)]
    return [weight / sum(weights) for weight in weights]


class HyperbandPruner(Section):
    """Hyperband: trials are dealt to brackets of successive halving, which begin to stop them
    earlier and later.
    """

    kind: Literal["hyperband"] = "hyperband"

    first_rung: int = Field(ge=1)
    """Optimizer steps at the first rung of the most eager bracket."""

    reduction: int = Field(default=3, ge=2)
    """Share of trials that each rung stops, as its inverse."""
