"""Score against the temperature, a line per similarity: the paper's Figure 1."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go
from dash.development.base_component import Component

from dashboards.drawing.marks import (
    fixed_range,
    label_ends,
    log_dodge,
    tick_format,
    ticks,
    value_range,
)
from dashboards.drawing.panels import Panel, not_measured, not_varied, panel_of
from dashboards.drawing.sections import INTERVALS, SEARCHED, caption, graph, lead
from dashboards.drawing.stacked_panels import draw_lines, stack
from study.analysis.cells import NotShown, cells_varying
from study.analysis.labels import sentence_case
from study.analysis.published import FIGURE_1, SETTING
from study.results.records import StudyRecord


class TemperatureFigure:
    """The deciding metric against τ."""

    name = "temperature"
    title = "Temperature and similarity"

    def info(self, record: StudyRecord) -> Panel | NotShown:
        """A line per similarity; x is τ."""
        cells = [
            cell
            for cell in cells_varying(record, "temperature", "similarity")
            if "temperature" in cell.knobs
        ]
        missing = not_varied(cells, "temperature") or not_measured(cells, (record.metric,))
        return missing or panel_of(cells, "temperature", "similarity", record.metric)

    def draw(self, info: Panel) -> go.Figure:
        """The lines on a log axis, moved apart so that their intervals do not cover another."""
        figure = stack([info], height=400)
        limits, xs = value_range(info), sorted({float(point.x) for point in info.points})

        def move(x: float | str, position: int) -> float:
            return log_dodge(float(x), position, len(info.series), xs)

        label_ends(figure, 1, draw_lines(figure, 1, info, limits, move), limits, plot_px=310)
        figure.update_yaxes(**fixed_range(limits), tickformat=tick_format(limits))
        figure.update_xaxes(
            type="log",
            range=_log_range(xs),
            title_text="Temperature τ (log axis)",
            **ticks("temperature", xs, (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)),
        )
        return figure

    def section(self, info: Panel) -> list[Component]:
        """The figure, and the paper's statement about its own."""
        return [
            lead(
                f"{sentence_case(info.label)} against the temperature τ "
                "that divides the similarity."
            ),
            graph("temperature-figure", self.draw(info)),
            caption(INTERVALS if info.controlled else SEARCHED),
            caption(
                f"The paper's Figure 1 prints no numbers; its text says: {FIGURE_1} ({SETTING})."
            ),
        ]


def _log_range(xs: Sequence[float]) -> list[float]:
    """Limits of plotly's log axis, as powers of ten, with room for points that were moved."""
    low, high = math.log10(xs[0]), math.log10(xs[-1])
    pad = 0.07 * max(high - low, 0.3)
    return [low - pad, high + pad]


FIGURE = TemperatureFigure()
