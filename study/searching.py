"""How a space is searched, as a spec says it: who proposes the points, and who gives trials up."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cpc_core.config import Section
from search_spaces.space import SearchSpace, Value


class GridSampler(Section):
    """Cells of the space, each once per seed."""

    kind: Literal["grid"] = "grid"

    design: Literal["full", "one_at_a_time"] = "full"
    """`full` is every combination. `one_at_a_time` is the cell of every knob's first value, and for each other value the cell that
    differs from it in that one: an ablation."""

    def cells(self, space: SearchSpace) -> list[dict[str, Value]]:
        """The samples of a space, in order.

        Raises:
            ConfigError: A dimension of the space is a range.
        """
        return space.grid() if self.design == "full" else space.one_at_a_time()


class RandomSampler(Section):
    """Independent uniform draws."""

    kind: Literal["random"] = "random"

    trials: int = Field(ge=1)
    """Points to draw; each is trained once per seed."""


class TpeSampler(Section):
    """Optuna's tree-structured Parzen estimator: multivariate, grouped over conditional knobs, constant liar."""

    kind: Literal["tpe"] = "tpe"

    trials: int = Field(ge=1)
    """Points to propose; each is trained once per seed."""

    startup_trials: int = Field(default=8, ge=1)
    """Random points before the model is used."""


Sampler = Annotated[GridSampler | RandomSampler | TpeSampler, Field(discriminator="kind")]


class NoPruner(Section):
    """Every trial runs to its end."""

    kind: Literal["none"] = "none"


class MedianPruner(Section):
    """Stops a trial whose report is worse than the median of the earlier trials at the same step."""

    kind: Literal["median"] = "median"

    startup_trials: int = Field(default=4, ge=1)
    """Trials that must have ended before any is stopped."""

    warmup_steps: int = Field(default=0, ge=0)
    """Optimizer steps during which no trial is stopped."""


class HalvingPruner(Section):
    """Asynchronous successive halving (ASHA): at each rung the best 1/reduction of the trials go on."""

    kind: Literal["asha"] = "asha"

    first_rung: int = Field(ge=1)
    """Optimizer steps at the first rung; each next one is `reduction` times as far."""

    reduction: int = Field(default=3, ge=2)
    """Share of trials that each rung stops, as its inverse."""


Pruner = Annotated[NoPruner | MedianPruner | HalvingPruner, Field(discriminator="kind")]
