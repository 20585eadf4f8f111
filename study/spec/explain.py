"""What a setting of a spec means: its docstring, type, allowed values, default, unit and where its
default comes from.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from cpc_core.config import CpcConfig
from cpc_core.errors import ConfigError
from search_spaces.fields import is_numeric, nearest, sections, walk
from search_spaces.knobs import KNOBS, resolve
from study.spec.study_spec import StudySpec

_WORDS = {
    float: "number",
    int: "whole number",
    str: "text",
    bool: "true or false",
    type(None): "null",
    Any: "any",
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
"""Keywords of JSON Schema, in words."""


_UNIT_OF_SUFFIX = {"_s": "s", "_db": "dB", "_steps": "steps", "_clips": "clips"}


_IN_PAPER = re.compile(r"(?:[Ss]ection|Eq\.|Table|Figure|Algorithm) \d(?:\.\d)?")


@dataclass(frozen=True)
class Explanation:
    """One setting.

    Attributes:
        setting: Its path in a spec.
        meaning: Its docstring.
        type: What kind of value it takes.
        allowed: Listed values or bounds; empty where the type says all.
        default: As YAML would write it; `required` where there is none.
        unit: Unit of its values, empty where they have none.
        source: The place in the paper that its docstring names, or that the choice is this
            project's.
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
    """A field, the section that has it, and the field that holds the section."""

    owner: type[BaseModel]
    name: str
    field: FieldInfo
    holder: FieldInfo | None


def settings() -> Iterator[str]:
    """Every setting that a spec may hold, in the order of the spec."""
    for name in StudySpec.model_fields:
        if name == "base":
            yield from (
                f"base.{path}"
                for path in dict.fromkeys(path for path, _ in walk(CpcConfig))
                if path != "seed"
            )
        elif name == "space":
            yield from (f"space.{knob}" for knob in KNOBS)
        else:
            yield from dict.fromkeys(
                path.removesuffix(".root")
                for path, _ in walk(StudySpec)
                if path.partition(".")[0] == name
            )


def explain(setting: str) -> Explanation:
    """What a setting means.

    Args:
        setting: Its path in a spec (`sampler.trials`, `base.encoder.width`, `space.temperature`),
            or a knob alone.

    Raises:
        ConfigError: There is no such setting; the nearest one is proposed.
    """
    head, _, rest = setting.partition(".")
    if setting in KNOBS:
        head, rest = "space", setting
    if head in ("base", "space") and rest:
        path = resolve(rest)
        found = tuple(_descend(CpcConfig, path.split("."))) if path != "seed" else ()
    else:
        path, found = setting, tuple(_descend(StudySpec, setting.split(".")))
    if not found:
        valid = [
            *StudySpec.model_fields,
            *KNOBS,
            *settings(),
            *(f"base.{section}" for section in CpcConfig.model_fields),
        ]
        raise ConfigError(f"'{setting}' is not a setting of a spec{nearest(setting, valid)}")
    explained = _explanation(f"{head}.{rest}" if rest else head, path, found)
    if head == "space" and rest:
        return _as_dimension(explained, rest, path)
    return explained


def _descend(
    model: type[BaseModel], parts: Sequence[str], holder: FieldInfo | None = None
) -> Iterator[_Found]:
    field = model.model_fields.get(parts[0])
    if field is None:
        return
    if len(parts) == 1:
        yield _Found(model, parts[0], field, holder)
    for section in sections(field.annotation) if len(parts) > 1 else ():
        yield from _descend(section, parts[1:], field)


def _explanation(setting: str, path: str, found: tuple[_Found, ...]) -> Explanation:
    first = found[0]
    inner = sections(first.field.annotation)
    kinds = [
        str(each.owner.model_fields["kind"].default)
        for each in found
        if "kind" in each.owner.model_fields
    ]
    if first.name == "kind":
        meaning = " ".join(
            f"{kind}: {_first_sentence(each.owner)}"
            for kind, each in zip(kinds, found, strict=True)
        )
        within, default = "", _default_kind(first.holder)
    else:
        meaning = first.field.description or " ".join(_first_sentence(section) for section in inner)
        within = (
            f"kind {', '.join(kinds)}"
            if kinds
            else ", ".join(
                dict.fromkeys(name for section in inner for name in section.model_fields)
            )
        )
        default = " or ".join(dict.fromkeys(_default(each.field) for each in found))
    return Explanation(
        setting=setting,
        meaning=" ".join(meaning.split()),
        type=" or ".join(dict.fromkeys(_type(each.field.annotation) for each in found)),
        allowed=", ".join(dict.fromkeys(text for each in found if (text := _allowed(each)))),
        default=default,
        unit=_unit(path),
        source=_source(found),
        within="" if within == "root" else within,
    )


def _as_dimension(explained: Explanation, knob: str, path: str) -> Explanation:
    """The setting as something that varies."""
    form = "a list of values" + (", or a range {low, high, log, step}" if is_numeric(knob) else "")
    within = f"base.{path}" + (f", {explained.within}" if explained.within else "")
    return replace(explained, type=f"{form} of: {explained.type}", within=within)


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return "choice"
    if origin in (Union, types.UnionType):
        forms = dict.fromkeys(_type(each) for each in arguments)
        if len(forms) > 1 or not sections(annotation):
            return " or ".join(forms)
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return "section"
    if sections(annotation):
        return "section" if len(sections(annotation)) == 1 else "choice of sections"
    return _WORDS[annotation]


def _allowed(found: _Found) -> str:
    alternatives = sections(found.field.annotation)
    if len(alternatives) > 1:
        return ", ".join(f"kind: {model.model_fields['kind'].default}" for model in alternatives)
    schema = found.owner.model_json_schema()["properties"][found.name]
    parts = [schema, *schema.get("anyOf", ()), schema.get("items", {})]
    listed = [
        str(value)
        for part in parts
        for value in (*part.get("enum", ()), *([part["const"]] if "const" in part else ()))
    ]
    return ", ".join(
        [
            *listed,
            *(
                f"{words} {part[keyword]}"
                for part in parts
                for keyword, words in _BOUNDS.items()
                if keyword in part
            ),
        ]
    )


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return json.dumps(
        to_jsonable_python(field.get_default(call_default_factory=True)), ensure_ascii=False
    )


def _default_kind(holder: FieldInfo | None) -> str:
    """The alternative that a spec gets without choosing one."""
    chosen = (
        to_jsonable_python(holder.default)
        if holder is not None and not holder.is_required()
        else {}
    )
    return json.dumps(chosen["kind"]) if "kind" in chosen else "required"


def _unit(path: str) -> str:
    known = [knob.unit for knob in KNOBS.values() if knob.path == path and knob.unit]
    return (
        known[0]
        if known
        else next((unit for suffix, unit in _UNIT_OF_SUFFIX.items() if path.endswith(suffix)), "")
    )


def _source(found: Sequence[_Found]) -> str:
    """Where the paper says it: of the field itself, or of the section it belongs to."""
    own = _places(each.field.description for each in found)
    if own:
        return f"the paper, {own}"
    inside = [section for each in found for section in sections(each.field.annotation)]
    around = _places(section.__doc__ for section in (inside or [each.owner for each in found]))
    return f"part of what the paper describes in {around}" if around else "this project"


def _places(docstrings: Iterable[str | None]) -> str:
    return ", ".join(
        dict.fromkeys(place for text in docstrings for place in _IN_PAPER.findall(text or ""))
    )


def _first_sentence(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").partition("\n\n")[0]
