"""The Optuna sampler and pruner that a spec asks for."""

from __future__ import annotations

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial

from search_spaces.space import SearchSpace, Value

POINT = "point"
"""User attribute of a replicate: number of the proposed trial whose point it repeats with another
seed.
"""


def draw(space: SearchSpace, trial: Trial) -> dict[str, Value]:
    """The trial's sample: values it already has are kept, the others are proposed or taken from the
    queue.
    """

    def suggest(name: str, distribution: BaseDistribution) -> Value:
        if isinstance(distribution, CategoricalDistribution):
            return trial.suggest_categorical(name, distribution.choices)
        if isinstance(distribution, IntDistribution):
            return trial.suggest_int(
                name,
                distribution.low,
                distribution.high,
                step=distribution.step,
                log=distribution.log,
            )
        if isinstance(distribution, FloatDistribution):
            return trial.suggest_float(
                name,
                distribution.low,
                distribution.high,
                step=distribution.step,
                log=distribution.log,
            )
        raise TypeError(
            f"{name} has a {type(distribution).__name__}, which no dimension of a space makes"
        )

    return space.sample(suggest)
