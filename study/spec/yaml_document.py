"""YAML documents with line numbers, so that an error about a value can name its line."""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import yaml

from cpc_core.errors import ConfigError

Path = tuple[Hashable, ...]
"""Keys and indices from the root of a document to a value."""


_NUMBER = list("-+.0123456789")
_SCALARS = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+(?:_[0-9]+)*|0o[0-7]+|0x[0-9a-fA-F]+", _NUMBER),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)"
        r"|\.(?:nan|NaN|NAN)",
        _NUMBER,
    ),
)
"""Plain scalars of YAML 1.2's core schema (10.3.2): tag, form and first characters.

Beyond it, `_` may group the digits of a whole number: `400_000`.
"""


class _Loader(yaml.SafeLoader):
    """YAML 1.2's plain scalars: `1e-4` and `0100` are numbers; `no`, `1:30` and dates are words."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML reads the table from the class
        "<": yaml.SafeLoader.yaml_implicit_resolvers["<"]
    }


class _Dumper(yaml.SafeDumper):
    """Writer of what `_Loader` reads: words that it or YAML 1.1 take for more are quoted."""


for _tag, _form, _first in _SCALARS:
    for _class in (_Loader, _Dumper):
        _pattern = re.compile(rf"^(?:{_form})$")
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, _first)


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    """Whole number; one that begins with a zero is decimal, where YAML 1.1 takes it for octal."""
    text = str(loader.construct_scalar(node))
    try:
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    except ValueError as error:  # of more digits than Python converts
        raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from error


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


@dataclass(frozen=True)
class Document:
    """A parsed YAML file.

    Attributes:
        name: Name in error messages, usually its file name.
        data: The root mapping.
        lines: Path of each value → line it starts on, counted from 1; 0 marks a value given with
            `--set`.
    """

    name: str
    data: dict[str, Any]
    lines: dict[Path, int] = field(default_factory=dict)

    def place(self, path: Path) -> str:
        """`file:line`, `--set` or the file alone, of the nearest written ancestor of `path`."""
        for end in range(len(path), -1, -1):
            line = self.lines.get(path[:end])
            if line is not None:
                return f"{self.name}:{line}" if line else "--set"
        return self.name

    @property
    def scales(self) -> tuple[str, ...]:
        """Names of the scales of the file, the default one first; none if they are of a wrong
        form.
        """
        offered = self.data.get("scales")
        if not isinstance(offered, dict) or not all(
            isinstance(settings, dict) for settings in offered.values()
        ):
            return ()
        return tuple(str(name) for name in offered)

    def at_scale(self, name: str | None) -> Document:
        """Document with the settings of one scale over the common ones, and without the others.

        Args:
            name: The scale; None takes the first, or the whole document if it has no scales.

        Raises:
            ConfigError: The document has no such scale.
        """
        if name is not None and name not in self.scales:
            offered = (
                f"it has {', '.join(self.scales)}"
                if self.scales
                else "it has none: leave out --scale"
            )
            raise ConfigError(f"{self.place(('scales',))}: there is no scale '{name}', {offered}")
        if not self.scales:
            return self
        chosen = ("scales", name or self.scales[0])
        own = {
            path[2:]: line
            for path, line in self.lines.items()
            if path[:2] == chosen and len(path) > 2
        }
        lines = {path: line for path, line in self.lines.items() if path[:1] != ("scales",)}
        common = {key: value for key, value in self.data.items() if key != "scales"}
        return Document(
            self.name, _laid_over(common, self.data["scales"][chosen[1]]), {**lines, **own}
        )

    def with_overrides(self, overrides: list[str]) -> Document:
        """Document with `a.b=value` assignments applied in order; values are read as YAML.

        Raises:
            ConfigError: An assignment has no `=`, its value is no YAML, or it descends into
                something that is no mapping.
        """
        data, lines = _copied(self.data), dict(self.lines)
        for override in overrides:
            name, separator, text = override.partition("=")
            if not separator or not name:
                raise ConfigError(f"--set {override!r} is not of the form section.field=value")
            value = value_of(text, f"--set {override!r}")
            *parents, leaf = name.split(".")
            section = data
            for parent in parents:
                section = section.setdefault(parent, {})
                if not isinstance(section, dict):
                    raise ConfigError(f"--set {override!r}: '{parent}' is a value, not a section")
            section[leaf] = value
            target = (*parents, leaf)
            lines = {
                path: line for path, line in lines.items() if path[: len(target)] != target
            } | {target: 0}
        return Document(self.name, data, lines)


def value_of(text: str, place: str) -> Any:
    """Value typed on the command line, read as YAML.

    Args:
        text: The value.
        place: Start of an error message.

    Raises:
        ConfigError: It is no YAML.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{place}: the value is not YAML ({_problem(error)})") from None


def load(text: str | bytes) -> Any:
    """Content of a YAML document.

    Raises:
        yaml.YAMLError: It is none.
    """
    return yaml.load(text, _Loader)


def dump(content: Any) -> str:
    """Writes plain values as YAML that `load`, and readers of YAML 1.1, read back unchanged."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def parse(text: str, name: str) -> Document:
    """Parses YAML text whose root is a mapping.

    Raises:
        ConfigError: The text is no YAML, is empty, is no mapping, or writes a key twice; the line
            is named.
    """
    try:
        root = yaml.compose(text, _Loader)
        if not isinstance(root, yaml.MappingNode):
            raise ConfigError(
                f"{name}: the file must hold a mapping of settings, such as 'name: my-study'"
            )
        lines: dict[Path, int] = {}
        _record_lines(root, (), lines, name)
        return Document(name, yaml.load(text, _Loader), lines)
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not YAML: {_problem(error)}") from None


def _record_lines(node: yaml.Node, path: Path, lines: dict[Path, int], name: str) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _record_lines(item, (*path, index), lines, name)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, key.value)
            if inner in lines:
                raise ConfigError(
                    f"{name}:{key.start_mark.line + 1}: '{key.value}' is already set on line "
                    f"{lines[inner]}"
                )
            lines[inner] = key.start_mark.line + 1
            _record_lines(value, inner, lines, name)


def _laid_over(common: Any, special: Any) -> Any:
    """Two values merged: mappings key by key, anything else by the special value."""
    if not isinstance(common, dict) or not isinstance(special, dict):
        return special
    merged = {
        key: _laid_over(common[key], value) if key in common else value
        for key, value in special.items()
    }
    return {**common, **merged}


def _copied(value: Any) -> Any:
    return {key: _copied(item) for key, item in value.items()} if isinstance(value, dict) else value


def _problem(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return str(error)
