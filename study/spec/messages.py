"""What pydantic found wrong with a written file, said in the file's own terms: line, setting, and
the nearest valid name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from cpc_core.errors import ConfigError
from search_spaces.fields import nearest, sections
from study.spec.yaml_document import Document
from study.spec.yaml_document import Path as Location


class SpecError(ConfigError):
    """A specification with problems, all of them listed.

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
        error: What the validation raised.
        document: Where the validated values were written.
        model: What they were validated against.
        prefix: Path of the validated part inside the document.
    """
    sentences = []
    details = error.errors()
    for detail in details:
        if detail["type"] == "too_short" and any(
            other["loc"][:-1] == detail["loc"] for other in details
        ):
            continue  # items that are wrong themselves were not counted
        path, section = _written_path(detail["loc"], document.data, model, prefix)
        name = ".".join(str(part) for part in path)
        if detail["type"] == "extra_forbidden":
            valid = list(section.model_fields) if section else []
            sentences.append(
                f"{document.place(path)}: '{name}' is not a setting{nearest(str(path[-1]), valid)}"
            )
        elif detail["type"] == "missing":
            sentences.append(f"{document.place(path[:-1])}: '{name}' is missing")
        else:
            sentences.append(
                f"{document.place(path)}: {name + ': ' if name else ''}{sentence(detail)}"
            )
    return sentences


def line(problem: str) -> tuple[int, str]:
    """Sorts problems by the line they name; those of `--set` come first."""
    number = problem.partition(": ")[0].rpartition(":")[2]
    return (int(number) if number.isdigit() else 0, problem)


def sentence(detail: Any) -> str:
    """One pydantic error without its place: what is wrong, with the offending value."""
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "value_error":
        return message
    if detail["type"] == "union_tag_not_found":
        return "'kind' is missing"
    if detail["type"] == "union_tag_invalid":
        context = detail["ctx"]
        valid = [name.strip("' ") for name in context["expected_tags"].split(",")]
        return f"'{context['tag']}' is not one of {', '.join(valid)}{nearest(str(context['tag']), valid)}"
    return f"{message[0].lower()}{message[1:]}, not {detail['input']!r}"


def _written_path(
    location: tuple[int | str, ...], data: Any, model: type[BaseModel], prefix: Location
) -> tuple[Location, type[BaseModel] | None]:
    """The error's path as the file writes it (pydantic inserts the tags of choices), and the model
    it ends in.
    """
    path: list[Any] = list(prefix)
    value: Any = data
    for part in prefix:
        value = value[part]
    models: tuple[type[BaseModel], ...] = (model,)
    owner: type[BaseModel] | None = model
    for part in location:
        tagged = [candidate for candidate in models if _tag(candidate) == part]
        if str(part).startswith("<"):
            continue
        if tagged and not (isinstance(value, Mapping) and part in value):
            models = tuple(tagged)
            continue
        path.append(part)
        if isinstance(part, int):
            value = value[part] if isinstance(value, list) else None
            continue
        owner = models[0] if len(models) == 1 else None
        value = value.get(part) if isinstance(value, Mapping) else None
        models = tuple(
            inner
            for candidate in models
            if part in candidate.model_fields
            for inner in sections(candidate.model_fields[part].annotation)
        )
    return tuple(path), owner


def _tag(model: type[BaseModel]) -> Any:
    return model.model_fields["kind"].default if "kind" in model.model_fields else None
