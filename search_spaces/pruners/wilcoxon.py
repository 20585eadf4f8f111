"""Adaptive replicates: a cell that is clearly worse than the best one gets no more seeds."""

from __future__ import annotations

from statistics import fmean
from typing import ClassVar, Literal

from pydantic import Field

from search_spaces.pruners.base import Pruner, Replicates


class WilcoxonPruner(Pruner):
    """Adaptive replicates: a cell that is worse than the best one gets no more seeds.

    Wilcoxon's signed-rank test compares the final values of their shared seeds, so that every
    metric will do. A stopped cell keeps its results, over fewer seeds.
    """

    kind: Literal["wilcoxon"] = "wilcoxon"
    judges: ClassVar[Literal["finals"]] = "finals"

    p_threshold: float = Field(default=0.1, gt=0, lt=1)
    """One-sided p-value below which a cell is stopped. With 0.1 that takes four seeds: of three, no
    order is rarer than 1/8.
    """

    startup_seeds: int = Field(default=2, ge=1)
    """Seeds that every cell gets."""

    def verdict(self, replicates: Replicates, cell_id: str) -> str | None:
        # Optuna's WilcoxonPruner applies the same test to the steps of one trial; here each seed is
        # a trial. The best cell is the one with the best mean, and only seeds that both have count.
        own = replicates.get(cell_id, {})
        best = max(replicates, key=lambda each: fmean(replicates[each].values()), default=cell_id)
        shared = sorted(own.keys() & replicates.get(best, {}).keys())
        if best == cell_id or len(own) < self.startup_seeds or not shared:
            return None
        differences = [own[seed] - replicates[best][seed] for seed in shared]
        from scipy.stats import wilcoxon

        p = float(wilcoxon(differences, alternative="less", zero_method="zsplit").pvalue)
        if p >= self.p_threshold:
            return None
        return (
            f"pruned after {len(own)} seeds: behind cell {best} by {-fmean(differences):.4g} on "
            f"average (Wilcoxon p = {p:.2g})"
        )
