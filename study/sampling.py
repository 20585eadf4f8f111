"""The Optuna sampler and pruner that a spec asks for."""

from __future__ import annotations

import warnings

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, NopPruner, SuccessiveHalvingPruner
from optuna.pruners import HyperbandPruner as OptunaHyperband
from optuna.pruners import MedianPruner as OptunaMedian
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.samplers import CmaEsSampler as CmaEs
from optuna.samplers import GPSampler as OptunaGp
from optuna.samplers import QMCSampler as Sobol
from optuna.trial import Trial

from search_spaces.space import Sample, SearchSpace, Value
from study.searching import (
    CmaesSampler,
    GpSampler,
    GridSampler,
    HalvingPruner,
    HyperbandPruner,
    MedianPruner,
    NoPruner,
    QmcSampler,
    TpeSampler,
    WilcoxonPruner,
)
from study.searching import RandomSampler as Random
from study.spec import StudySpec

TPE_POINTS = 100
"""Points that TPE's model is made from. Its time grows with them, and of the older ones it takes less and less notice."""


def build_sampler(spec: StudySpec, asked: int) -> BaseSampler:
    """The sampler of a study that has asked for `asked` trials so far.

    Its seed counts them: a sampler made anew with the first seed would repeat its start-up suggestions after each resume. A Sobol
    sequence is the exception: Optuna keeps its position in the store, and another seed would be another sequence.
    """
    first = int(spec.hash, 16)
    seed = (first + asked) % 2**32
    random = RandomSampler(seed=seed)
    with warnings.catch_warnings():
        # TPE's `group` has been marked experimental since Optuna 2.8, and conditional spaces need it; so are two samplers.
        warnings.simplefilter("ignore", ExperimentalWarning)
        match spec.sampler:
            case TpeSampler(startup_trials=startup):
                return TPESampler(n_startup_trials=startup, multivariate=True, group=True, constant_liar=True, seed=seed)
            case GpSampler(startup_trials=startup):
                return OptunaGp(seed=seed, independent_sampler=random, n_startup_trials=startup, warn_independent_sampling=False)
            case CmaesSampler(startup_trials=startup):
                return CmaEs(seed=seed, independent_sampler=random, n_startup_trials=startup, warn_independent_sampling=False)
            case QmcSampler():
                return Sobol(scramble=True, seed=first % 2**32, independent_sampler=random, warn_independent_sampling=False)
            case GridSampler() | Random():
                return random


def points_modelled(spec: StudySpec) -> int | None:
    """How many points a sampler's model is made from; None for all that there are."""
    # Of several objectives no point is simply the best.
    if len(spec.objectives) > 1 or not isinstance(spec.sampler, TpeSampler):
        return None
    return max(TPE_POINTS, spec.sampler.startup_trials)


def build_pruner(spec: StudySpec) -> BasePruner:
    """The pruner of running trials; it sees optimizer steps as Optuna's steps. Replicates are given up elsewhere, by `replicates`."""
    match spec.pruner:
        case MedianPruner(startup_trials=startup, warmup_steps=warmup):
            return OptunaMedian(n_startup_trials=startup, n_warmup_steps=warmup)
        case HalvingPruner(first_rung=first, reduction=reduction):
            return SuccessiveHalvingPruner(min_resource=first, reduction_factor=reduction)
        case HyperbandPruner(first_rung=first, reduction=reduction):
            return OptunaHyperband(min_resource=first, max_resource=spec.longest, reduction_factor=reduction)
        case NoPruner() | WilcoxonPruner():
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
