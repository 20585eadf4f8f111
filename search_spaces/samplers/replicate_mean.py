"""Mean over replicates: the trials of a study as a sampler receives them, one a configuration."""

from __future__ import annotations

import copy
import heapq
import math
from collections.abc import Container, Mapping, Sequence
from statistics import fmean
from typing import Any, cast

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search_spaces.samplers.base import POINT

BEST = 10
"""One in so many of the subsample is there for its value: as many as Optuna's TPE calls good."""


class ReplicateMeanSampler(BaseSampler):
    """Sampler that proposes from the mean over replicates, computed for each proposal.

    With Hyperband it also receives the trials of all brackets, because `study` is the whole one.

    Args:
        sampler: Proposes. State that it keeps in the study (a Sobol sequence its position, CMA-ES
            its generations) stays there.
        study: The study with every trial.
        modelled_points: Configurations with a value that it receives; None for all, as for several
            objectives, where none is simply the best.
    """

    def __init__(
        self, sampler: BaseSampler, study: Study, modelled_points: int | None = None
    ) -> None:
        self._sampler, self._study = sampler, study
        self._modelled_points = modelled_points if len(study.directions) == 1 else None
        self._view = study

    def reseed_rng(self) -> None:
        self._sampler.reseed_rng()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        # Also called for trials that are not proposed; none of Optuna's samplers reads others here.
        self._sampler.before_trial(self._view, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        # Optuna calls this first, once per proposal.
        trials = observations(self._study.get_trials(deepcopy=False))
        space = self._sampler.infer_relative_search_space(_view(self._study, trials), trial)
        # Only now, so that the space has each knob, also one that the subsample lacks.
        if self._modelled_points is not None:
            trials = subsample(trials, self._study.direction, self._modelled_points)
        self._view = _view(self._study, trials)
        return space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._sampler.sample_relative(self._view, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._sampler.sample_independent(self._view, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        self._sampler.after_trial(self._view, trial, state, values)


class _StudyView:
    """Study with other trials; all else is the study's own, and samplers write into it.

    Optuna's samplers read the trials by the private name `_get_trials`, and no public class offers
    a study of other trials. The name occurs only here.
    """

    def __init__(self, study: Study, trials: Sequence[FrozenTrial]) -> None:
        self._study, self._trials = study, trials

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        trials = [trial for trial in self._trials if states is None or trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    _get_trials = get_trials


def _view(study: Study, trials: Sequence[FrozenTrial]) -> Study:
    return cast(Study, _StudyView(study, trials))


def observations(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """One trial a proposed configuration, in the order of proposal: the mean over replicates."""
    replicates: dict[int, list[FrozenTrial]] = {}
    for trial in trials:
        replicates.setdefault(trial.user_attrs.get(POINT, trial.number), []).append(trial)
    return [replicate_mean(group) for group in replicates.values()]


def replicate_mean(trials: Sequence[FrozenTrial]) -> FrozenTrial:
    """Replicates as one trial, with the number and the knobs of the one that was proposed.

    It is complete with their mean as soon as one of them is; the pruned, diverged and failed ones
    enter no mean. If all were pruned it is pruned, at the mean of their reports at each step; if
    all failed it has failed.

    Args:
        trials: The proposed trial, then those that repeat it.
    """
    if len(trials) == 1:
        return trials[0]
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    mean = copy.copy(trials[0])
    if complete:
        mean.state = TrialState.COMPLETE
        mean.values = [
            fmean(values) for values in zip(*(trial.values for trial in complete), strict=True)
        ]
    elif not all(trial.state.is_finished() for trial in trials):
        mean.state, mean.values, mean.intermediate_values = TrialState.RUNNING, None, {}
    elif pruned:
        mean.state, mean.values = TrialState.PRUNED, None
        mean.intermediate_values = _mean_reports([trial.intermediate_values for trial in pruned])
    return mean


def _mean_reports(reports: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """Mean at every step, over the replicates that reached it."""
    steps = sorted({step for values in reports for step in values})
    return {step: fmean(values[step] for values in reports if step in values) for step in steps}


def subsample(
    trials: Sequence[FrozenTrial], direction: StudyDirection, size: int
) -> list[FrozenTrial]:
    """The best of the trials with a value and then the newest, and all that still run.

    TPE models the good configurations against the others, and of these it weighs the older ones
    less and less.

    Args:
        trials: In the order of their numbers, which is kept.
        direction: Of the objective.
        size: Number of complete or pruned trials to keep.
    """
    valued = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    if len(valued) <= size:
        return list(trials)
    sign = -1.0 if direction == StudyDirection.MAXIMIZE else 1.0
    best = heapq.nsmallest(size // BEST, valued, key=lambda trial: _rank(trial, sign))
    kept = {trial.number for trial in best}
    for trial in reversed(valued):
        if len(kept) == size:
            break
        kept.add(trial.number)
    return [trial for trial in trials if trial.number in kept or not trial.state.is_finished()]


def _rank(trial: FrozenTrial, sign: float) -> tuple[int, int, float]:
    """Best first, as TPE ranks: complete trials by value, then pruned ones by their last report."""
    if trial.value is not None and trial.state == TrialState.COMPLETE:
        return 0, 0, sign * trial.value
    if trial.last_step is None:
        return 2, 0, 0.0
    value = trial.intermediate_values[trial.last_step]
    return 1, -trial.last_step, math.inf if math.isnan(value) else sign * value
