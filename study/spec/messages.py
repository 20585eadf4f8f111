"""Messages about a spec file: line, setting and nearest valid name for each validation error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from cpc_core.config import CpcConfig
from cpc_core.errors import ConfigError
from search_spaces.fields import nearest, sections
from study.spec.yaml_document import Document
from study.spec.yaml_document import Path as Location


class SpecError(ConfigError):
    """Specification with problems, all of them listed.

    Attributes:
        problems: One sentence each, beginning with its place.
    """

    def __init__(self, name: str, problems: list[str]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(
            "\n".join(
                [
                    f"{name} has {count}; nothing was started:",
                    *(f"  {problem}" for problem in problems),
                ]
            )
        )
        self.name, self.problems = name, problems

    def __reduce__(self) -> tuple[type[SpecError], tuple[str, list[str]]]:
        return type(self), (self.name, self.problems)


def validation_messages(
    error: ValidationError, document: Document, model: type[BaseModel], prefix: Location = ()
) -> list[str]:
    """One sentence per error of a validation, beginning with its place.

    Args:
        error: Raised by the validation.
        document: Source of the validated values.
        model: Model that validated them.
        prefix: Path of the validated part inside the document.
    """
    sentences = []
    details = error.errors()
    for detail in details:
        if detail["type"] == "too_short" and any(
            other["loc"][:-1] == detail["loc"] for other in details
        ):
            continue  # items that are wrong themselves were not counted
        path = (*prefix, *_written_path(detail, _at(document.data, prefix)))
        name = ".".join(str(part) for part in path)
        if detail["type"] == "extra_forbidden":
            valid = _names(model, _at(document.data, prefix), path[len(prefix) : -1])
            in_base = len(path) == 1 and "base" in valid and path[0] in CpcConfig.model_fields
            hint = f"; did you mean 'base.{name}'?" if in_base else nearest(str(path[-1]), valid)
            # A section that the document does not write is named instead.
            unwritten = detail["loc"][:-1] if len(path) == 1 else ()
            owner = f" of {' '.join(map(str, unwritten))}" if unwritten else ""
            sentences.append(f"{document.place(path)}: '{name}' is not a setting{owner}{hint}")
        elif detail["type"] == "missing":
            sentences.append(f"{document.place(path[:-1])}: '{name}' is missing")
        else:
            setting = f"{name}: " if name else ""
            sentences.append(f"{document.place(path)}: {setting}{sentence(detail)}")
    return sentences


def line(problem: str) -> tuple[int, str]:
    """Sorts problems by line; those of `--set` come first."""
    number = problem.partition(": ")[0].rpartition(":")[2]
    return (int(number) if number.isdigit() else 0, problem)


def sentence(detail: Any) -> str:
    """One pydantic error without its place, with the offending value."""
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "value_error":
        return message
    if detail["type"] == "union_tag_not_found":
        return "'kind' is missing"
    if detail["type"] == "union_tag_invalid":
        context = detail["ctx"]
        valid = [name.strip("' ") for name in context["expected_tags"].split(",")]
        hint = nearest(str(context["tag"]), valid)
        return f"'{context['tag']}' is not one of {', '.join(valid)}{hint}"
    given = detail["input"]
    # A dimension of a space that is neither a list nor a section is tried as a range.
    needs_list = detail["type"] in ("tuple_type", "list_type") or detail["loc"][-1:] == ("<range>",)
    if needs_list and isinstance(given, bool | int | float | str):
        return f"a list is needed: write [{given}]"
    return f"{message[0].lower()}{message[1:]}, not {given!r}"


def _at(data: Any, path: Location) -> Any:
    for part in path:
        data = data[part]
    return data


def _written_path(detail: Any, data: Any) -> Iterator[int | str]:
    """Path of an error as the file writes it: pydantic inserts the tags of choices."""
    location = detail["loc"]
    last = location[-1:] if detail["type"] in ("missing", "extra_forbidden") else ()
    for part in location[: len(location) - len(last)]:
        if isinstance(data, Mapping) and part in data:
            data = data[part]
            yield part
        elif isinstance(part, int):
            data = data[part] if isinstance(data, list) else None
            yield part
    yield from last


def _names(model: type[BaseModel], data: Any, path: Location) -> list[str]:
    """Settings of the section at a path; empty if its kind is not clear."""
    models: tuple[type[BaseModel], ...] = (model,)
    for part in path:
        data = data[part]
        if isinstance(part, str):
            fields = (each.model_fields[part] for each in models if part in each.model_fields)
            models = tuple(inner for field in fields for inner in sections(field.annotation))
        if isinstance(data, Mapping) and "kind" in data and len(models) > 1:
            models = tuple(m for m in models if m.model_fields["kind"].default == data["kind"])
    return list(models[0].model_fields) if len(models) == 1 else []
