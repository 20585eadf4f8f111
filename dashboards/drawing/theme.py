"""The look of every figure and page: one plotly template, one palette, one configuration of
plotly.js.
"""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
from dash.dcc import Graph

INK = "#1c2127"


MUTED = "#5c6670"


FAINT = "#98a1aa"


RULE = "#e3e6ea"


PAPER_GREY = "#7d868f"
"""Of everything the paper published, as against what this study measured."""


WASH = "#d3d8dd"
"""Of curves that are context only."""


COLOURS = (
    "#0b6fb3",
    "#cf5a1a",
    "#0a8f70",
    "#a34f86",
    "#b8860b",
    "#4a9fd4",
    "#5f4bb6",
    "#7d4e24",
    "#b8234f",
)
"""Okabe and Ito's order, darkened until thin lines and small text keep 3 : 1 against white, then
three more for the adversaries.
"""


SYMBOLS = (
    "circle",
    "diamond",
    "square",
    "triangle-up",
    "triangle-down",
    "pentagon",
    "star",
    "cross",
    "hexagon",
)
"""Second coding beside colour, for grey prints and colour-blind readers."""


GLYPHS = ("●", "◆", "■", "▲", "▼", "⬟", "★", "✚", "⬢")
"""The symbols as text, for labels of points that no line joins."""


_SIMILARITIES = ("dot", "nonlinear_cosine", "cosine")


_ADVERSARIES = (
    "fgsm",
    "pgd",
    "gaussian",
    "none",
    "rs_fgsm",
    "free",
    "additive_noise",
    "speed",
    "pitch",
)


_FIXED = {
    key: position for family in (_SIMILARITIES, _ADVERSARIES) for position, key in enumerate(family)
}


FONT = 'Inter, ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif'


PLOTLY_CONFIG: Graph.Config = {
    "showSendToCloud": False,
    "displaylogo": False,
    "responsive": True,
    "displayModeBar": "hover",
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
}
"""plotly.js shows an upload button unless told otherwise."""


def slot(key: str, position: int) -> int:
    """Index into the palette: fixed for similarities and adversaries, so that each has one colour
    in every figure.
    """
    return _FIXED.get(key, position) % len(COLOURS)


def faded(colour: str, opacity: float) -> str:
    """A palette colour as `rgba(…)`."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def blended(colour: str, white: float) -> str:
    """A palette colour mixed with a share of white, as `#rrggbb`."""
    parts = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return "#" + "".join(f"{round(part + (255 - part) * white):02x}" for part in parts)


def _axis(**changes: Any) -> dict[str, Any]:
    return {
        "showline": False,
        "zeroline": False,
        "gridcolor": RULE,
        "gridwidth": 1,
        "ticks": "",
        "tickfont": {"size": 12, "color": MUTED},
        "title": {"font": {"size": 12.5, "color": MUTED}, "standoff": 10},
        "automargin": True,
        **changes,
    }


TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": FONT, "size": 13, "color": INK},
        "colorway": list(COLOURS),
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 8, "r": 16, "t": 34, "b": 8},
        "xaxis": _axis(
            showgrid=False,
            showline=True,
            linecolor=FAINT,
            linewidth=1,
            ticks="outside",
            ticklen=4,
            tickcolor=FAINT,
        ),
        "yaxis": _axis(nticks=6),
        "hoverlabel": {
            "bgcolor": "white",
            "bordercolor": FAINT,
            "font": {"family": FONT, "size": 12.5, "color": INK},
            "align": "left",
        },
        "hovermode": "closest",
        "showlegend": False,
        "dragmode": False,
        "modebar": {"bgcolor": "rgba(255,255,255,0)", "color": FAINT, "activecolor": INK},
    }
)
"""Light, few lines, no legend: lines are labelled where they end."""
