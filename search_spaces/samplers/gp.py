"""Gaussian processes."""

from __future__ import annotations

from typing import Literal

import optuna
from pydantic import Field

from search_spaces.samplers.base import without_experimental_warning
from search_spaces.samplers.proposing import ProposingSampler


class GpSampler(ProposingSampler):
    """Optuna's Gaussian process: good with few configurations, slow with many. Knobs with a
    condition are drawn at random.
    """

    kind: Literal["gp"] = "gp"

    startup_trials: int = Field(default=10, ge=1)
    """Random configurations before the model is used."""

    def build(self, seed: int, first_seed: int) -> optuna.samplers.BaseSampler:
        with without_experimental_warning():
            return optuna.samplers.GPSampler(
                seed=seed,
                independent_sampler=optuna.samplers.RandomSampler(seed=seed),
                n_startup_trials=self.startup_trials,
                warn_independent_sampling=False,
            )
