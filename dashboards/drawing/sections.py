"""Components that sections of the study page are made of."""

from __future__ import annotations

import plotly.graph_objects as go
from dash import dcc, html
from dash.development.base_component import Component

from dashboards.drawing.panels import TablePanels
from dashboards.drawing.theme import PLOTLY_CONFIG
from study.analysis.cells import NotShown
from study.analysis.published import SETTING

INTERVALS = (
    "Filled markers are means over seeds, hollow dots the seeds themselves, bars 95 % t-intervals "
    "over seeds, and over held-out recordings where their scores were kept; below three seeds "
    "there is none. "
    "An arrow head says that the interval continues beyond the axis."
)

SEARCHED = (
    "Other knobs differ between these points too: nothing is joined, "
    "and no row can be set beside the paper's."
)


def graph(name: str, figure: go.Figure) -> Component:
    """A figure at its own height and the page's width."""
    return dcc.Graph(
        id=name,
        figure=figure,
        config=PLOTLY_CONFIG,
        responsive=True,
        style={"height": f"{figure.layout.height}px"},
    )


def section(name: str, title: str, *children: Component) -> Component:
    """A section of the page, with its id and heading."""
    return html.Section([html.H2(title), *children], id=name)


def pending_section(name: str, title: str, info: NotShown) -> Component | None:
    """The place of a figure or table that waits for results, None where none will come."""
    if not info.pending:
        return None
    return section(name, title, html.P(info.reason, className="pending"))


def lead(text: str) -> Component:
    """The paragraph under a section's heading."""
    return html.P(text, className="lead")


def caption(text: str) -> Component:
    """The small print under a figure."""
    return html.P(text, className="caption")


def scrolling(table: Component) -> Component:
    """A wide table in a box of its own, which scrolls so that a phone's page does not."""
    return html.Div(table, className="scroll", tabIndex=0)


def beside_paper(ours: Component, published: Component, table: str) -> Component:
    """A study's figure and the paper's, side by side."""
    paper = html.Figcaption([f"The paper, {table} ", html.Span(SETTING)], className="paper")
    return html.Div(
        [
            html.Figure([html.Figcaption("This study"), ours]),
            html.Figure([paper, published]),
        ],
        className="pair",
    )


def compared(info: TablePanels, text: str, table: Component) -> list[Component]:
    """The table beside the published values, where the study compares like with like."""
    return [caption(text), table] if info.controlled else [caption(SEARCHED)]
