"""Search space of a study: dimensions over knobs, conditions, and configurations of samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from pydantic import Discriminator, Field, RootModel, Tag, field_validator, model_validator

from cpc_core.config import CpcConfig, Section
from cpc_core.errors import ConfigError
from search_spaces.fields import (
    allowed_values,
    is_integer,
    is_numeric,
    nearest,
    read_value,
    sections,
)
from search_spaces.knobs import resolve

Value = bool | int | float | str | None

Sample = Mapping[str, Value]
"""Knob name → value. A conditional knob whose condition is not met is absent."""


class Condition(RootModel[dict[str, tuple[Value, ...]]]):
    """Condition on other knobs: each of them was sampled with one of the listed values."""

    def is_met(self, sample: Sample) -> bool:
        """True if the sample has a listed value of every named knob."""
        return all(knob in sample and sample[knob] in values for knob, values in self.root.items())


class Values(Section):
    """A knob that takes one of the listed values; the only dimension of a grid. A bare list means
    the same.
    """

    values: tuple[Value, ...] = Field(min_length=1)
    """The values, in the order a grid visits them."""

    when: Condition = Condition({})
    """Sample this knob only when the named knobs have one of the listed values."""

    @field_validator("values")
    @classmethod
    def _distinct(cls, values: tuple[Value, ...]) -> tuple[Value, ...]:
        if len(set(values)) < len(values):
            raise ValueError(f"a value is listed twice: {list(values)}")
        return values


class Range(Section):
    """A knob that takes any number between two bounds, both included."""

    low: float
    """Smallest value."""

    high: float
    """Largest value."""

    log: bool = False
    """Sample the logarithm uniformly."""

    step: float | None = Field(default=None, gt=0)
    """Distance between neighbouring values; null samples continuously."""

    when: Condition = Condition({})
    """Sample this knob only when the named knobs have one of the listed values."""

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} must be below high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range needs low above 0, not {self.low:g}")
        if self.log and self.step is not None:
            raise ValueError("a logarithmic range takes no step")
        return self


def _with_values(name: str, dimension: Any) -> Any:
    """Dimension as a mapping, its values as the knob's field reads them."""
    if isinstance(dimension, list | tuple):
        dimension = {"values": dimension}
    if isinstance(dimension, Mapping) and isinstance(dimension.get("values"), list | tuple):
        read = [read_value(str(name), value) for value in dimension["values"]]
        return {**dimension, "values": read}
    return dimension


def _kind(dimension: Any) -> str:
    """Tag of a dimension by its keys, so that an error is about that kind alone."""
    return (
        "<values>"
        if isinstance(dimension, Values)
        or (isinstance(dimension, Mapping) and "values" in dimension)
        else "<range>"
    )


# Pydantic puts the tags into the paths of its errors. No key of a spec has brackets.
Dimension = Annotated[
    Annotated[Values, Tag("<values>")] | Annotated[Range, Tag("<range>")], Discriminator(_kind)
]


