"""Sobol sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from search_spaces.samplers.base import without_experimental_warning
from search_spaces.samplers.proposing import ProposingSampler

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class QmcSampler(ProposingSampler):
    """A scrambled Sobol sequence over the ranges without conditions: more even than random draws.
    The rest is drawn at random.
    """

    kind: Literal["qmc"] = "qmc"
    ranges_needed: ClassVar[int] = 1

    trials: int = Field(ge=1)
    """Configurations to draw; each is trained once per seed. Powers of two are the most even."""

    def build(self, seed: int, first_seed: int) -> BaseSampler:
        from optuna.samplers import QMCSampler, RandomSampler

        # Optuna keeps the position in the study; another seed would be another sequence.
        with without_experimental_warning():
            return QMCSampler(
                scramble=True,
                seed=first_seed,
                independent_sampler=RandomSampler(seed=seed),
                warn_independent_sampling=False,
            )
