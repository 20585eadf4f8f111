"""Score against the negative sampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from dash.development.base_component import Component

from dashboards.drawing.panels import (
    TABLE_METRICS,
    Panel,
    Point,
    Series,
    _measured,
    _not_measured,
    _not_varied,
    _value,
    panel_of,
)
from dashboards.drawing.sections import INTERVALS, _beside, _compared, _pending, _section, graph
from dashboards.drawing.stacked_panels import _draw_measured, _draw_published
from dashboards.tables import beside_published
from study.analysis.cells import NotShown, cells_varying
from study.analysis.labels import cell_label, metric_label
from study.analysis.published import TABLE_2
from study.results.records import StudyRecord


def draw_sampling(info: SamplingInfo) -> go.Figure:
    """Accuracy and mAP by sampling strategy: Table 2 on this study."""
    return _category_axis(_draw_measured(info.panels))


def draw_published_sampling(info: SamplingInfo) -> go.Figure:
    """Table 2 as the paper prints it, on its own scale."""
    return _category_axis(_draw_published(info.published))


def _category_axis(figure: go.Figure) -> go.Figure:
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=list(SAMPLINGS))
    return figure


def _sampling(record: StudyRecord) -> Component | None:
    info = sampling_info(record)
    if isinstance(info, NotShown):
        return _pending("sampling", "Where negatives come from", info)
    lead = "Negatives from the same clip (local), from all clips (cross), or from other clips only (exclusive)."
    ours, paper = (
        graph("sampling-figure", draw_sampling(info)),
        graph("sampling-published", draw_published_sampling(info)),
    )
    table = beside_published("Negatives", info.panels, info.published)
    return _section(
        "sampling",
        "Where negatives come from",
        lead,
        [_beside(ours, paper, "Table 2"), *_compared(info.panels, INTERVALS, table)],
    )


SAMPLINGS = ("local", "cross", "exclusive")
"""In the order of Table 2, which is also that of rising training accuracy."""


@dataclass(frozen=True)
class SamplingInfo:
    """The paper's Table 2 on this study: where negatives come from.

    Attributes:
        panels: Ours, a panel per metric; x is `local`, `cross` or `exclusive`.
        published: The same panels of the paper.
    """

    panels: tuple[Panel, ...]
    published: tuple[Panel, ...]


def sampling_info(record: StudyRecord) -> SamplingInfo | NotShown:
    """Train accuracy, dev accuracy and dev mAP by sampling strategy, or why there is nothing to
    draw.
    """
    cells = [cell for cell in cells_varying(record, "negatives") if "negatives" in cell.knobs]
    missing = _not_varied(cells, "negatives") or _not_measured(cells, TABLE_METRICS)
    if missing:
        return missing
    metrics = _measured(cells, TABLE_METRICS)
    panels = tuple(
        panel_of(cells, "negatives", "similarity", metric, SAMPLINGS.index) for metric in metrics
    )
    return SamplingInfo(panels, _published_sampling(metrics))


def _published_sampling(metrics: Sequence[str]) -> tuple[Panel, ...]:
    panels = []
    for metric in metrics:
        points = []
        for row in TABLE_2:
            value = {
                "train_accuracy": row.train_accuracy,
                "dev_accuracy": row.dev_accuracy,
                "dev_map": row.dev_map,
            }[metric]
            points.append(
                Point(row.sampling, cell_label({"negatives": row.sampling}), _value(value))
            )
        panels.append(Panel(metric, metric_label(metric), (Series("", "", tuple(points), True),)))
    return tuple(panels)
