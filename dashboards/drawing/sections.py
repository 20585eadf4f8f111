"""Sections of the study page: figures with captions and tables."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from dash import dcc, html
from dash.development.base_component import Component

from dashboards.drawing.panels import Panel
from dashboards.drawing.theme import PLOTLY_CONFIG
from study.analysis import NotShown
from study.analysis.published import SETTING

INTERVALS = (
    "Filled markers are means over seeds, hollow dots the seeds themselves, bars 95 % t-intervals. "
    "An arrow head says that the interval goes on beyond the axis."
)


SEARCHED = "Other knobs differ between these points too: nothing is joined, and no row can be set beside the paper's."


def graph(name: str, figure: go.Figure) -> Component:
    """A figure at its own height and the page's width."""
    return dcc.Graph(
        id=name,
        figure=figure,
        config=PLOTLY_CONFIG,
        responsive=True,
        style={"height": f"{figure.layout.height}px"},
    )


def _compared(panels: Sequence[Panel], caption: str, table: Component) -> list[Component]:
    """The table beside the published values, where the study compares like with like."""
    return (
        [_caption(caption), table]
        if all(panel.controlled for panel in panels)
        else [_caption(SEARCHED)]
    )


def _beside(ours: Component, published: Component, table: str) -> Component:
    study = html.Figure([html.Figcaption("This study"), ours])
    paper = html.Figure(
        [
            html.Figcaption([f"The paper, {table} ", html.Span(SETTING)], className="paper"),
            published,
        ]
    )
    return html.Div([study, paper], className="pair")


def _section(name: str, title: str, lead: str, children: Sequence[Component]) -> Component:
    return html.Section([html.H2(title), html.P(lead, className="lead"), *children], id=name)


def _pending(name: str, title: str, info: NotShown) -> Component | None:
    return (
        html.Section([html.H2(title), html.P(info.reason, className="pending")], id=name)
        if info.pending
        else None
    )


def _caption(text: str) -> Component:
    return html.P(text, className="caption")