class SearchSpace(RootModel[dict[str, Dimension]]):
    """Knob name (or dotted field path) → dimension. Conditions may only name knobs listed
    earlier.
    """

    @model_validator(mode="before")
    @classmethod
    def _lists_are_values(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {name: _with_values(name, dimension) for name, dimension in data.items()}

    @property
    def knobs(self) -> tuple[str, ...]:
        """Names of the dimensions, in order."""
        return tuple(self.root)

    def problems(self, *, ranges: bool) -> Iterator[tuple[tuple[str, ...], str]]:
        """Every problem of a dimension, as (path inside the space, sentence).

        Args:
            ranges: True if the sampler takes ranges.
        """
        for position, (name, dimension) in enumerate(self.root.items()):
            try:
                numeric = is_numeric(name)
            except ConfigError as error:
                yield (name,), str(error)
                continue
            if isinstance(dimension, Range) and not numeric:
                yield (name,), f"'{name}' is not a number{_choices(name)}: list its values"
            elif isinstance(dimension, Range) and not ranges:
                yield (
                    (name,),
                    f"'{name}' is a range, but a grid needs listed values: list them, or set "
                    "sampler.kind to tpe",
                )
            for knob, values in dimension.when.root.items():
                controller = self.root.get(knob)
                if knob not in self.knobs[:position] or not isinstance(controller, Values):
                    earlier = [
                        other
                        for other in self.knobs[:position]
                        if isinstance(self.root[other], Values)
                    ]
                    yield (
                        (name, "when", knob),
                        f"'{knob}' is not a knob with listed values above '{name}'"
                        f"{nearest(knob, earlier)}",
                    )
                elif unknown := [value for value in values if value not in controller.values]:
                    yield (
                        (name, "when", knob),
                        f"{unknown[0]!r} is not among the values of '{knob}': "
                        f"{list(controller.values)}",
                    )

    def distribution(self, name: str) -> BaseDistribution:
        """The Optuna distribution of one dimension."""
        dimension = self.root[name]
        if isinstance(dimension, Values):
            return CategoricalDistribution(dimension.values)
        if is_integer(name):
            return IntDistribution(
                int(dimension.low),
                int(dimension.high),
                log=dimension.log,
                step=int(dimension.step or 1),
            )
        return FloatDistribution(
            dimension.low, dimension.high, log=dimension.log, step=dimension.step
        )

    def sample(self, suggest: Callable[[str, BaseDistribution], Value]) -> dict[str, Value]:
        """Draws one sample by calling `suggest` for each dimension whose condition is met."""
        sample: dict[str, Value] = {}
        for name, dimension in self.root.items():
            if dimension.when.is_met(sample):
                sample[name] = suggest(name, self.distribution(name))
        return sample

    def grid(self) -> list[dict[str, Value]]:
        """Every cell of a grid, without repeats, the first dimension varying slowest.

        Raises:
            ConfigError: A dimension is a range.
        """
        cells: list[dict[str, Value]] = [{}]
        for name, dimension in self.root.items():
            if isinstance(dimension, Range):
                raise ConfigError(_not_listed(name))
            options = [
                [{**cell, name: value} for value in dimension.values]
                if dimension.when.is_met(cell)
                else [cell]
                for cell in cells
            ]
            cells = [cell for group in options for cell in group]
        return cells

    def one_at_a_time(self) -> list[dict[str, Value]]:
        """Cell of all first values, then for each other value the cell that differs in it alone.

        A value that meets the condition of other dimensions adds their first values; one that does
        not removes them. Dimensions that the first cell does not have are not varied.

        Raises:
            ConfigError: A dimension is a range.
        """
        cells = [self._cell({})]
        for name, dimension in self.root.items():
            if isinstance(dimension, Values) and name in cells[0]:
                cells += [self._cell({name: value}) for value in dimension.values[1:]]
        return cells

    def _cell(self, chosen: Sample) -> dict[str, Value]:
        """Cell of the chosen values, and the first value of every other dimension."""
        cell: dict[str, Value] = {}
        for name, dimension in self.root.items():
            if isinstance(dimension, Range):
                raise ConfigError(_not_listed(name))
            if dimension.when.is_met(cell):
                cell[name] = chosen.get(name, dimension.values[0])
        return cell

    def corners(self) -> Iterator[dict[str, Value]]:
        """Samples that reach every listed value and every bound, for validation."""
        ends: dict[str, Dimension] = {
            name: dimension
            if isinstance(dimension, Values)
            else Values(values=self._bounds(name, dimension), when=dimension.when)
            for name, dimension in self.root.items()
        }
        yield from SearchSpace(ends).grid()

    @staticmethod
    def _bounds(name: str, dimension: Range) -> tuple[Value, ...]:
        return (
            (int(dimension.low), int(dimension.high))
            if is_integer(name)
            else (dimension.low, dimension.high)
        )


def apply(base: Mapping[str, Any], sample: Sample, seed: int) -> CpcConfig:
    """Configuration of one trial.

    Where a sample chooses another `kind` than the base (say, another adversary), the base's fields
    that the new kind lacks are dropped; fields that the sample itself sets never are.

    Args:
        base: Nested fields of `CpcConfig`, as in a spec's `base`.
        sample: Knob names or dotted paths with their values.
        seed: The replicate's seed.

    Raises:
        pydantic.ValidationError: The combination cannot be trained.
    """
    config: dict[str, Any] = {
        name: dict(value) if isinstance(value, Mapping) else value for name, value in base.items()
    }
    paths = {resolve(name): value for name, value in sample.items()}
    for path, value in paths.items():
        section_name, _, field_name = path.rpartition(".")
        if field_name == "kind":
            config[section_name] = _carried_over(section_name, config.get(section_name, {}), value)
    for path, value in paths.items():
        *parents, leaf = path.split(".")
        section = config
        for parent in parents:
            section = section.setdefault(parent, {})
        section[leaf] = value
    return CpcConfig.model_validate({**config, "seed": seed})


def _carried_over(section_name: str, base: Mapping[str, Any], kind: Value) -> dict[str, Any]:
    """Fields of the base that the alternative `kind` has too."""
    for model in sections(CpcConfig.model_fields[section_name].annotation):
        if model.model_fields["kind"].default == kind:
            return {name: value for name, value in base.items() if name in model.model_fields}
    return dict(base)


def _not_listed(name: str) -> str:
    return (
        f"a grid needs listed values, but '{name}' is a range: list its values, or choose another "
        "sampler"
    )


def _choices(name: str) -> str:
    values = allowed_values(name)
    return f" but one of {', '.join(str(value) for value in values)}" if values else ""
