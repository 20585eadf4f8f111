"""Updates in place: what they set turns the old tree into the new one, and touches nothing else."""

from __future__ import annotations

import copy
import json
from typing import Any

import plotly.graph_objects as go
import pytest
from dash import Patch, html
from dash.development.base_component import Component

from dashboards.drawing.sections import graph
from dashboards.in_place import Tree, changes, tree_of
from dashboards.study_page import PARTS
from study.results.records import StudyRecord
from tests.helpers import records

RECORDS = (
    records.empty_study(),
    records.running_study(),
    records.temperature_study((1.0, 0.2, 0.05), 2),
    records.temperature_study((1.0, 0.2, 0.05), 3),
    records.epsilon_study(),
    records.search_study(),
)


def applied(tree: Tree, found: list[tuple[Any, dict[str, Any]]]) -> Tree:
    """The tree that a browser has after the changes."""
    tree = copy.deepcopy(tree)
    for target, properties in found:
        own = component(tree, target)["props"]
        for name, value in properties.items():
            own[name] = patched(own[name], value) if isinstance(value, Patch) else value
    return tree


def component(node: Tree, target: Any) -> Any:
    if isinstance(node, list):
        return next((hit for child in node if (hit := component(child, target))), None)
    if not isinstance(node, dict) or "props" not in node:
        return None
    if node["props"]["id"] == target:
        return node
    return component(node["props"].get("children"), target)


def patched(value: Any, patch: Patch) -> Any:
    """What the operations of a patch make of a value, as Dash's documentation defines them."""
    value = copy.deepcopy(value)
    for operation in patch.to_plotly_json()["operations"]:
        *path, last = operation["location"]
        holder = value
        for name in path:
            holder = holder[name]
        if operation["operation"] == "Delete":
            del holder[last]
        else:
            assert operation["operation"] == "Assign"
            holder[last] = operation["params"]["value"]
    return value


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("after", RECORDS)
@pytest.mark.parametrize("before", RECORDS)
def test_changes_make_the_new_part_of_the_old_one(
    before: StudyRecord, after: StudyRecord, name: str
) -> None:
    old, new = (tree_of(name, PARTS[name](record)) for record in (before, after))
    found = changes(old, new)
    if found is None:
        assert old is None or new is None or old["props"].keys() != new["props"].keys()
    else:
        assert applied(old, found) == new
    assert changes(new, copy.deepcopy(new)) == []


def tree(*children: Component) -> Tree:
    return tree_of("part", html.Section(list(children), id="part"))


def test_only_what_differs_is_set() -> None:
    def drawn(high: float, title: str | None) -> Component:
        layout: dict[str, Any] = {"height": 100, "yaxis": {"range": [0, high]}}
        if title:
            layout["title"] = {"text": title}
        figure = go.Figure(layout=layout)
        figure.add_scatter(x=[1], y=[high])
        return html.Figure([html.Figcaption("name"), graph("figure", figure)])

    old = tree(html.P("caption"), drawn(1.0, "old"), html.P(["five ", html.B("5")]))
    new = tree(html.P("caption"), drawn(2.0, None), html.P(["six ", html.B("6")]))
    found = changes(old, new)
    assert found is not None
    (target, properties), (text, words) = found
    assert (target, text, list(words)) == ("figure", "part-2", ["children"])
    locations = [each["location"] for each in properties["figure"].to_plotly_json()["operations"]]
    assert sorted(map(str, locations)) == sorted(
        map(str, [["layout", "title"], ["layout", "yaxis", "range"], ["data"]])
    )
    assert json.dumps(applied(old, found), sort_keys=True) == json.dumps(new, sort_keys=True)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_every_component_has_an_id_of_its_own(record: StudyRecord) -> None:
    found = [str(each) for name in PARTS for each in ids(tree_of(name, PARTS[name](record)))]
    assert len(found) == len(set(found)) > len(PARTS)


def ids(node: Tree) -> list[Any]:
    if isinstance(node, list):
        return [each for child in node for each in ids(child)]
    if not isinstance(node, dict) or "props" not in node:
        return []
    return [node["props"]["id"], *ids(node["props"].get("children"))]


def test_another_number_of_children_replaces_them_alone() -> None:
    old = tree(html.P("caption"), html.Ul([html.Li("a")]))
    new = tree(html.P("caption"), html.Ul([html.Li("a"), html.Li("b")]))
    found = changes(old, new)
    assert found is not None
    assert [(target, list(properties)) for target, properties in found] == [
        ("part-1", ["children"])
    ]


def test_a_part_of_another_kind_is_replaced() -> None:
    assert changes(tree_of("part", html.P("pending")), tree_of("part", html.Div("shown"))) is None
    assert changes(None, tree(html.P("shown"))) is None
