"""The front between several objectives: the cells that no other cell beats in all of them."""

from __future__ import annotations

import numpy as np

from study.analysis.cells import Cell, group_cells
from study.records import StudyRecord
from study.statistics import IntervalOf, t_interval


def front(record: StudyRecord, interval_of: IntervalOf = t_interval) -> tuple[Cell, ...]:
    """Cells that are not dominated, the best by the first objective first; empty where the study has one objective.

    A cell is dominated by another whose mean is at least as good in every objective and better in one. Cells that lack the mean of
    an objective are left out.

    Args:
        record: The study.
        interval_of: The interval of each mean; which cells are on the front does not depend on it.
    """
    if len(record.objectives) < 2:
        return ()
    metrics = [objective.metric for objective in record.objectives]
    cells = [cell for cell in group_cells(record, interval_of) if all(metric in cell.metrics for metric in metrics)]
    signs = np.array([1.0 if objective.direction == "maximize" else -1.0 for objective in record.objectives])
    means = np.array([[cell.metrics[metric].mean for metric in metrics] for cell in cells]).reshape(len(cells), len(metrics)) * signs
    free = [not np.any(np.all(means >= own, axis=1) & np.any(means > own, axis=1)) for own in means]
    order = np.argsort(-means[:, 0], kind="stable")
    return tuple(cells[index] for index in order if free[index])
