"""Grids: every combination of the listed values, or one change at a time."""

from __future__ import annotations

from typing import ClassVar, Literal

from search_spaces.samplers.base import Sampler
from search_spaces.space import Sample, SearchSpace, Value


class GridSampler(Sampler):
    """Cells of the space, each once per seed."""

    kind: Literal["grid"] = "grid"
    takes_ranges: ClassVar[bool] = False

    design: Literal["full", "one_at_a_time"] = "full"
    """`full` is every combination. `one_at_a_time` is the cell of every knob's first value, and for
    each other value the cell that differs from it in that one: an ablation.
    """

    def points(self, space: SearchSpace) -> int:
        return len(self.cells(space))

    def cells(self, space: SearchSpace) -> list[dict[str, Value]]:
        return space.grid() if self.design == "full" else space.one_at_a_time()

    def reference(self, space: SearchSpace) -> Sample | None:
        return space.one_at_a_time()[0] if self.design == "one_at_a_time" else None
