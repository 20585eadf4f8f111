"""CMA-ES."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from search_spaces.samplers.proposing import ProposingSampler

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class CmaesSampler(ProposingSampler):
    """Optuna's CMA-ES: for two or more ranges without conditions, and many configurations. Listed
    values are drawn at random.
    """

    kind: Literal["cmaes"] = "cmaes"
    ranges_needed: ClassVar[int] = 2
    several_objectives: ClassVar[bool] = False

    startup_trials: int = Field(default=1, ge=1)
    """Random configurations before the first generation."""

    def build(self, seed: int, first_seed: int) -> BaseSampler:
        from optuna.samplers import CmaEsSampler, RandomSampler

        return CmaEsSampler(
            seed=seed,
            independent_sampler=RandomSampler(seed=seed),
            n_startup_trials=self.startup_trials,
            warn_independent_sampling=False,
        )
