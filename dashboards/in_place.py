"""Updates of a page in place: a component that changes keeps its zoom, its focus, its open details.

Dash mounts children anew whenever a callback returns them, even where they are the same. So every
component is given an id, and of a tree that a browser shows already only the properties that differ
are set.
"""

from __future__ import annotations

import json
from typing import Any

from dash import Patch
from dash.development.base_component import Component
from plotly.io.json import to_json_plotly

Tree = Any
"""A component as JSON, with its type, its namespace and its properties; a list; a text; None."""

Changes = list[tuple[Any, dict[str, Any]]]
"""Ids of components, each with the properties to set."""


def tree_of(name: str, part: Component | None) -> Tree:
    """A part of the page as JSON, with an id for each of its components.

    Args:
        name: The part's; ids begin with it.
        part: Its components.
    """
    tree = json.loads(to_json_plotly(part))
    _identify(tree, name)
    return tree


def _identify(node: Tree, path: str) -> None:
    if _is_component(node):
        node["props"].setdefault("id", path)
        children = node["props"].get("children")
        for place, child in enumerate(children if isinstance(children, list) else [children]):
            _identify(child, f"{path}-{place}")


def changes(old: Tree, new: Tree) -> Changes | None:
    """Changes that turn one tree into another; None where it must be replaced."""
    if old == new:
        return []
    if not (_is_component(old) and _is_component(new)) or _kind(old) != _kind(new):
        return None
    before, after = old["props"], new["props"]
    if before.keys() != after.keys():
        return None
    own = {
        name: _patch(before[name], after[name]) if name == "figure" else after[name]
        for name in after
        if after[name] != before[name]
    }
    inner = _changes_in(before.get("children"), after.get("children"))
    if inner is not None:
        own.pop("children", None)
    return [*([(after["id"], own)] if own else []), *(inner or [])]


def _patch(old: Tree, new: Tree) -> Patch:
    """The differences of two figures. What else a browser's own has, such as a zoom, stays."""
    patch = Patch()
    _fill(patch, old, new)
    return patch


def _fill(patch: Any, old: dict[str, Any], new: dict[str, Any]) -> None:
    for name in old.keys() - new.keys():
        del patch[name]
    for name, value in new.items():
        before = old.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            _fill(patch[name], before, value)
        elif name not in old or before != value:
            patch[name] = value


def _changes_in(old: Tree, new: Tree) -> Changes | None:
    """The same of children, one by one."""
    if not (isinstance(old, list) and isinstance(new, list)):
        return changes(old, new)
    if len(old) != len(new):
        return None
    found: Changes = []
    for before, after in zip(old, new, strict=True):
        own = changes(before, after)
        if own is None:
            return None
        found += own
    return found


def _kind(node: Tree) -> tuple[str, str, Any]:
    return node["namespace"], node["type"], node["props"]["id"]


def _is_component(node: Tree) -> bool:
    return isinstance(node, dict) and node.keys() >= {"namespace", "type", "props"}
