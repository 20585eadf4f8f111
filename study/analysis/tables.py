"""The table of trials: its columns and rows."""

from __future__ import annotations

from dataclasses import dataclass

from study.analysis.cells import NotShown, varied_knobs
from study.results.records import StudyRecord, TrialRecord

_METRIC_ORDER = ("dev_map", "dev_accuracy", "train_accuracy", "dev_probe_accuracy")


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


def trial_table_info(record: StudyRecord) -> TrialTableInfo | NotShown:
    """A row per trial, or the reason why there is none."""
    if not record.trials:
        return NotShown("No trial has started yet.", True)
    present = {metric for trial in record.trials for metric in trial.metrics}
    objectives = (objective.metric for objective in record.objectives)
    wanted = dict.fromkeys((record.metric, *objectives, *_METRIC_ORDER))
    metrics = tuple(metric for metric in wanted if metric in present)
    return TrialTableInfo(varied_knobs(record), metrics, record.trials)
