"""Samplers that propose a fixed number of configurations, one after the other."""

from __future__ import annotations

from pydantic import Field

from search_spaces.samplers.base import Sampler
from search_spaces.space import SearchSpace


class ProposingSampler(Sampler):
    """Sampler that proposes configurations one after the other."""

    trials: int = Field(ge=1)
    """Configurations to propose; each is trained once per seed."""

    def points(self, space: SearchSpace) -> int:
        return self.trials
