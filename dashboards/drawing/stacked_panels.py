"""Panels drawn below each other over one x-axis: a study's with intervals, the paper's without."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboards.drawing.marks import (
    End,
    add_band,
    add_intervals,
    add_level,
    add_means,
    add_published,
    add_seeds,
    add_text,
    fixed_range,
    label_ends,
    shortened,
    tick_format,
    value_range,
)
from dashboards.drawing.panels import Panel
from dashboards.drawing.theme import COLOURS, GLYPHS, INK, PAPER_GREY, TEMPLATE, slots
from study.analysis.labels import sentence_case

PANEL_PX = 130
"""Height of one of several panels below each other."""


def stack(panels: Sequence[Panel], height: int) -> go.Figure:
    """Empty panels below each other over one x-axis, each under its own name."""
    figure = make_subplots(
        rows=max(1, len(panels)),
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.12 if len(panels) > 1 else 0,
    )
    figure.update_layout(template=TEMPLATE, height=height, uirevision="keep")
    for row, panel in enumerate(panels, start=1):
        add_name(figure, row, panel.label)
    return figure


def add_name(figure: go.Figure, row: int, name: str) -> None:
    """Writes the name of a panel's metric above its axis."""
    axis = f"y{row if row > 1 else ''} domain"
    place = {"x": 0, "xanchor": "left", "y": 1, "yref": axis, "yanchor": "bottom", "yshift": 7}
    add_text(figure, sentence_case(name), 13, INK, **place)


def draw_lines(
    figure: go.Figure,
    row: int,
    panel: Panel,
    limits: tuple[float, float],
    move: Callable[[float | str, int], float] | None = None,
) -> list[End]:
    """Draws the means, intervals and seeds of a panel's lines, and returns the lines' ends.

    The name of a line is at its last point; of points that are not joined, in a list at the top.
    `move` shifts x on its axis by the position of a line whose points are joined.
    """
    ends: list[End] = []
    for position, (line, slot) in enumerate(zip(panel.series, _slots(panel), strict=False)):
        colour = COLOURS[slot]
        xs = [move(point.x, position) if move and line.joined else point.x for point in line.points]
        add_intervals(figure, row, xs, line.points, limits, colour)
        add_seeds(figure, row, xs, line.points, colour)
        add_means(figure, row, xs, line.points, slot, panel.label, joined=line.joined)
        if line.joined or not line.label:
            ends.append((line.points[-1].interval.mean, shortened(line.label), colour))
        else:
            height = limits[1] - (0.04 + 0.06 * position) * (limits[1] - limits[0])
            ends.append((height, f"{GLYPHS[slot]} {shortened(line.label)}", colour))
    return ends


def _slots(panel: Panel) -> list[int]:
    """Places in the palette of the lines, then of the levels."""
    return slots([part.key for part in panel.series] + [part.key for part in panel.levels])


def draw_measured(panels: Sequence[Panel]) -> go.Figure:
    """A study's panels: levels with bands, lines of means with intervals and seeds."""
    figure = _stack_of(panels)
    for row, panel in enumerate(panels, start=1):
        limits, ends = value_range(panel), list[End]()
        for level, slot in zip(panel.levels, _slots(panel)[len(panel.series) :], strict=True):
            colour = COLOURS[slot]
            add_band(figure, row, level.interval, limits, colour)
            add_level(figure, row, level.interval.mean, {"color": colour, "width": 1.6})
            ends.append((level.interval.mean, shortened(str(level.x)), colour))
        _finish(figure, row, ends + draw_lines(figure, row, panel, limits), limits)
    return figure


def draw_published(panels: Sequence[Panel]) -> go.Figure:
    """The paper's panels, on their own scale, in grey."""
    figure = _stack_of(panels)
    dotted = {"color": PAPER_GREY, "width": 1.2, "dash": "1px,3px"}
    for row, panel in enumerate(panels, start=1):
        for level in panel.levels:
            add_level(figure, row, level.interval.mean, dotted)
        for line in panel.series:
            add_published(figure, row, line.points, panel.label)
        ends = [(level.interval.mean, str(level.x), PAPER_GREY) for level in panel.levels]
        _finish(figure, row, ends, value_range(panel))
    return figure


def _stack_of(panels: Sequence[Panel]) -> go.Figure:
    return stack(panels, height=(PANEL_PX + 45) * len(panels) + 70)


def _finish(figure: go.Figure, row: int, ends: Sequence[End], limits: tuple[float, float]) -> None:
    label_ends(figure, row, ends, limits, PANEL_PX)
    axis = fixed_range(limits) | {"nticks": 5, "tickformat": tick_format(limits)}
    figure.update_yaxes(**axis, row=row, col=1)
