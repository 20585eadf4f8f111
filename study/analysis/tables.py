"""The table of trials, as numbers and text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cpc_core.report import Outcome
from study.analysis.cells import NotShown, catalog_knobs, group_cells, varied_knobs
from study.results.records import StudyRecord

_METRIC_ORDER = ("dev_map", "dev_accuracy", "train_accuracy", "dev_probe_accuracy")


@dataclass(frozen=True)
class TrialRow:
    """One trial.

    Attributes:
        cell: The label of its cell.
        knobs: The knobs that vary in the study; a conditional knob it lacks is absent.
        reason: The reason for the outcome, where that is not plain success.
        step: The last step logged, 0 before the first report.
        metrics: The table's metrics that it has.
        duration_s: Wall time in seconds, 0 where unknown.
    """

    number: int
    cell: str
    seed: int
    knobs: Mapping[str, Any]
    outcome: Outcome
    reason: str
    step: int
    metrics: Mapping[str, float]
    duration_s: float


@dataclass(frozen=True)
class TrialTableInfo:
    """Every trial of the study.

    Attributes:
        knobs: Columns of knobs, those that vary.
        metrics: Columns of metrics, the deciding one first.
        rows: By trial number.
    """

    knobs: tuple[str, ...]
    metrics: tuple[str, ...]
    rows: tuple[TrialRow, ...]


def trial_table_info(record: StudyRecord) -> TrialTableInfo | NotShown:
    """A row per trial, or the reason why there is none."""
    if not record.trials:
        return NotShown("No trial has started yet.", True)
    knobs = varied_knobs(record)
    labels = {cell.cell_id: cell.label for cell in group_cells(record)}
    present = {metric for trial in record.trials for metric in trial.metrics}
    objectives = (objective.metric for objective in record.objectives)
    wanted = dict.fromkeys((record.metric, *objectives, *_METRIC_ORDER))
    metrics = tuple(metric for metric in wanted if metric in present)
    rows = []
    for trial in record.trials:
        own = catalog_knobs(trial.knobs)
        rows.append(
            TrialRow(
                number=trial.number,
                cell=labels[trial.cell_id],
                seed=trial.seed,
                knobs={name: own[name] for name in knobs if name in own},
                outcome=trial.outcome,
                reason=trial.reason,
                step=trial.history[-1].step if trial.history else 0,
                metrics={name: trial.metrics[name] for name in metrics if name in trial.metrics},
                duration_s=trial.duration_s,
            )
        )
    return TrialTableInfo(knobs, metrics, tuple(rows))
