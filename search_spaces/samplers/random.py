"""Random search."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cpc_core.config import Section


class RandomSampler(Section):
    """Independent uniform draws."""

    kind: Literal["random"] = "random"

    trials: int = Field(ge=1)
    """Points to draw; each is trained once per seed."""
