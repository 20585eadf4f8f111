"""Configurations of earlier versions, whose models can still be used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def upgraded(content: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a configuration of this version for those of any version.

    Network and first weights are the same ones. Negatives of before schema 3 came from the whole
    batch or a worker's share of it, which no field says any more: the training itself cannot be
    continued or repeated.
    """
    config = {
        name: dict(section) if isinstance(section, Mapping) else section
        for name, section in content.items()
    }
    if is_earlier(content):
        first_weights = config.get("initialisation", {})
        if "data_dependent" in first_weights:
            kind = "regression" if first_weights.pop("data_dependent") else "pytorch"
            first_weights["kind"] = kind
        config.get("negatives", {}).pop("pool", None)
    return config


def is_earlier(content: Mapping[str, Any]) -> bool:
    """True for the fields of a configuration of before schema 3."""
    return any(
        name in content.get(section, {})
        for section, name in (("initialisation", "data_dependent"), ("negatives", "pool"))
    )
