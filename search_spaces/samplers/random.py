"""Random search."""

from __future__ import annotations

from typing import Literal

from search_spaces.samplers.proposing import ProposingSampler


class RandomSampler(ProposingSampler):
    """Independent uniform draws."""

    kind: Literal["random"] = "random"
