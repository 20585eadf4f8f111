"""No pruning."""

from __future__ import annotations

from typing import ClassVar, Literal

from search_spaces.pruners.base import Pruner


class NoPruner(Pruner):
    """Every trial runs to its end."""

    kind: Literal["none"] = "none"
    judges: ClassVar[None] = None
