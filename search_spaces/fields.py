"""Fields of `CpcConfig` by dotted path, through sections and through choices of sections."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from cpc_core.config import CpcConfig
from cpc_core.errors import ConfigError
from search_spaces.knobs import KNOBS, resolve


def sections(annotation: Any) -> tuple[type[BaseModel], ...]:
    """Models of an annotation: one of a section or a list of it, several of a choice, or none."""
    if isinstance(annotation, type):
        return (annotation,) if issubclass(annotation, BaseModel) else ()
    origin = get_origin(annotation)
    if origin is Annotated:
        return sections(get_args(annotation)[0])
    if origin in (Union, types.UnionType, tuple):
        return tuple(
            dict.fromkeys(model for member in get_args(annotation) for model in sections(member))
        )
    return ()


def walk(model: type[BaseModel] = CpcConfig, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every settable field below `model` with its dotted path, those of all alternatives."""
    for name, field in model.model_fields.items():
        inner = sections(field.annotation)
        if not inner:
            yield f"{prefix}{name}", field
        for section in inner:
            yield from walk(section, f"{prefix}{name}.")


def fields_at(name: str) -> tuple[FieldInfo, ...]:
    """Fields of a knob or a dotted path; several where alternatives of a choice share a name.

    Raises:
        ConfigError: Nothing has that name; the nearest valid one is proposed.
    """
    path = resolve(name)
    found = tuple(field for candidate, field in walk() if candidate == path)
    if not found:
        valid = [*KNOBS, *dict.fromkeys(path for path, _ in walk())]
        raise ConfigError(f"'{name}' is not a knob or a field{nearest(name, valid)}")
    return found


def is_integer(name: str) -> bool:
    """True if the field takes whole numbers only."""
    return all(field.annotation is int for field in fields_at(name))


def is_numeric(name: str) -> bool:
    """True if the field takes numbers."""
    return all(
        {int, float} & {field.annotation, *get_args(field.annotation)} for field in fields_at(name)
    )


def read_value(name: str, value: Any) -> Any:
    """Value of a field of numbers or of truth values in the one form that equal values share.

    `"8"` and `8.0` are 8, `yes` is true; any other value, and one that the field does not take, is
    unchanged.
    """
    try:
        if all(field.annotation is bool for field in fields_at(name)):
            return TypeAdapter(bool).validate_python(value)
        if isinstance(value, str) and is_numeric(name):
            value = float(value)
    except (ConfigError, ValueError):
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def allowed_values(name: str) -> tuple[Any, ...] | None:
    """Values of a field with listed values (a choice or a literal), None for any other."""
    values = [
        value
        for field in fields_at(name)
        for value in get_args(field.annotation)
        if get_origin(field.annotation) is Literal
    ]
    return tuple(dict.fromkeys(values)) or None


def nearest(name: str, valid: list[str]) -> str:
    """End of an error message: the closest valid name, or all of them where they are few."""
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.55)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; valid names are {', '.join(valid)}" if 0 < len(valid) <= 12 else ""
