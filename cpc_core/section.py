"""Groups of settings, and fields that hold one of several kinds of a group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Union

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """Frozen group of settings that refuses unknown keys.

    The docstring of a field is its description. A place in the paper is beside it:
    `json_schema_extra={"paper": "section 3.1"}` of the field or of `model_config`.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


def one_of(base: type[Section]) -> Any:
    """Field of any imported subclass of `base` that sets `kind`, discriminated by `kind`.

    The base declares `kind: str` without a default, a kind narrows it to a literal with one. What
    is imported after this call is not among the kinds.
    """
    return Annotated[Union[tuple(kinds(base))], Field(discriminator="kind")]  # noqa: UP007


def kinds(base: type[Section]) -> Iterator[type[Section]]:
    """Subclasses that set `kind`, in the order of their definition."""
    for section in base.__subclasses__():
        if not section.model_fields["kind"].is_required():
            yield section
        yield from kinds(section)
