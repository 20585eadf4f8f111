"""Claims of a study, answered by "supported", "contradicted", "undecided" or "interim"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from cpc_core.config import Section
from search_spaces.space import SearchSpace
from study.spec.cell_selector import Selector

Metric = Literal[
    "dev_map",
    "dev_probe_accuracy",
    "dev_probe_balanced_accuracy",
    "dev_accuracy",
    "dev_balanced_accuracy",
    "dev_ranking_accuracy",
    "dev_loss",
    "train_accuracy",
    "train_balanced_accuracy",
    "train_ranking_accuracy",
    "train_loss",
]
"""Metrics of a complete trial, by which two settings can be compared."""


class Claim(Section):
    """One setting is better than another, by more than the variance over seeds explains."""

    question: str = Field(min_length=1)
    """The question that the claim answers, in one sentence."""

    metric: Metric | None = None
    """Metric to compare; null takes the objective's."""

    direction: Literal["maximize", "minimize"] | None = None
    """Direction of better values; null takes the objective's for its metric, and minimizes other
    losses.
    """

    better: Selector
    """The setting that is claimed to be better. Where `best` leaves several cells, the best of
    them, and the answer's interval is widened for the choice.
    """

    than: Selector
    """The setting to compare with. Where `best` leaves several cells, it must be better than each
    of them.
    """

    margin: float = Field(default=0.0, ge=0)
    """Smallest lead that counts. With 0 an effect of exactly nothing stays undecided at any number
    of seeds.
    """

    def completed(self, space: SearchSpace) -> Claim:
        """Claim of a one-at-a-time grid: a knob that a side does not name has its first value."""
        return self.model_copy(
            update={"better": self.better.completed(space), "than": self.than.completed(space)}
        )

    def problems(self, space: SearchSpace) -> Iterator[tuple[tuple[str, ...], str]]:
        """Reasons why no cells of the space can answer the claim: (path inside it, sentence)."""
        sides = {"better": self.better, "than": self.than}
        found = [
            ((side, *path), problem)
            for side, selector in sides.items()
            for path, problem in selector.problems(space)
        ]
        yield from found
        if not found and not self.better.excludes(self.than):
            yield (
                ("than",),
                "both sides of the claim can be the same cell: give a knob different values in "
                "'better' and 'than'",
            )
