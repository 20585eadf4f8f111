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


class GpSampler(Section):
    """Optuna's Gaussian process: good with few points, slow with many. Knobs with a condition are drawn at random."""

    kind: Literal["gp"] = "gp"

    trials: int = Field(ge=1)
    """Points to propose; each is trained once per seed."""

    startup_trials: int = Field(default=10, ge=1)
    """Random points before the model is used."""


class CmaesSampler(Section):
    """Optuna's CMA-ES: for two or more ranges without conditions, and many points. Listed values are drawn at random."""

    kind: Literal["cmaes"] = "cmaes"

    trials: int = Field(ge=1)
    """Points to propose; each is trained once per seed."""

    startup_trials: int = Field(default=1, ge=1)
    """Random points before the first generation."""


class QmcSampler(Section):
    """A scrambled Sobol sequence over the ranges without conditions: more even than random draws. The rest is drawn at random."""

    kind: Literal["qmc"] = "qmc"

    trials: int = Field(ge=1)
    """Points to draw; each is trained once per seed. Powers of two are the most even."""


Sampler = Annotated[GridSampler | RandomSampler | TpeSampler | GpSampler | CmaesSampler | QmcSampler, Field(discriminator="kind")]


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


class HyperbandPruner(Section):
    """Hyperband: trials are dealt to brackets of successive halving, which begin to stop them earlier and later."""

    kind: Literal["hyperband"] = "hyperband"

    first_rung: int = Field(ge=1)
    """Optimizer steps at the first rung of the most eager bracket."""

    reduction: int = Field(default=3, ge=2)
    """Share of trials that each rung stops, as its inverse."""


class WilcoxonPruner(Section):
    """Spends seeds adaptively: a cell whose finished seeds are worse than the best cell's by Wilcoxon's signed-rank test gets no more.

    It judges final values, so that it works with every metric. Its cells keep what they have measured, over fewer seeds.
    """

    kind: Literal["wilcoxon"] = "wilcoxon"

    p_threshold: float = Field(default=0.1, gt=0, lt=1)
    """One-sided p-value below which a cell is given up. With 0.1 that takes four seeds: of three, no order is rarer than 1/8."""

    startup_seeds: int = Field(default=2, ge=1)
    """Seeds that every cell gets."""


Pruner = Annotated[NoPruner | MedianPruner | HalvingPruner | HyperbandPruner | WilcoxonPruner, Field(discriminator="kind")]
