"""Gaussian processes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cpc_core.config import Section


class GpSampler(Section):
    """Optuna's Gaussian process: good with few points, slow with many. Knobs with a condition are
    drawn at random.
    """

    kind: Literal["gp"] = "gp"

    trials: int = Field(ge=1)
    """Points to propose; each is trained once per seed."""

    startup_trials: int = Field(default=10, ge=1)
    """Random points before the model is used."""
