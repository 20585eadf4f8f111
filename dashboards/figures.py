"""Infos drawn: one function a figure. Nothing is computed here that a reader would want to check."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboards.marks import (
    End,
    add_band,
    add_interval,
    add_level,
    add_means,
    add_published,
    add_seeds,
    hover,
    label_ends,
    log_dodge,
    tick_format,
    value_range,
)
from dashboards.theme import COLOURS, GLYPHS, INK, MUTED, PAPER_GREY, RULE, TEMPLATE, slot
from study.analysis.figure_infos import SAMPLINGS, EpsilonInfo, SamplingInfo, TemperatureInfo
from study.analysis.labels import knob_label, sentence_case, value_label
from study.analysis.panels import Panel, Point, Series
from study.analysis.tables import RankingInfo

ROW_PX = 44
"""Height of a cell in the ranking: its name above its marks."""

PANEL_PX = 130
"""Height of one of several panels below each other."""


def draw_temperature(info: TemperatureInfo) -> go.Figure:
    """The metric against τ on a log axis, a line per similarity: the paper's Figure 1."""
    figure = _stack([info.panel], height=400)
    limits, series = value_range(info.panel), info.panel.series
    xs = sorted({float(point.x) for point in info.panel.points})
    ends: list[End] = []
    for position, line in enumerate(series):
        index = slot(line.key, position)
        moved = [log_dodge(float(point.x), position, len(series), xs) if line.joined else float(point.x) for point in line.points]
        for x, point in zip(moved, line.points, strict=True):
            add_interval(figure, 1, x, point.interval, limits, COLOURS[index])
            add_seeds(figure, 1, x, point.seeds, COLOURS[index])
        add_means(figure, 1, moved, line.points, index, info.panel.label, joined=line.joined)
        ends.append(_end(line, position, limits))
    label_ends(figure, 1, ends, limits, plot_px=310)
    figure.update_yaxes(range=limits, tickformat=tick_format(limits))
    shown = xs if len(xs) <= 8 else [0.01, 0.03, 0.1, 0.3, 1.0, 3.0]
    figure.update_xaxes(type="log", range=_log_range(xs), tickvals=shown, ticktext=[value_label("temperature", x) for x in shown])
    figure.update_xaxes(title_text="Temperature τ (log axis)")
    return figure


def _log_range(xs: Sequence[float]) -> list[float]:
    """Limits of a log axis as plotly wants them, as powers of ten, with room for dodged points."""
    low, high = math.log10(xs[0]), math.log10(xs[-1])
    pad = 0.07 * max(high - low, 0.3)
    return [low - pad, high + pad]


def draw_epsilon(info: EpsilonInfo) -> go.Figure:
    """Accuracy and mAP against ε, with the levels without adversary and with Gaussian noise: Table 1 on this study."""
    return _epsilon_axis(_draw_measured(info.panels), info.panels)


def draw_published_epsilon(info: EpsilonInfo) -> go.Figure:
    """Table 1 as the paper prints it, on its own scale."""
    return _epsilon_axis(_draw_published(info.published), info.published)


def draw_sampling(info: SamplingInfo) -> go.Figure:
    """Accuracy and mAP by sampling strategy: Table 2 on this study."""
    return _category_axis(_draw_measured(info.panels))


def draw_published_sampling(info: SamplingInfo) -> go.Figure:
    """Table 2 as the paper prints it, on its own scale."""
    return _category_axis(_draw_published(info.published))


