"""Sobol sequences."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cpc_core.config import Section


class QmcSampler(Section):
    """A scrambled Sobol sequence over the ranges without conditions: more even than random draws.
    The rest is drawn at random.
    """

    kind: Literal["qmc"] = "qmc"

    trials: int = Field(ge=1)
    """Points to draw; each is trained once per seed. Powers of two are the most even."""
