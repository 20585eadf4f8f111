"""What a sampler sees of a search: one observation per point, the mean of its replicates that are
complete.
"""

from __future__ import annotations

import copy
import heapq
import math
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import fmean
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search_spaces.samplers.base import POINT


class PointSampler(BaseSampler):
    """Lets a sampler propose from the points of a study instead of from its trials.

    Args:
        sampler: Proposes. What it keeps in the store (a Sobol sequence its position, CMA-ES its
            generations) stays there.
        study: The study with every trial.
        most: Points with a value that it is shown; None for all.
    """

    def __init__(self, sampler: BaseSampler, study: Study, most: int | None = None) -> None:
        self.sampler, self.points = sampler, PointView(study, most)

    def reseed_rng(self) -> None:
        self.sampler.reseed_rng()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self.sampler.before_trial(self.points, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        # Optuna asks for this first of all, once per proposal.
        with self.points.refreshed():
            return self.sampler.infer_relative_search_space(self.points, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self.sampler.sample_relative(self.points, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self.sampler.sample_independent(self.points, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        self.sampler.after_trial(self.points, trial, state, values)


class PointView(Study):
    """A study that shows one trial per point. It is read from the store, so that a resumed driver
    sees the same points.

    Optuna's Hyperband shows a sampler its brackets in the same way. With it, too, the sampler sees
    the points of all brackets.

    Args:
        study: The study with every trial.
        most: Points with a value to show; None for all.
    """

    def __init__(self, study: Study, most: int | None) -> None:
        super().__init__(study.study_name, study._storage, study.sampler, study.pruner)
        self._most = most
        self._shown: list[FrozenTrial] = []
        self._forget()

    @contextmanager
    def refreshed(self) -> Iterator[None]:
        """Reads the store. Inside, the points that have ended are represented by the first with
        each set of knobs.
        """
        unfolded = self._read()
        self._shown = [*self._kinds.values(), *unfolded]
        try:
            yield
        finally:
            self._shown = self._shortened([*self._ended, *unfolded])

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        shown = (
            self._shown
            if states is None
            else [trial for trial in self._shown if trial.state in states]
        )
        return copy.deepcopy(shown) if deepcopy else shown

    def _forget(self) -> None:
        """Back to a study of which nothing has been read. What has ended is folded away, so that
        each read looks at the rest alone.
        """
        self._folded: set[int] = set()
        self._first_unfolded = 0
        self._ended: list[FrozenTrial] = []
        self._kinds: dict[tuple[object, ...], FrozenTrial] = {}

    def _read(self) -> list[FrozenTrial]:
        """Folds away the points before the first that still runs, and returns the others."""
        trials = self._storage.get_all_trials(self._study_id, deepcopy=False)
        groups: dict[int, list[FrozenTrial]] = {}
        for trial in trials[self._first_unfolded :]:
            if trial.number not in self._folded:
                groups.setdefault(trial.user_attrs.get(POINT, trial.number), []).append(trial)
        if self._folded & groups.keys():
            # A point that had ended is trained again.
            self._forget()
            return self._read()
        unfolded: list[FrozenTrial] = []
        for group in groups.values():
            if unfolded or not all(trial.state.is_finished() for trial in group):
                unfolded.append(observation(group))
            else:
                self._fold(group)
        while self._first_unfolded in self._folded:
            self._first_unfolded += 1
        return unfolded

    def _fold(self, group: Sequence[FrozenTrial]) -> None:
        seen = observation(group)
        self._folded.update(trial.number for trial in group)
        self._kinds.setdefault((seen.state, *seen.distributions), seen)
        self._ended.append(seen)
        if self._most is not None and len(self._ended) > self._most * 5 // 4:
            self._ended = self._shortened(self._ended)

    def _shortened(self, points: list[FrozenTrial]) -> list[FrozenTrial]:
        return points if self._most is None else shortlist(points, self.direction, self._most)


def observation(trials: Sequence[FrozenTrial]) -> FrozenTrial:
    """The replicates of a point as one trial, under the number and with the knobs of the one that
    was proposed.

    It is complete with their mean as soon as one of them is; what was pruned, diverged or failed
    enters no mean. A point that was pruned with every seed is pruned, at the mean of what they
    reported at each step; one that failed with every seed has failed.

    Args:
        trials: The proposed trial, then those that repeat it.
    """
    if len(trials) == 1:
        return trials[0]
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    seen = copy.copy(trials[0])
    if complete:
        seen.state = TrialState.COMPLETE
        seen.values = [
            fmean(values) for values in zip(*(trial.values for trial in complete), strict=True)
        ]
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


BEST = 10
"""One in so many of the points kept is there for its value: as many as Optuna's TPE calls good."""


def shortlist(
    trials: Sequence[FrozenTrial], direction: StudyDirection, most: int
) -> list[FrozenTrial]:
    """The best of the trials and then the newest, `most` in all of those that ended with a value;
    trials that still run all stay.

    TPE models the good points, and the others to tell the good ones from. Of the others it weighs
    the older ones less and less.

    Args:
        trials: In the order of their numbers, which is kept.
        direction: Which values are better.
        most: How many complete or pruned trials to keep.
    """
    valued = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    if len(valued) <= most:
        return list(trials)
    sign = -1.0 if direction == StudyDirection.MAXIMIZE else 1.0
    kept = {
        trial.number
        for trial in heapq.nsmallest(most // BEST, valued, key=lambda trial: _rank(trial, sign))
    }
    for trial in reversed(valued):
        if len(kept) == most:
            break
        kept.add(trial.number)
    return [trial for trial in trials if trial.number in kept or not trial.state.is_finished()]


def _rank(trial: FrozenTrial, sign: float) -> tuple[int, int, float]:
    """Best first, as TPE ranks: complete trials by their value, then pruned ones by how far they
    came and what they showed there.
    """
    if trial.value is not None and trial.state == TrialState.COMPLETE:
        return 0, 0, sign * trial.value
    if trial.last_step is None:
        return 2, 0, 0.0
    value = trial.intermediate_values[trial.last_step]
    return 1, -trial.last_step, math.inf if math.isnan(value) else sign * value
