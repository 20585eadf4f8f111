"""Selection of cells by their knobs, in claims and on the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import RootModel, ValidationError

from cpc_core.errors import ConfigError
from search_spaces.fields import nearest
from search_spaces.knobs import resolve
from search_spaces.space import Range, SearchSpace, Value, Values
from study.spec.yaml_document import value_of

BEST = "best"
"""Instead of a knob's value: the one with the best result."""


class Selector(RootModel[dict[str, Value]]):
    """Knob name (or dotted field path) → value, or `best` for the one with the best result."""

    @classmethod
    def from_text(cls, text: str) -> Selector:
        """Reads `similarity=dot,temperature=1.0`.

        Raises:
            ConfigError: A part is not of that form.
        """
        wanted = {}
        for part in text.split(","):
            name, separator, value = part.strip().partition("=")
            if not name or not separator:
                raise ConfigError(f"'{part}' in '{text}' is not of the form knob=value")
            wanted[name] = value_of(value, f"'{part}'")
        try:
            return cls.model_validate(wanted)
        except ValidationError:
            raise ConfigError(f"'{text}': a knob's value is a number or a word") from None

    @property
    def _wanted(self) -> dict[str, Value]:
        return {resolve(name): value for name, value in self.root.items()}

    def matches(self, knobs: Mapping[str, Any]) -> bool:
        """True if a cell has every named value; `best` matches any value, and a missing one."""
        own = {resolve(name): value for name, value in knobs.items()}
        return all(
            value == BEST or (path in own and own[path] == value)
            for path, value in self._wanted.items()
        )

    def excludes(self, other: Selector) -> bool:
        """True if no cell can match both."""
        ours, theirs = self._wanted, other._wanted
        return any(
            BEST not in (ours[path], theirs[path]) and ours[path] != theirs[path]
            for path in ours.keys() & theirs.keys()
        )

    def completed(self, space: SearchSpace) -> Selector:
        """Selector with the first value of every knob that this one neither names nor shuts off."""
        selector = self
        for name, dimension in space.root.items():
            named = resolve(name) in selector._wanted or selector._shut_off(dimension) is not None
            if isinstance(dimension, Values) and not named:
                selector = Selector({**selector.root, name: dimension.values[0]})
        return selector

    def problems(self, space: SearchSpace) -> Iterator[tuple[tuple[str, ...], str]]:
        """Reasons why it selects more or less than one setting or one `best`: (path, sentence)."""
        dimensions = {resolve(name): (name, dimension) for name, dimension in space.root.items()}
        for name, value in self.root.items():
            if resolve(name) not in dimensions:
                hint = nearest(name, list(space.knobs))
                yield (name,), f"'{name}' is not a knob that this study varies{hint}"
                continue
            known, dimension = dimensions[resolve(name)]
            if isinstance(dimension, Range) and value != BEST:
                yield (
                    (name,),
                    f"'{known}' is searched as a range: write '{known}: {BEST}' instead of "
                    f"{value!r}",
                )
            elif isinstance(dimension, Values) and value != BEST and value not in dimension.values:
                yield (
                    (name,),
                    f"{value!r} is not among the values of '{known}': {list(dimension.values)}",
                )
            elif (controller := self._shut_off(dimension)) is not None:
                other = self._wanted[resolve(controller)]
                yield (
                    (name,),
                    f"'{known}' has no value where '{controller}' is {other!r}: leave it out",
                )
        for path, (known, dimension) in dimensions.items():
            several = isinstance(dimension, Range) or len(dimension.values) > 1
            if several and path not in self._wanted and self._shut_off(dimension) is None:
                yield (), f"'{known}' varies in this study: give it a value, or '{known}: {BEST}'"

    def _shut_off(self, dimension: Values | Range) -> str | None:
        """Named knob whose value keeps the dimension from being sampled, None without one."""
        for controller, values in dimension.when.root.items():
            value = self._wanted.get(resolve(controller), BEST)
            if value != BEST and value not in values:
                return controller
        return None
