"""Score against the negative sampling: the paper's Table 2."""

from __future__ import annotations

import plotly.graph_objects as go
from dash.development.base_component import Component

from dashboards.drawing.panels import (
    Panel,
    Series,
    TablePanels,
    measured,
    not_measured,
    not_varied,
    panel_of,
    published_point,
    table_metrics,
)
from dashboards.drawing.sections import INTERVALS, beside_paper, compared, graph, lead
from dashboards.drawing.stacked_panels import draw_measured, draw_published
from dashboards.tables import beside_published
from study.analysis.cells import NotShown, cells_varying
from study.analysis.labels import cell_label, metric_label
from study.analysis.published import TABLE_2, published_metrics
from study.results.records import StudyRecord

SAMPLINGS = ("local", "cross", "exclusive")
"""In the order of Table 2, which is also that of rising training accuracy."""


class SamplingFigure:
    """Accuracy and mAP by sampling strategy."""

    name = "sampling"
    title = "Where negatives come from"

    def info(self, record: StudyRecord) -> TablePanels | NotShown:
        """Panels over `local`, `cross` and `exclusive`."""
        cells = [cell for cell in cells_varying(record, "negatives") if "negatives" in cell.knobs]
        missing = not_varied(cells, "negatives") or not_measured(cells, table_metrics(record))
        if missing:
            return missing
        metrics = measured(cells, table_metrics(record))
        return TablePanels(
            tuple(
                panel_of(cells, "negatives", "similarity", metric, SAMPLINGS.index)
                for metric in metrics
            ),
            tuple(map(_published, published_metrics(metrics))),
        )

    def draw(self, info: TablePanels) -> go.Figure:
        """Table 2 on this study."""
        return _category_axis(draw_measured(info.panels))

    def draw_published(self, info: TablePanels) -> go.Figure:
        """Table 2 as the paper prints it."""
        return _category_axis(draw_published(info.published))

    def section(self, info: TablePanels) -> list[Component]:
        """The study's figure beside the paper's, and both as a table."""
        return [
            lead(
                "Negatives from the same clip (local), from all clips (cross), "
                "or from other clips only (exclusive)."
            ),
            beside_paper(
                graph("sampling-figure", self.draw(info)),
                graph("sampling-published", self.draw_published(info)),
                "Table 2",
            ),
            *compared(info, INTERVALS, beside_published("Negatives", info)),
        ]


def _published(metric: str) -> Panel:
    points = tuple(
        published_point(row.sampling, cell_label({"negatives": row.sampling}), row, metric)
        for row in TABLE_2
    )
    return Panel(metric, metric_label(metric), (Series("", "", points, True),))


def _category_axis(figure: go.Figure) -> go.Figure:
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=list(SAMPLINGS))
    return figure


FIGURE = SamplingFigure()
