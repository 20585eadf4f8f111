"""CMA-ES."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cpc_core.config import Section


class CmaesSampler(Section):
    """Optuna's CMA-ES: for two or more ranges without conditions, and many points. Listed values
    are drawn at random.
    """

    kind: Literal["cmaes"] = "cmaes"

    trials: int = Field(ge=1)
    """Points to propose; each is trained once per seed."""

    startup_trials: int = Field(default=1, ge=1)
    """Random points before the first generation."""
