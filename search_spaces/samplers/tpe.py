"""Tree-structured Parzen estimators."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cpc_core.config import Section


class TpeSampler(Section):
    """Optuna's tree-structured Parzen estimator: multivariate, grouped over conditional knobs,
    constant liar.
    """

    kind: Literal["tpe"] = "tpe"

    trials: int = Field(ge=1)
    """Points to propose; each is trained once per seed."""

    startup_trials: int = Field(default=8, ge=1)
    """Random points before the model is used."""
