"""No pruning, and the rungs that pruners compare trials at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cpc_core.config import Section


@dataclass(frozen=True)
class Rung:
    """A number of steps at which trials are compared.

    Attributes:
        bracket: Of Hyperband, counted from 0; 0 for the others.
        steps: Optimizer steps of a trial that gets there.
        trials: How many are expected to.
    """

    bracket: int
    steps: int
    trials: float


class NoPruner(Section):
    """Every trial runs to its end."""

    kind: Literal["none"] = "none"
