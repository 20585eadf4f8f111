"""Score against the temperature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from dash.development.base_component import Component

from dashboards.drawing.marks import (
    End,
    add_interval,
    add_means,
    add_seeds,
    label_ends,
    log_dodge,
    tick_format,
    value_range,
)
from dashboards.drawing.panels import Panel, _not_measured, _not_varied, panel_of
from dashboards.drawing.sections import INTERVALS, SEARCHED, _caption, _pending, _section, graph
from dashboards.drawing.stacked_panels import _end, _stack
from dashboards.drawing.theme import COLOURS, slot
from study.analysis.cells import NotShown, cells_varying
from study.analysis.labels import metric_label, sentence_case, value_label
from study.analysis.published import FIGURE_1, SETTING
from study.results.records import StudyRecord


def draw_temperature(info: TemperatureInfo) -> go.Figure:
    """The metric against τ on a log axis, a line per similarity: the paper's Figure 1."""
    figure = _stack([info.panel], height=400)
    limits, series = value_range(info.panel), info.panel.series
    xs = sorted({float(point.x) for point in info.panel.points})
    ends: list[End] = []
    for position, line in enumerate(series):
        index = slot(line.key, position)
        moved = [
            log_dodge(float(point.x), position, len(series), xs) if line.joined else float(point.x)
            for point in line.points
        ]
        for x, point in zip(moved, line.points, strict=True):
            add_interval(figure, 1, x, point.interval, limits, COLOURS[index])
            add_seeds(figure, 1, x, point.seeds, COLOURS[index])
        add_means(figure, 1, moved, line.points, index, info.panel.label, joined=line.joined)
        ends.append(_end(line, position, limits))
    label_ends(figure, 1, ends, limits, plot_px=310)
    figure.update_yaxes(range=limits, tickformat=tick_format(limits))
    shown = xs if len(xs) <= 8 else [0.01, 0.03, 0.1, 0.3, 1.0, 3.0]
    figure.update_xaxes(
        type="log",
        range=_log_range(xs),
        tickvals=shown,
        ticktext=[value_label("temperature", x) for x in shown],
    )
    figure.update_xaxes(title_text="Temperature τ (log axis)")
    return figure


def _log_range(xs: Sequence[float]) -> list[float]:
    """Limits of a log axis as plotly wants them, as powers of ten, with room for dodged points."""
    low, high = math.log10(xs[0]), math.log10(xs[-1])
    pad = 0.07 * max(high - low, 0.3)
    return [low - pad, high + pad]


def _temperature(record: StudyRecord) -> Component | None:
    info = temperature_info(record)
    if isinstance(info, NotShown):
        return _pending("temperature", "Temperature and similarity", info)
    lead = f"{sentence_case(metric_label(record.metric))} against the temperature τ that divides the similarity."
    paper = f"The paper's Figure 1 prints no numbers; its text says: {FIGURE_1} ({SETTING})."
    return _section(
        "temperature",
        "Temperature and similarity",
        lead,
        [
            graph("temperature-figure", draw_temperature(info)),
            _caption(INTERVALS if info.panel.controlled else SEARCHED),
            _caption(paper),
        ],
    )


@dataclass(frozen=True)
class TemperatureInfo:
    """The paper's Figure 1 on this study: the deciding metric against τ, a line per similarity.

    Attributes:
        panel: The lines; x is τ.
    """

    panel: Panel


def temperature_info(record: StudyRecord) -> TemperatureInfo | NotShown:
    """The deciding metric against τ, or why there is nothing to draw."""
    cells = [
        cell
        for cell in cells_varying(record, "temperature", "similarity")
        if "temperature" in cell.knobs
    ]
    missing = _not_varied(cells, "temperature") or _not_measured(cells, (record.metric,))
    return missing or TemperatureInfo(panel_of(cells, "temperature", "similarity", record.metric))
