"""Specs that come with the project, by name."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from cpc_core.errors import ConfigError
from search_spaces.fields import nearest
from study.spec.yaml_document import parse


def preset_names() -> list[str]:
    """Names of the shipped specs."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in resources.files("study").joinpath("presets").iterdir()
    )


def source_text(source: str) -> tuple[str, str]:
    """Text of a spec file or of the preset of that name, and its name in error messages.

    Raises:
        ConfigError: There is neither.
    """
    path = Path(source)
    if path.is_file():
        return _decoded(path), path.name
    if source in preset_names():
        return resources.files("study").joinpath("presets", f"{source}.yaml").read_text(
            encoding="utf-8"
        ), f"{source}.yaml"
    raise ConfigError(
        f"there is no spec file or preset '{source}'{nearest(source, preset_names())}"
    )


def _decoded(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path.name}:{line}: not UTF-8: save it as UTF-8") from error


def scales(source: str) -> tuple[str, ...]:
    """Names of the scales that a spec file or preset offers, the default one first.

    Raises:
        ConfigError: There is no such file or preset, or it is no YAML.
    """
    return parse(*source_text(source)).scales
