"""Components written as HTML, figures as places that a script fills."""

from __future__ import annotations

import json
from html import escape
from typing import Any, cast

from dash import dcc
from dash.development.base_component import Component

_ATTRIBUTES = {
    "className": "class",
    "id": "id",
    "colSpan": "colspan",
    "rowSpan": "rowspan",
    "scope": "scope",
    "tabIndex": "tabindex",
}

_VOID = frozenset(("br", "img"))
"""Elements without content, which HTML does not close."""


def to_html(node: Any) -> tuple[str, dict[str, str]]:
    """HTML of a component tree.

    Args:
        node: A component, a list of them, text, a number or None.

    Returns:
        The HTML, and for each `dcc.Graph` its id → the figure as JSON that is safe inside a
        `<script>`.
    """
    figures: dict[str, str] = {}
    return _render(node, figures), figures


def _render(node: Any, figures: dict[str, str]) -> str:
    if node is None:
        return ""
    if isinstance(node, list | tuple):
        return "".join(_render(child, figures) for child in node)
    if isinstance(node, dcc.Graph):
        return _place(node, figures)
    if not isinstance(node, Component):
        return escape(str(node))
    tag, props = _plain(node)
    attributes = "".join(
        _attribute(name, value)
        for name, value in props.items()
        if name not in ("children", "n_clicks")
    )
    if tag in _VOID:
        return f"<{tag}{attributes}>"
    return f"<{tag}{attributes}>{_render(props.get('children'), figures)}</{tag}>"


def _plain(node: Component) -> tuple[str, dict[str, Any]]:
    """Tag and properties of a component."""
    plain = cast(Any, node).to_plotly_json()
    return plain["type"].lower(), plain["props"]


def _place(node: Component, figures: dict[str, str]) -> str:
    _, props = _plain(node)
    figures[props["id"]] = props["figure"].to_json()
    name, style = _attribute("id", props["id"]), _attribute("style", props["style"])
    return f'<div{name} class="plot"{style}></div>'


def _attribute(name: str, value: Any) -> str:
    if name == "style":
        value = ";".join(f"{key}:{setting}" for key, setting in value.items())
    elif isinstance(value, dict):
        value = json.dumps(value, sort_keys=True)
    return f' {_ATTRIBUTES.get(name, name)}="{escape(str(value))}"'
