"""CMA-ES."""

from __future__ import annotations

from typing import ClassVar, Literal

import optuna
from pydantic import Field

from search_spaces.samplers.proposing import ProposingSampler


class CmaesSampler(ProposingSampler):
    """Optuna's CMA-ES: for two or more ranges without conditions, and many configurations. Listed
    values are drawn at random.
    """

    kind: Literal["cmaes"] = "cmaes"
    ranges_needed: ClassVar[int] = 2
    several_objectives: ClassVar[bool] = False

    startup_trials: int = Field(default=1, ge=1)
    """Random configurations before the first generation."""

    def build(self, seed: int, first_seed: int) -> optuna.samplers.BaseSampler:
        return optuna.samplers.CmaEsSampler(
            seed=seed,
            independent_sampler=optuna.samplers.RandomSampler(seed=seed),
            n_startup_trials=self.startup_trials,
            warn_independent_sampling=False,
        )
