"""The table of trials: its columns and rows."""

from __future__ import annotations

from dataclasses import dataclass

from study.analysis.cells import NotShown, varied_knobs
from study.results.records import StudyRecord, TrialRecord


@dataclass(frozen=True)
class TrialTableInfo:
    """Every trial of the study.

    Attributes:
        knobs: Columns of knobs, those that vary.
        metrics: Columns of metrics, the deciding one first.
        trials: The rows, by trial number.
    """

    knobs: tuple[str, ...]
    metrics: tuple[str, ...]
    trials: tuple[TrialRecord, ...]


def table_metrics(record: StudyRecord) -> tuple[str, str, str, str]:
    """Metrics that a table of trials has in any case, the most telling first."""
    return "dev_map", f"dev_{record.accuracy}", f"train_{record.accuracy}", "dev_probe_accuracy"


def trial_table_info(record: StudyRecord) -> TrialTableInfo | NotShown:
    """A row per trial, or the reason why there is none."""
    if not record.trials:
        return NotShown("No trial has started yet.", True)
    present = {metric for trial in record.trials for metric in trial.metrics}
    objectives = (objective.metric for objective in record.objectives)
    wanted = dict.fromkeys((record.metric, *objectives, *table_metrics(record)))
    metrics = tuple(metric for metric in wanted if metric in present)
    return TrialTableInfo(varied_knobs(record), metrics, record.trials)
