"""Cells from best to worst, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go
from dash import html
from dash.development.base_component import Component

from dashboards.drawing.marks import (
    add_interval,
    add_level,
    add_seeds,
    hover,
    tick_format,
    value_range,
)
from dashboards.drawing.panels import Panel, Point
from dashboards.drawing.sections import _caption, _pending, _section, graph
from dashboards.drawing.stacked_panels import _stack
from dashboards.drawing.theme import COLOURS, INK, MUTED, RULE
from dashboards.tables import _scrolling, _with_interval
from study.analysis.cells import Cell, NotShown, group_cells, pareto_front, ranked
from study.analysis.labels import interval_text, metric_label, sentence_case
from study.results.records import StudyRecord

ROW_PX = 44
"""Height of a cell in the ranking: its name above its marks."""


def draw_ranking(info: RankingInfo) -> go.Figure:
    """Every cell in a row, best on top: seeds, mean and interval of the deciding metric."""
    points = [
        Point(cell.label, cell.label, cell.metrics[info.metric], cell.values[info.metric])
        for cell in info.cells
    ]
    limits = value_range(Panel(info.metric, info.label, (), tuple(points)))
    figure = _stack([], height=ROW_PX * len(points) + 56)
    for row, point in enumerate(points):
        colour, ink = (COLOURS[0], INK) if row == 0 else (MUTED, MUTED)
        add_interval(figure, 1, row, point.interval, limits, colour, horizontal=True)
        add_seeds(figure, 1, row, point.seeds, colour, horizontal=True)
        solid = {"size": 11, "color": colour, "line": {"color": "white", "width": 1.5}}
        text = [hover(point, info.label)]
        figure.add_scatter(
            x=[point.interval.mean],
            y=[row],
            mode="markers",
            marker=solid,
            hovertext=text,
            hoverinfo="text",
            meta="means",
        )
        where = {
            "x": 0,
            "xref": "paper",
            "xanchor": "left",
            "y": row,
            "yref": "y",
            "yanchor": "bottom",
            "yshift": 5,
            "showarrow": False,
        }
        figure.add_annotation(
            text=f"<b>{point.label}</b>" if row == 0 else point.label,
            font={"size": 12.5, "color": ink},
            **where,
        )
        if row:
            add_level(figure, 1, row - 0.7, {"color": RULE, "width": 1})
    figure.update_yaxes(visible=False, range=[len(points) - 0.7, -0.7])
    figure.update_xaxes(
        range=limits, title_text=sentence_case(info.label), nticks=6, tickformat=tick_format(limits)
    )
    figure.update_layout(margin={"l": 0, "t": 2})
    return figure


def _ranking(record: StudyRecord) -> Component | None:
    info = ranking_info(record)
    if isinstance(info, NotShown):
        return _pending("ranking", "All settings, ranked", info)
    more = (
        [_caption(f"{info.hidden} more settings are in the table of trials.")]
        if info.hidden
        else []
    )
    lead = f"By {info.label}, best mean first."
    if info.front:
        between = " and ".join(metric_label(metric) for metric in info.objectives)
        lead += (
            f" On the front between {between} are the settings that no other beats in each of them."
        )
    return _section(
        "ranking",
        "All settings, ranked",
        lead,
        [graph("ranking-figure", draw_ranking(info)), *more, cell_table(info)],
    )


def cell_table(info: RankingInfo) -> Component:
    """A row per cell, best first, then the cells without a result; those on the front between
    several objectives are marked.
    """
    columns = dict.fromkeys((info.metric, *info.objectives, "dev_accuracy", "train_accuracy"))
    metrics = [metric for metric in columns if any(metric in cell.metrics for cell in info.cells)]
    head = [
        html.Th("Setting", scope="col"),
        *(
            html.Th(sentence_case(metric_label(metric)), scope="col", className="number")
            for metric in metrics
        ),
    ]
    head += [
        html.Th("Seeds", scope="col", className="number"),
        html.Th("Other trials", scope="col"),
    ]
    body = []
    for cell in (*info.cells, *info.unranked):
        shown = [
            html.Td(
                _with_interval(interval_text(cell.metrics[metric]))
                if metric in cell.metrics
                else "–",
                className="number",
            )
            for metric in metrics
        ]
        seeds = cell.metrics[info.metric].n if info.metric in cell.metrics else 0
        rest = ", ".join(
            f"{count} {outcome}"
            for outcome, count in cell.outcomes.items()
            if outcome != "complete"
        )
        mark = [html.Span(" on the front", className="quiet")] if cell.cell_id in info.front else []
        body.append(
            html.Tr(
                [
                    html.Th([cell.label, *mark] if mark else cell.label, scope="row"),
                    *shown,
                    html.Td(str(seeds), className="number"),
                    html.Td(rest, className="quiet"),
                ]
            )
        )
    return _scrolling(html.Table([html.Thead(html.Tr(head)), html.Tbody(body)], className="data"))


RANKED_SHOWN = 20
"""Longer rankings are cut here; the trial table has the rest."""


@dataclass(frozen=True)
class RankingInfo:
    """Cells by the deciding metric.

    Attributes:
        metric: The deciding metric.
        label: Its name in words.
        cells: Best first, at most `RANKED_SHOWN`.
        hidden: How many ranked cells are not in `cells`.
        unranked: Cells without a complete trial that measured the metric.
        objectives: The study's objectives, `metric` first.
        front: Ids of the cells on the front between several objectives; empty with one.
    """

    metric: str
    label: str
    cells: tuple[Cell, ...]
    hidden: int
    unranked: tuple[Cell, ...]
    objectives: tuple[str, ...] = ()
    front: tuple[str, ...] = ()


def ranking_info(record: StudyRecord) -> RankingInfo | NotShown:
    """The cells that can be ranked, or why none can."""
    order = ranked(record)
    if not order:
        return NotShown(f"No complete trial has measured {metric_label(record.metric)}.", True)
    unranked = tuple(cell for cell in group_cells(record) if record.metric not in cell.metrics)
    return RankingInfo(
        metric=record.metric,
        label=metric_label(record.metric),
        cells=order[:RANKED_SHOWN],
        hidden=len(order[RANKED_SHOWN:]),
        unranked=unranked,
        objectives=tuple(objective.metric for objective in record.objectives),
        front=tuple(cell.cell_id for cell in pareto_front(record)),
    )
