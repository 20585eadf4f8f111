"""Seeds spent where they tell something: cells that are clearly behind the best one get no more of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean

from optuna.trial import FrozenTrial, TrialState

from study.searching import WilcoxonPruner
from study.spec import StudySpec

Replicates = Mapping[str, Mapping[int, float]]
"""Cell id → seed → final value of a complete trial, signed so that more is better."""


def why_given_up(values: Replicates, cell_id: str, pruner: WilcoxonPruner) -> str | None:
    """Why a cell gets no further seed, or None as long as it does.

    It is held against the cell with the best mean over the seeds that both have. Optuna's WilcoxonPruner applies the same test to
    the steps of one trial; here every seed is a trial of its own.

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


def cell_given_up(trials: Iterable[FrozenTrial], cell_id: str, spec: StudySpec) -> str | None:
    """The same, read from a study's trials; None unless its spec spends seeds adaptively."""
    if not isinstance(spec.pruner, WilcoxonPruner):
        return None
    sign = 1.0 if spec.objectives[0].direction == "maximize" else -1.0
    values: dict[str, dict[int, float]] = {}
    for trial in trials:
        if trial.state == TrialState.COMPLETE and trial.value is not None:
            values.setdefault(trial.user_attrs["cell_id"], {})[trial.user_attrs["seed"]] = sign * trial.value
    return why_given_up(values, cell_id, spec.pruner)
