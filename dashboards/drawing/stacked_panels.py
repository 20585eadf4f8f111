"""Infos drawn: one function a figure. Nothing is computed here that a reader would want to
check.
"""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboards.drawing.marks import (
    End,
    add_band,
    add_interval,
    add_level,
    add_means,
    add_published,
    add_seeds,
    label_ends,
    tick_format,
    value_range,
)
from dashboards.drawing.panels import Panel, Series
from dashboards.drawing.theme import COLOURS, GLYPHS, INK, PAPER_GREY, TEMPLATE, slot
from study.analysis.labels import sentence_case

PANEL_PX = 130
"""Height of one of several panels below each other."""


def _stack(panels: Sequence[Panel], height: int) -> go.Figure:
    """Panels below each other over one x-axis, each under its own name."""
    figure = make_subplots(
        rows=max(1, len(panels)),
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.12 if len(panels) > 1 else 0,
    )
    figure.update_layout(template=TEMPLATE, height=height, uirevision="keep")
    where = {
        "x": 0,
        "xref": "paper",
        "xanchor": "left",
        "y": 1,
        "yanchor": "bottom",
        "yshift": 7,
        "showarrow": False,
    }
    for row, panel in enumerate(panels, start=1):
        axis = f"y{row if row > 1 else ''} domain"
        figure.add_annotation(
            text=sentence_case(panel.label), yref=axis, font={"size": 13, "color": INK}, **where
        )
    return figure


def _end(line: Series, position: int, limits: tuple[float, float]) -> End:
    """Where a line's name stands: at its last point, or in a list at the top with its symbol where
    points are not joined.
    """
    index = slot(line.key, position)
    if line.joined or not line.label:
        return line.points[-1].interval.mean, line.label, COLOURS[index]
    return (
        limits[1] - (0.04 + 0.06 * position) * (limits[1] - limits[0]),
        f"{GLYPHS[index]} {line.label}",
        COLOURS[index],
    )


def _draw_measured(panels: Sequence[Panel]) -> go.Figure:
    figure = _stack(panels, height=(PANEL_PX + 45) * len(panels) + 70)
    for row, panel in enumerate(panels, start=1):
        limits, ends = value_range(panel), list[End]()
        for position, level in enumerate(panel.levels):
            colour = COLOURS[slot(level.key, 2 + position)]
            add_band(figure, row, level.interval, limits, colour)
            add_level(figure, row, level.interval.mean, {"color": colour, "width": 1.6})
            ends.append((level.interval.mean, str(level.x), colour))
        for position, line in enumerate(panel.series):
            index = slot(line.key, position)
            for point in line.points:
                add_interval(figure, row, point.x, point.interval, limits, COLOURS[index])
                add_seeds(figure, row, point.x, point.seeds, COLOURS[index])
            add_means(
                figure,
                row,
                [point.x for point in line.points],
                line.points,
                index,
                panel.label,
                joined=line.joined,
            )
            ends.append(_end(line, position, limits))
        label_ends(figure, row, ends, limits, PANEL_PX)
        figure.update_yaxes(range=limits, nticks=5, tickformat=tick_format(limits), row=row, col=1)
    return figure


def _draw_published(panels: Sequence[Panel]) -> go.Figure:
    figure = _stack(panels, height=(PANEL_PX + 45) * len(panels) + 70)
    for row, panel in enumerate(panels, start=1):
        limits = value_range(panel)
        for level in panel.levels:
            add_level(
                figure,
                row,
                level.interval.mean,
                {"color": PAPER_GREY, "width": 1.2, "dash": "1px,3px"},
            )
        for line in panel.series:
            add_published(figure, row, line.points, panel.label)
        label_ends(
            figure,
            row,
            [(level.interval.mean, str(level.x), PAPER_GREY) for level in panel.levels],
            limits,
            PANEL_PX,
        )
        figure.update_yaxes(range=limits, nticks=5, tickformat=tick_format(limits), row=row, col=1)
    return figure
