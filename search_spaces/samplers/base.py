"""Interface of a sampler: settings that build Optuna's, and the number of configurations."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.trial import Trial

from cpc_core.section import Section
from search_spaces.space import Sample, SearchSpace, Value

POINT = "point"
"""User attribute of a replicate: number of the trial whose configuration it repeats."""


class Sampler(Section):
    """Choice of the configurations that a study trains."""

    kind: str

    ranges_needed: ClassVar[int] = 0
    """Ranges without a condition that the space must have, where all else is drawn at random."""

    takes_ranges: ClassVar[bool] = True
    several_objectives: ClassVar[bool] = True

    @abstractmethod
    def points(self, space: SearchSpace) -> int:
        """Number of configurations, each of which is trained once per seed."""

    def cells(self, space: SearchSpace) -> list[dict[str, Value]] | None:
        """All samples of a space in order; None if they are proposed one by one.

        Raises:
            ConfigError: A dimension of the space is a range and the sampler takes none.
        """
        return None

    def reference(self, space: SearchSpace) -> Sample | None:
        """The cell from which each other differs in one knob; None without such a cell."""
        return None

    @property
    def modelled_points(self) -> int | None:
        """Proposed configurations that Optuna's sampler receives; None for all of them."""
        return None

    def build(self, seed: int, first_seed: int) -> optuna.samplers.BaseSampler:
        """Optuna's sampler; uniform draws unless a kind proposes otherwise.

        Args:
            seed: Differs at each start of a driver, so that a resumed study repeats no proposal.
            first_seed: The same at each start of a study, for a sequence that is continued.
        """
        return optuna.samplers.RandomSampler(seed=seed)


@contextmanager
def without_experimental_warning() -> Iterator[None]:
    """Silences Optuna's warning about samplers and options that may change in a later version."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def draw(space: SearchSpace, trial: Trial) -> dict[str, Value]:
    """The trial's sample: values that it has already are kept, the others are proposed.

    Raises:
        TypeError: A dimension of the space has a distribution of an unknown type.
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
            f"{name} has a {type(distribution).__name__}: a space has categorical, integer and "
            "float distributions only"
        )

    return space.sample(suggest)
