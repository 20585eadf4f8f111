"""Cells from best to worst, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from dash import html
from dash.development.base_component import Component

from dashboards.drawing.marks import (
    add_intervals,
    add_level,
    add_seeds,
    add_text,
    fixed_range,
    hover,
    tick_format,
    value_range,
)
from dashboards.drawing.panels import Panel, Point, point_of
from dashboards.drawing.sections import caption, graph, lead, scrolling
from dashboards.drawing.stacked_panels import stack
from dashboards.drawing.theme import COLOURS, INK, MUTED, RULE
from dashboards.tables import column_heading, with_interval
from study.analysis.cells import Cell, NotShown, group_cells, pareto_front, ranked
from study.analysis.labels import metric_label, sentence_case
from study.results.records import StudyRecord

ROW_PX = 44
"""Height of a cell in the ranking: its name above its marks."""

RANKED_SHOWN = 20
"""Longer rankings are cut here; the trial table has the rest."""


@dataclass(frozen=True)
class RankingInfo:
    """Cells by the deciding metric.

    Attributes:
        metric: The deciding metric.
        label: Its name as text.
        cells: Best first, at most `RANKED_SHOWN`.
        hidden: Number of ranked cells that are not in `cells`.
        unranked: Cells without a complete trial that measured the metric.
        objectives: The study's objectives, `metric` first.
        accuracies: Held-out and training accuracy, which the table adds.
        front: Ids of the cells on the Pareto front; empty with one objective.
    """

    metric: str
    label: str
    cells: tuple[Cell, ...]
    hidden: int
    unranked: tuple[Cell, ...]
    objectives: tuple[str, ...] = ()
    accuracies: tuple[str, ...] = ()
    front: tuple[str, ...] = ()


class RankingFigure:
    """Every cell in a row, best on top."""

    name = "ranking"
    title = "All settings, ranked"

    def info(self, record: StudyRecord) -> RankingInfo | NotShown:
        """The cells that can be ranked, or the reason why none can."""
        order, label = ranked(record), metric_label(record.metric)
        if not order:
            return NotShown(f"No complete trial has measured {label}.", True)
        cells = group_cells(record)
        return RankingInfo(
            metric=record.metric,
            label=label,
            cells=order[:RANKED_SHOWN],
            hidden=len(order[RANKED_SHOWN:]),
            unranked=tuple(cell for cell in cells if record.metric not in cell.metrics),
            objectives=tuple(objective.metric for objective in record.objectives),
            accuracies=(f"dev_{record.accuracy}", f"train_{record.accuracy}"),
            front=tuple(cell.cell_id for cell in pareto_front(record)),
        )

    def draw(self, info: RankingInfo) -> go.Figure:
        """Seeds, mean and interval of the deciding metric, a row per cell."""
        points = [point_of(cell, cell.label, info.metric) for cell in info.cells]
        limits = value_range(Panel(info.metric, info.label, (), tuple(points)))
        figure = stack([], height=ROW_PX * len(points) + 56)
        _add_rows(figure, range(1), points[:1], limits, COLOURS[0], info.label)
        _add_rows(figure, range(1, len(points)), points[1:], limits, MUTED, info.label)
        for row, point in enumerate(points):
            ink = MUTED if row else INK
            text = point.label if row else f"<b>{point.label}</b>"
            place = {"x": 0, "xanchor": "left", "y": row, "yref": "y", "yanchor": "bottom"}
            add_text(figure, text, 12.5, ink, **place, yshift=5)
            if row:
                add_level(figure, 1, row - 0.7, {"color": RULE, "width": 1})
        figure.update_yaxes(visible=False, range=[len(points) - 0.7, -0.7])
        figure.update_xaxes(
            **fixed_range(limits),
            title_text=sentence_case(info.label),
            nticks=6,
            tickformat=tick_format(limits),
        )
        figure.update_layout(margin={"l": 0, "t": 2})
        return figure

    def section(self, info: RankingInfo) -> list[Component]:
        """The figure and a table of the cells."""
        order = f"By {info.label}, best mean first."
        if info.front:
            between = " and ".join(metric_label(metric) for metric in info.objectives)
            order += (
                f" On the Pareto front of {between} are the settings "
                "that no other beats in each of them."
            )
        more = f"{info.hidden} more settings are in the table of trials."
        return [
            lead(order),
            graph("ranking-figure", self.draw(info)),
            *([caption(more)] if info.hidden else []),
            cell_table(info),
        ]


def _add_rows(
    figure: go.Figure,
    rows: Sequence[int],
    points: Sequence[Point],
    limits: tuple[float, float],
    colour: str,
    metric: str,
) -> None:
    """Draws the intervals, seeds and means of some rows."""
    add_intervals(figure, 1, rows, points, limits, colour, horizontal=True)
    add_seeds(figure, 1, rows, points, colour, horizontal=True)
    figure.add_scatter(
        x=[point.interval.mean for point in points],
        y=list(rows),
        mode="markers",
        marker={"size": 11, "color": colour, "line": {"color": "white", "width": 1.5}},
        hovertext=[hover(point, metric) for point in points],
        hoverinfo="text",
        meta="means",
    )


def cell_table(info: RankingInfo) -> Component:
    """A row per cell, best first, then cells without a result; the Pareto front is marked."""
    columns = dict.fromkeys((info.metric, *info.objectives, *info.accuracies))
    metrics = [metric for metric in columns if any(metric in cell.metrics for cell in info.cells)]
    head = [
        column_heading("Setting"),
        *(column_heading(sentence_case(metric_label(metric)), "number") for metric in metrics),
        column_heading("Seeds", "number"),
        column_heading("Other trials"),
    ]
    body = []
    for cell in (*info.cells, *info.unranked):
        mark = html.Span(" on the Pareto front", className="quiet")
        seeds = cell.metrics[info.metric].n if info.metric in cell.metrics else 0
        others = [
            f"{count} {outcome}"
            for outcome, count in cell.outcomes.items()
            if outcome != "complete"
        ]
        body.append(
            html.Tr(
                [
                    html.Th(
                        [cell.label, mark if cell.cell_id in info.front else None], scope="row"
                    ),
                    *(
                        html.Td(with_interval(cell.metrics.get(metric)), className="number")
                        for metric in metrics
                    ),
                    html.Td(str(seeds), className="number"),
                    html.Td(", ".join(others), className="quiet"),
                ]
            )
        )
    return scrolling(html.Table([html.Thead(html.Tr(head)), html.Tbody(body)], className="data"))


FIGURE = RankingFigure()
