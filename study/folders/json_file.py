"""JSON files of a study, read back as what was written: damage is one sentence."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from cpc_core.errors import ConfigError
from cpc_core.storage_path import StoragePath

T = TypeVar("T")


def read_as(path: StoragePath, kind: type[T]) -> T:
    """Content of a JSON file.

    Args:
        path: The file.
        kind: Type of the content, such as a dataclass or `dict[str, Any]`.

    Raises:
        FileNotFoundError: There is no such file.
        ConfigError: It cannot be read, or holds something else.
    """
    try:
        return parse_as(path.read_bytes(), kind)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise damaged(path, error) from error


def parse_as(text: bytes, kind: type[T]) -> T:
    """Content of JSON text; raises ValueError where it is none, or of another type."""
    try:
        content: T = _adapter(cast(Hashable, kind)).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from error
    return content


def damaged(path: object, problem: object) -> ConfigError:
    """Error for a file that cannot be read back."""
    return ConfigError(
        f"{path} is damaged ({problem}): restore it from a copy, or start the study again in "
        "another folder"
    )


@cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast(type[Any], kind))
