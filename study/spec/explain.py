"""JSON Schema of a spec file, and explanations of its settings, read from the schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from cpc_core.config import CpcConfig
from cpc_core.errors import ConfigError
from search_spaces.fields import is_numeric, nearest, walk
from search_spaces.knobs import KNOBS, resolve
from study.spec.study_spec import StudySpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Node = Mapping[str, Any]
"""Part of a JSON Schema."""

_TYPES = {
    "number": "number",
    "integer": "whole number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "object": "section",
}

_BOUNDS = {
    "exclusiveMinimum": "above",
    "minimum": "at least",
    "exclusiveMaximum": "below",
    "maximum": "at most",
    "pattern": "matching",
    "minItems": "items at least",
    "minLength": "letters at least",
}
"""Keywords of JSON Schema as text."""

_UNIT_OF_SUFFIX = {"_s": "s", "_db": "dB", "_steps": "steps", "_clips": "clips"}


@dataclass(frozen=True)
class Explanation:
    """One setting.

    Attributes:
        setting: Its path in a spec.
        meaning: Its docstring.
        type: Type of its values.
        allowed: Listed values or bounds; empty where the type says all.
        default: As YAML would write it; `required` where there is none.
        unit: Unit of its values, empty where they have none.
        source: Its place in the paper, or that the choice is this project's.
        within: The alternatives of `kind` that have it, or the settings inside it where it is a
            section.
    """

    setting: str
    meaning: str
    type: str
    allowed: str
    default: str
    unit: str
    source: str
    within: str


@dataclass(frozen=True)
class _Found:
    """A field, its section, and the field of that section."""

    owner: Node
    name: str
    holder: Node

    @property
    def field(self) -> Node:
        field: Node = self.owner["properties"][self.name]
        return field


def spec_schema() -> dict[str, Any]:
    """JSON Schema with the trial configuration under `base` and the knobs of `space`.

    It describes each setting alone. Settings that contradict each other, say a crop too short for
    the last predicted step, are found by `cpc study validate`.
    """
    schema = StudySpec.model_json_schema()
    config = CpcConfig.model_json_schema()
    definitions = {**schema["$defs"], **config.pop("$defs")}
    # Replicates are listed under `seeds`.
    del config["properties"]["seed"]
    dimension = definitions["SearchSpace"]["additionalProperties"]
    listed = definitions["Values"]["properties"]["values"]
    definitions["SearchSpace"] = {
        "type": "object",
        "description": definitions["SearchSpace"]["description"],
        "propertyNames": {
            "enum": [*KNOBS, *dict.fromkeys(path for path, _ in walk(CpcConfig) if path != "seed")]
        },
        "additionalProperties": {
            "anyOf": [{**listed, "title": "A list of values"}, *dimension["oneOf"]]
        },
    }
    definitions["CpcConfig"] = config
    base = schema["properties"]["base"]
    schema["properties"]["base"] = {**base, "$ref": "#/$defs/CpcConfig"}
    del schema["properties"]["base"]["additionalProperties"], schema["properties"]["base"]["type"]
    definitions["Scale"] = _scale(schema["properties"], config)
    schema["properties"]["scales"]["additionalProperties"] = {"$ref": "#/$defs/Scale"}
    # A file may leave its name to its scales.
    del schema["required"]
    rest = {key: part for key, part in schema.items() if key not in ("$defs", "title")}
    return {"$schema": DIALECT, "title": "cpc-study spec", **rest, "$defs": definitions}


def _scale(properties: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """Schema of a scale: any setting of a file, whose `kind` may be set outside the scale."""
    partly = {
        name: {"anyOf" if keyword == "oneOf" else keyword: value for keyword, value in part.items()}
        for name, part in config["properties"].items()
    }
    own = {name: part for name, part in properties.items() if name != "scales"}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **own,
            "base": {"type": "object", "additionalProperties": False, "properties": partly},
        },
    }


def settings() -> Iterator[str]:
    """Every setting that a spec may have, in the order of the spec."""
    for name, field in _schema()["properties"].items():
        if name == "space":
            yield from (f"space.{knob}" for knob in KNOBS)
        else:
            yield from dict.fromkeys(_leaves(field, name))


def explain(setting: str) -> Explanation:
    """Explanation of a setting.

    Args:
        setting: Its path in a spec (`sampler.trials`, `base.encoder.width`, `space.temperature`),
            or a knob alone.

    Raises:
        ConfigError: There is no such setting; the nearest one is proposed.
    """
    head, _, rest = setting.partition(".")
    if setting in KNOBS:
        head, rest = "space", setting
    is_knob = head == "space" and rest != ""
    setting = f"{head}.{rest}" if rest else head
    path = f"base.{resolve(rest)}" if rest and head in ("base", "space") else setting
    found = tuple(_descend({}, _schema(), path.split(".")))
    if not found:
        top = list(_schema()["properties"])
        (config,) = _sections(_schema()["properties"]["base"])
        base = [f"base.{name}" for name in config["properties"]]
        valid = [*top, *KNOBS, *settings(), *base]
        raise ConfigError(f"'{setting}' is not a setting of a spec{nearest(setting, valid)}")
    explained = _explanation(setting, path, found)
    return _as_dimension(explained, rest, path) if is_knob else explained


@cache
def _schema() -> Node:
    return spec_schema()


def _sections(node: Node) -> list[Node]:
    """Sections of a node: one of a section or a list of it, several of a choice, or none."""
    if "$ref" in node:
        return _sections(_schema()["$defs"][node["$ref"].removeprefix("#/$defs/")])
    if "properties" in node:
        return [node]
    items = node.get("items", {})
    parts = [*node.get("anyOf", ()), *node.get("oneOf", ()), *([items] if items else [])]
    found = [section for part in parts for section in _sections(part)]
    return [section for index, section in enumerate(found) if section not in found[:index]]


def _leaves(field: Node, path: str) -> Iterator[str]:
    """Paths of the settings at or below a field that are no sections."""
    inside = _sections(field)
    if not inside:
        yield path
    for section in inside:
        for name, inner in section["properties"].items():
            yield from _leaves(inner, f"{path}.{name}")


def _descend(holder: Node, section: Node, path: Sequence[str]) -> Iterator[_Found]:
    """Fields at a path below a section, several where alternatives share a name."""
    name, *rest = path
    field = section["properties"].get(name)
    if field is None:
        return
    if not rest:
        yield _Found(section, name, holder)
        return
    for inner in _sections(field):
        yield from _descend(field, inner, rest)


def _explanation(setting: str, path: str, found: tuple[_Found, ...]) -> Explanation:
    first = found[0]
    inside = _sections(first.field)
    kinds = [
        _kind(each.owner) for each in found if "const" in each.owner["properties"].get("kind", {})
    ]
    if first.name == "kind" and kinds:
        sentences = (_first_paragraph(each.owner) for each in found)
        meaning = " ".join(f"{kind}: {text}" for kind, text in zip(kinds, sentences, strict=True))
        within = ""
        chosen = first.holder.get("default")
        default = json.dumps(chosen["kind"]) if chosen else "required"
    else:
        meaning = first.field.get("description") or " ".join(map(_first_paragraph, inside))
        names = dict.fromkeys(name for section in inside for name in section["properties"])
        within = f"kind {', '.join(kinds)}" if kinds else ", ".join(names)
        default = " or ".join(dict.fromkeys(_default(each.field) for each in found))
    return Explanation(
        setting=setting,
        meaning=" ".join(meaning.split()),
        type=" or ".join(dict.fromkeys(_type(each.field) for each in found)),
        allowed=", ".join(dict.fromkeys(text for each in found if (text := _allowed(each.field)))),
        default=default,
        unit=_unit(path.removeprefix("base.")),
        source=_source(found, inside),
        within=within,
    )


def _as_dimension(explained: Explanation, knob: str, path: str) -> Explanation:
    """The setting as something that varies."""
    form = "a list of values" + (", or a range {low, high, log, step}" if is_numeric(knob) else "")
    within = path + (f", {explained.within}" if explained.within else "")
    return replace(explained, type=f"{form} of: {explained.type}", within=within)


def _kind(section: Node) -> str:
    return str(section["properties"]["kind"]["const"])


def _first_paragraph(section: Node) -> str:
    return str(section.get("description", "")).partition("\n\n")[0]


def _type(field: Node) -> str:
    if "discriminator" in field:
        return "choice of sections"
    if "enum" in field or "const" in field:
        return "choice"
    if forms := [*field.get("anyOf", ()), *field.get("oneOf", ())]:
        return " or ".join(dict.fromkeys(map(_type, forms)))
    if field.get("type") == "array":
        return f"list of {_type(field.get('items') or field['prefixItems'][0])}"
    return "section" if "$ref" in field else _TYPES[field["type"]]


def _allowed(field: Node) -> str:
    if "discriminator" in field:
        return ", ".join(f"kind: {_kind(section)}" for section in _sections(field))
    parts = [field, *field.get("anyOf", ()), field.get("items", {})]
    listed = [
        str(value)
        for part in parts
        for value in (*part.get("enum", ()), *([part["const"]] if "const" in part else ()))
    ]
    bounds = [
        f"{text} {part[keyword]}"
        for part in parts
        for keyword, text in _BOUNDS.items()
        if keyword in part
    ]
    return ", ".join([*listed, *bounds])


def _default(field: Node) -> str:
    return json.dumps(field["default"], ensure_ascii=False) if "default" in field else "required"


def _unit(path: str) -> str:
    known = [knob.unit for knob in KNOBS.values() if knob.path == path and knob.unit]
    suffixes = [unit for suffix, unit in _UNIT_OF_SUFFIX.items() if path.endswith(suffix)]
    return next(iter([*known, *suffixes]), "")


def _source(found: Sequence[_Found], inside: Sequence[Node]) -> str:
    """Place in the paper: of the field itself, or of the section inside it or around it."""
    if own := _places([each.field for each in found]):
        return f"the paper, {own}"
    around = _places(inside or [each.owner for each in found])
    return f"part of what the paper describes in {around}" if around else "this project"


def _places(nodes: Sequence[Node]) -> str:
    return ", ".join(dict.fromkeys(node["paper"] for node in nodes if "paper" in node))
