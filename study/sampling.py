"""The Optuna sampler and pruner that a spec asks for."""

from __future__ import annotations

import warnings

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, NopPruner, SuccessiveHalvingPruner
from optuna.pruners import MedianPruner as OptunaMedianPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import Trial

from search_spaces.space import Sample, SearchSpace, Value
from study.searching import HalvingPruner, MedianPruner, TpeSampler
from study.spec import StudySpec


def build_sampler(spec: StudySpec, asked: int) -> BaseSampler:
    """The sampler of a study that has asked for `asked` trials so far.

    Its seed counts them: a sampler made anew with the first seed would repeat its start-up suggestions after each resume.
    """
    seed = (int(spec.hash, 16) + asked) % 2**32
    if not isinstance(spec.sampler, TpeSampler):
        return RandomSampler(seed=seed)
    with warnings.catch_warnings():
        # `group` has been marked experimental since Optuna 2.8, and conditional spaces need it.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(n_startup_trials=spec.sampler.startup_trials, multivariate=True, group=True, constant_liar=True, seed=seed)


def build_pruner(spec: StudySpec) -> BasePruner:
    """The pruner; it sees optimizer steps as Optuna's steps."""
    pruner = spec.pruner
    if isinstance(pruner, MedianPruner):
        return OptunaMedianPruner(n_startup_trials=pruner.startup_trials, n_warmup_steps=pruner.warmup_steps)
    if isinstance(pruner, HalvingPruner):
        return SuccessiveHalvingPruner(min_resource=pruner.first_rung, reduction_factor=pruner.reduction)
    return NopPruner()


def draw(space: SearchSpace, trial: Trial) -> dict[str, Value]:
    """The trial's sample: values it already has are kept, the others are proposed or taken from the queue."""

    def suggest(name: str, distribution: BaseDistribution) -> Value:
        if isinstance(distribution, CategoricalDistribution):
            return trial.suggest_categorical(name, distribution.choices)
        if isinstance(distribution, IntDistribution):
            return trial.suggest_int(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log)
        if isinstance(distribution, FloatDistribution):
            return trial.suggest_float(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log)
        raise TypeError(f"{name} has a {type(distribution).__name__}, which no dimension of a space makes")

    return space.sample(suggest)


def planned_pairs(spec: StudySpec) -> list[tuple[Sample, int]]:
    """Every cell of a grid with every seed. Seeds vary slowest, so that an unfinished study already compares all cells."""
    return [(cell, seed) for seed in spec.seeds for cell in spec.cells or ()]
