"""Sobol sequences."""

from __future__ import annotations

from typing import ClassVar, Literal

import optuna
from pydantic import Field

from search_spaces.samplers.base import without_experimental_warning
from search_spaces.samplers.proposing import ProposingSampler


class QmcSampler(ProposingSampler):
    """A scrambled Sobol sequence over the ranges without conditions: more even than random draws.
    The rest is drawn at random.
    """

    kind: Literal["qmc"] = "qmc"
    ranges_needed: ClassVar[int] = 1

    trials: int = Field(ge=1)
    """Configurations to draw; each is trained once per seed. Powers of two are the most even."""

    def build(self, seed: int, first_seed: int) -> optuna.samplers.BaseSampler:
        # Optuna keeps the position in the study; another seed would be another sequence.
        with without_experimental_warning():
            return optuna.samplers.QMCSampler(
                scramble=True,
                seed=first_seed,
                independent_sampler=optuna.samplers.RandomSampler(seed=seed),
                warn_independent_sampling=False,
            )
