"""The look of every figure and page: a plotly template, a palette, a configuration of plotly.js."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import plotly.graph_objects as go
from dash.dcc import Graph

INK = "#1c2127"
MUTED = "#5c6670"
FAINT = "#98a1aa"
RULE = "#e3e6ea"

PAPER_GREY = "#7d868f"
"""Values that the paper published."""

WASH = "#d3d8dd"
"""Curves that are context only."""

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
"""Okabe and Ito's order, darkened to 3 : 1 against white, then three more for the adversaries."""

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

_FIXED = {
    "dot": 0,
    "nonlinear_cosine": 1,
    "cosine": 2,
    "fgsm": 0,
    "pgd": 1,
    "gaussian": 2,
    "none": 3,
    "rs_fgsm": 4,
    "free": 5,
    "additive_noise": 6,
    "speed": 7,
    "pitch": 8,
}
"""Place in the palette of a similarity or an adversary, so that each has one colour everywhere."""

FONT = (
    'Inter, ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, '
    '"Helvetica Neue", "Liberation Sans", Arial, sans-serif'
)

PLOTLY_CONFIG: Graph.Config = {
    "showSendToCloud": False,
    "displaylogo": False,
    "responsive": True,
    "displayModeBar": "hover",
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
}
"""plotly.js shows an upload button unless configured otherwise."""


def slots(keys: Sequence[str]) -> list[int]:
    """Places in the palette of keys that are shown together: the fixed ones, then the next free."""
    fixed = {_FIXED[key] for key in keys if key in _FIXED}
    every = range(len(COLOURS))
    free = cycle([place for place in every if place not in fixed] or every)
    return [_FIXED[key] if key in _FIXED else next(free) for key in keys]


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