def draw_ranking(info: RankingInfo) -> go.Figure:
    """Every cell in a row, best on top: seeds, mean and interval of the deciding metric."""
    points = [Point(cell.label, cell.label, cell.metrics[info.metric], cell.values[info.metric]) for cell in info.cells]
    limits = value_range(Panel(info.metric, info.label, (), tuple(points)))
    figure = _stack([], height=ROW_PX * len(points) + 56)
    for row, point in enumerate(points):
        colour, ink = (COLOURS[0], INK) if row == 0 else (MUTED, MUTED)
        add_interval(figure, 1, row, point.interval, limits, colour, horizontal=True)
        add_seeds(figure, 1, row, point.seeds, colour, horizontal=True)
        solid = {"size": 11, "color": colour, "line": {"color": "white", "width": 1.5}}
        text = [hover(point, info.label)]
        figure.add_scatter(x=[point.interval.mean], y=[row], mode="markers", marker=solid, hovertext=text, hoverinfo="text", meta="means")
        where = {"x": 0, "xref": "paper", "xanchor": "left", "y": row, "yref": "y", "yanchor": "bottom", "yshift": 5, "showarrow": False}
        figure.add_annotation(text=f"<b>{point.label}</b>" if row == 0 else point.label, font={"size": 12.5, "color": ink}, **where)
        if row:
            add_level(figure, 1, row - 0.7, {"color": RULE, "width": 1})
    figure.update_yaxes(visible=False, range=[len(points) - 0.7, -0.7])
    figure.update_xaxes(range=limits, title_text=sentence_case(info.label), nticks=6, tickformat=tick_format(limits))
    figure.update_layout(margin={"l": 0, "t": 2})
    return figure


def _stack(panels: Sequence[Panel], height: int) -> go.Figure:
    """Panels below each other over one x-axis, each under its own name."""
    figure = make_subplots(rows=max(1, len(panels)), cols=1, shared_xaxes=True, vertical_spacing=0.12 if len(panels) > 1 else 0)
    figure.update_layout(template=TEMPLATE, height=height, uirevision="keep")
    where = {"x": 0, "xref": "paper", "xanchor": "left", "y": 1, "yanchor": "bottom", "yshift": 7, "showarrow": False}
    for row, panel in enumerate(panels, start=1):
        axis = f"y{row if row > 1 else ''} domain"
        figure.add_annotation(text=sentence_case(panel.label), yref=axis, font={"size": 13, "color": INK}, **where)
    return figure


def _end(line: Series, position: int, limits: tuple[float, float]) -> End:
    """Where a line's name stands: at its last point, or in a list at the top with its symbol where points are not joined."""
    index = slot(line.key, position)
    if line.joined or not line.label:
        return line.points[-1].interval.mean, line.label, COLOURS[index]
    return limits[1] - (0.04 + 0.06 * position) * (limits[1] - limits[0]), f"{GLYPHS[index]} {line.label}", COLOURS[index]


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
            add_means(figure, row, [point.x for point in line.points], line.points, index, panel.label, joined=line.joined)
            ends.append(_end(line, position, limits))
        label_ends(figure, row, ends, limits, PANEL_PX)
        figure.update_yaxes(range=limits, nticks=5, tickformat=tick_format(limits), row=row, col=1)
    return figure


def _draw_published(panels: Sequence[Panel]) -> go.Figure:
    figure = _stack(panels, height=(PANEL_PX + 45) * len(panels) + 70)
    for row, panel in enumerate(panels, start=1):
        limits = value_range(panel)
        for level in panel.levels:
            add_level(figure, row, level.interval.mean, {"color": PAPER_GREY, "width": 1.2, "dash": "1px,3px"})
        for line in panel.series:
            add_published(figure, row, line.points, panel.label)
        label_ends(figure, row, [(level.interval.mean, str(level.x), PAPER_GREY) for level in panel.levels], limits, PANEL_PX)
        figure.update_yaxes(range=limits, nticks=5, tickformat=tick_format(limits), row=row, col=1)
    return figure


def _epsilon_axis(figure: go.Figure, panels: Sequence[Panel]) -> go.Figure:
    xs = sorted({float(point.x) for panel in panels for point in panel.points})
    shown = xs if len(xs) <= 8 else [-80.0, -70.0, -60.0, -50.0, -40.0, -30.0]
    pad = 0.08 * max(xs[-1] - xs[0], 10)
    figure.update_xaxes(tickvals=shown, ticktext=[value_label("epsilon_db", x) for x in shown], range=[xs[0] - pad, xs[-1] + pad])
    figure.update_xaxes(title_text=knob_label("epsilon_db"), row=len(panels), col=1)
    return figure


def _category_axis(figure: go.Figure) -> go.Figure:
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=list(SAMPLINGS))
    return figure
