"""Exports that the trials of a study start from: read once, and recorded by place and hash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cpc_core.config import CpcConfig
from cpc_core.errors import CpcError
from cpc_core.export.first_weights import (
    FirstWeights,
    misfit,
    read_first_weights,
    require_weights,
)
from cpc_core.section import Section
from cpc_core.storage_path import StoragePath
from search_spaces.knobs import resolve
from search_spaces.space import SearchSpace, Values

FIELD = "initialisation.model"

Problem = tuple[tuple[str, ...], str]
"""A path inside the spec, and a sentence."""


class StartingModel(Section):
    """An export as it was when the spec was read."""

    place: str
    """Its absolute path, or its URI."""

    hash: str
    """SHA-256 of its weights."""


def recorded(config: CpcConfig, models: Mapping[str, StartingModel]) -> CpcConfig:
    """Configuration that names its export by absolute place and by hash."""
    named = models.get(config.initialisation.model or "")
    if named is None:
        return config
    update = {"model": named.place, "model_hash": named.hash}
    first = config.initialisation.model_copy(update=update)
    return config.model_copy(update={"initialisation": first})


def starting_models(
    base: Mapping[str, Any],
    space: SearchSpace,
    configs: Iterable[CpcConfig],
) -> tuple[dict[str, StartingModel], list[Problem]]:
    """The exports that a spec names, and the problems of those that cannot be started from.

    Args:
        base: Its base configuration.
        space: Its search space.
        configs: Trials that it may train, each export as the spec names it.
    """
    found: dict[str, FirstWeights] = {}
    problems: dict[Problem, None] = {}
    places = _written(base, space)
    for name, place in places.items():
        try:
            found[name] = read_first_weights(name)
        except CpcError as error:
            problems[place, str(error)] = None
    for config in configs:
        name = config.initialisation.model or ""
        if name in found and (problem := misfit(config, found[name].config)) is not None:
            problems[places[name], problem] = None
    models = {
        name: StartingModel(place=str(StoragePath.of(name)), hash=each.hash)
        for name, each in found.items()
    }
    return models, list(problems)


def require_models(configs: Iterable[CpcConfig]) -> None:
    """Checks that every export that trials start from still has the weights that were recorded.

    Raises:
        CheckpointError: One is missing or damaged.
        ConfigError: One has other weights.
    """
    for first in {config.initialisation for config in configs}:
        require_weights(first)


def _written(base: Mapping[str, Any], space: SearchSpace) -> dict[str, tuple[str, ...]]:
    """Every export that a spec names, and where."""
    places: dict[str, tuple[str, ...]] = {}
    first = base.get("initialisation", {}).get("model")
    if first is not None:
        places[first] = ("base", "initialisation", "model")
    for knob, dimension in space.root.items():
        if resolve(knob) == FIELD and isinstance(dimension, Values):
            places |= {str(value): ("space", knob) for value in dimension.values if value}
    return places
