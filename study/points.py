"""What a sampler sees of a search: one observation per point, the mean of its replicates that are complete."""

from __future__ import annotations

import copy
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import fmean
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

POINT = "point"
"""User attribute of a replicate: number of the proposed trial whose point it repeats with another seed."""


class PointSampler(BaseSampler):
    """Lets a sampler propose from the points of a study instead of from its trials.

    Args:
        sampler: Proposes. What it keeps in the store (a Sobol sequence its position, CMA-ES its generations) stays there.
        study: The study with every trial.
    """

    def __init__(self, sampler: BaseSampler, study: Study) -> None:
        self.sampler, self.points = sampler, PointView(study)

    def reseed_rng(self) -> None:
        self.sampler.reseed_rng()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self.sampler.before_trial(self.points, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        self.points.refresh()  # here, because Optuna asks for this first of all, once per proposal
        with self.points.one_of_each_kind():
            return self.sampler.infer_relative_search_space(self.points, trial)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        return self.sampler.sample_relative(self.points, trial, search_space)

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution) -> Any:
        return self.sampler.sample_independent(self.points, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self.sampler.after_trial(self.points, trial, state, values)


class PointView(Study):
    """A study that shows one trial per point. It is read from the store, so that a resumed driver sees the same points.

    Optuna's Hyperband shows a sampler its brackets in the same way. With it, too, the sampler sees the points of all brackets.

    Args:
        study: The study with every trial.
    """

    def __init__(self, study: Study) -> None:
        super().__init__(study.study_name, study._storage, study.sampler, study.pruner)
        self._settled: dict[int, tuple[int, FrozenTrial]] = {}
        self._shown: list[FrozenTrial] = []

    def refresh(self) -> None:
        """Reads the store."""
        groups: dict[int, list[FrozenTrial]] = {}
        for trial in self._storage.get_all_trials(self._study_id, deepcopy=False):
            groups.setdefault(trial.user_attrs.get(POINT, trial.number), []).append(trial)
        self._shown = [self._observation(point, trials) for point, trials in groups.items()]

    @contextmanager
    def one_of_each_kind(self) -> Iterator[None]:
        """Shows, of the points that have ended, the first with each set of knobs: enough to tell which knobs there are."""
        every, kinds = self._shown, set[tuple[object, ...]]()
        self._shown = []
        for trial in every:
            kind = (trial.state, *trial.distributions)
            if not trial.state.is_finished() or kind not in kinds:
                kinds.add(kind)
                self._shown.append(trial)
        try:
            yield
        finally:
            self._shown = every

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        shown = self._shown if states is None else [trial for trial in self._shown if trial.state in states]
        return copy.deepcopy(shown) if deepcopy else shown

    def _observation(self, point: int, trials: list[FrozenTrial]) -> FrozenTrial:
        if len(trials) == 1:
            return trials[0]
        replicates, known = self._settled.get(point, (0, trials[0]))
        if replicates == len(trials):
            return known
        seen = observation(trials)
        if all(trial.state.is_finished() for trial in trials):
            self._settled[point] = len(trials), seen
        return seen


def observation(trials: Sequence[FrozenTrial]) -> FrozenTrial:
    """The replicates of a point as one trial, under the number and with the knobs of the one that was proposed.

    It is complete with their mean as soon as one of them is; what was pruned, diverged or failed enters no mean. A point that was
    pruned with every seed is pruned, at the mean of what they reported at each step; one that failed with every seed has failed.

    Args:
        trials: The proposed trial, then those that repeat it.
    """
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    seen = copy.copy(trials[0])
    if complete:
        seen.state = TrialState.COMPLETE
        seen.values = [fmean(values) for values in zip(*(trial.values for trial in complete), strict=True)]
    elif not all(trial.state.is_finished() for trial in trials):
        seen.state, seen.values, seen.intermediate_values = TrialState.RUNNING, None, {}
    elif pruned:
        seen.state, seen.values = TrialState.PRUNED, None
        seen.intermediate_values = _means([trial.intermediate_values for trial in pruned])
    return seen


def _means(reported: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """Mean over the replicates that reached it, for every step."""
    steps = sorted({step for values in reported for step in values})
    return {step: fmean(values[step] for values in reported if step in values) for step in steps}
