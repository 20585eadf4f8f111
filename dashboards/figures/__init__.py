"""The figures of the study page, one module each: a new one is a file here and its name below."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from dashboards.figures.base import Figure

FIGURES: tuple[Figure[Any], ...] = tuple(
    import_module(f"{__name__}.{name}").FIGURE
    for name in (
        "temperature",
        "epsilon",
        "sampling",
        "ranking",
        "history",
    )
)
"""In the order of the page."""
