"""Seeds spent where they tell something: cells that are clearly behind the best one get no more of
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Literal

from pydantic import Field

from cpc_core.config import Section

Replicates = Mapping[str, Mapping[int, float]]
"""Cell id → seed → final value of a complete trial, signed so that more is better."""


def why_given_up(values: Replicates, cell_id: str, pruner: WilcoxonPruner) -> str | None:
    """Why a cell gets no further seed, or None as long as it does.

    It is held against the cell with the best mean over the seeds that both have. Optuna's
    WilcoxonPruner applies the same test to the steps of one trial; here every seed is a trial of
    its own.

    Args:
        values: What the study's cells have measured so far.
        cell_id: The cell that is next to be trained with another seed.
        pruner: When to give up.
    """
    own = values.get(cell_id, {})
    best = max(values, key=lambda each: fmean(values[each].values()), default=cell_id)
    shared = sorted(own.keys() & values.get(best, {}).keys())
    if best == cell_id or len(own) < pruner.startup_seeds or not shared:
        return None
    differences = [own[seed] - values[best][seed] for seed in shared]
    from scipy.stats import wilcoxon

    p = float(wilcoxon(differences, alternative="less", zero_method="zsplit").pvalue)
    if p >= pruner.p_threshold:
        return None
    return f"given up after {len(own)} seeds: behind cell {best} by {-fmean(differences):.4g} on average (Wilcoxon p = {p:.2g})"


class WilcoxonPruner(Section):
    """Spends seeds adaptively: a cell whose finished seeds are worse than the best cell's by
    Wilcoxon's signed-rank test gets no more.

    It judges final values, so that it works with every metric. Its cells keep what they have
    measured, over fewer seeds.
    """

    kind: Literal["wilcoxon"] = "wilcoxon"

    p_threshold: float = Field(default=0.1, gt=0, lt=1)
    """One-sided p-value below which a cell is given up. With 0.1 that takes four seeds: of three,
    no order is rarer than 1/8.
    """

    startup_seeds: int = Field(default=2, ge=1)
    """Seeds that every cell gets."""
