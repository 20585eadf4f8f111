"""Interface of a pruner: settings that build Optuna's, and the rungs at which trials stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import optuna

from cpc_core.section import Section

Replicates = Mapping[str, Mapping[int, float]]
"""Cell id → seed → final value of a complete trial, signed so that more is better."""


@dataclass(frozen=True)
class Rung:
    """Number of steps at which trials are compared.

    Attributes:
        bracket: Of Hyperband, counted from 0; 0 for the others.
        steps: Optimizer steps of a trial that reaches it.
        trials: Expected number of trials that reach it.
    """

    bracket: int
    steps: int
    trials: float


class Pruner(Section):
    """Choice of the trials that stop before their end, or of the cells that get no more seeds."""

    kind: str

    judges: ClassVar[Literal["reports", "finals"] | None] = "reports"
    """Values that it compares: of running trials, or of complete ones; None if it compares none."""

    def build(self, longest: int) -> optuna.pruners.BasePruner:
        """Optuna's pruner of running trials, whose steps are optimizer steps.

        Args:
            longest: Optimizer steps of the study's longest trial.
        """
        return optuna.pruners.NopPruner()

    def rungs(self, trials: float, longest: int) -> list[Rung]:
        """Rungs of a study, the last of each bracket being the end of its trials; empty without.

        Args:
            trials: Number of trials that start.
            longest: Optimizer steps of a trial that is not stopped.
        """
        return []

    def verdict(self, replicates: Replicates, cell_id: str) -> str | None:
        """The reason why a cell gets no further seed; None as long as it does.

        Args:
            replicates: Final values of the study's cells so far.
            cell_id: The cell that is next to be trained with another seed.
        """
        return None
