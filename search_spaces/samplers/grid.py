"""Grids."""

from __future__ import annotations

from typing import Literal

from cpc_core.config import Section
from search_spaces.space import SearchSpace, Value


class GridSampler(Section):
    """Cells of the space, each once per seed."""

    kind: Literal["grid"] = "grid"

    design: Literal["full", "one_at_a_time"] = "full"
    """`full` is every combination. `one_at_a_time` is the cell of every knob's first value, and for
    each other value the cell that differs from it in that one: an ablation.
    """

    def cells(self, space: SearchSpace) -> list[dict[str, Value]]:
        """The samples of a space, in order.

        Raises:
            ConfigError: A dimension of the space is a range.
        """
        return space.grid() if self.design == "full" else space.one_at_a_time()
