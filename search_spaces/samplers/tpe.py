"""Tree-structured Parzen estimators."""

from __future__ import annotations

from typing import Literal

import optuna
from pydantic import Field

from search_spaces.samplers.base import without_experimental_warning
from search_spaces.samplers.proposing import ProposingSampler

MODELLED_POINTS = 100
"""Configurations that the model is fitted to.

Its time grows with them, and the weight of the older ones falls.
"""


class TpeSampler(ProposingSampler):
    """Tree-structured Parzen estimator: multivariate, grouped over conditional knobs, constant
    liar.
    """

    kind: Literal["tpe"] = "tpe"

    startup_trials: int = Field(default=8, ge=1)
    """Random configurations before the model is used."""

    @property
    def modelled_points(self) -> int:
        return max(MODELLED_POINTS, self.startup_trials)

    def build(self, seed: int, first_seed: int) -> optuna.samplers.BaseSampler:
        with without_experimental_warning():
            return optuna.samplers.TPESampler(
                n_startup_trials=self.startup_trials,
                multivariate=True,
                group=True,
                constant_liar=True,
                seed=seed,
            )
