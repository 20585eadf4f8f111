"""Trials that wait in the Optuna study: the cells of a grid, and the replicates of proposed
points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, Trial
from pydantic import ValidationError

from search_spaces.samplers.base import POINT
from search_spaces.space import Sample
from study.dispatch.trial_spec import TrialSpec
from study.spec.study_spec import StudySpec, planned_pairs
from study.storage.attributes import untrainable_attributes


@dataclass(frozen=True)
class Enqueuer:
    """Adds to what waits, never twice: what a killed driver has not queued any more is added by the
    next.

    Attributes:
        study: The Optuna study.
        spec: What is asked.
        corpus_hash: Hash of the corpus manifest.
    """

    study: optuna.Study
    spec: StudySpec
    corpus_hash: str

    def add_grid(self) -> None:
        """Queues every cell of a grid with every seed."""
        if self.spec.cells is None:
            return
        known = {
            (trial.user_attrs["cell_id"], trial.user_attrs["seed"])
            for trial in self.study.get_trials(deepcopy=False)
        }
        for sample, seed in planned_pairs(self.spec):
            planned = TrialSpec.of(self.spec, self.corpus_hash, 0, sample, seed)
            if (planned.cell_id, planned.seed) not in known:
                known.add((planned.cell_id, planned.seed))
                self.study.enqueue_trial(dict(sample), user_attrs=planned.description)

    def add_replicates(self, trial: Trial, sample: Sample, known: Sequence[FrozenTrial]) -> None:
        """Queues a proposed point again for every other seed, also where it cannot be trained: it
        was planned with all of them.

        Args:
            trial: The one that was asked for; one that repeats a point itself has no replicates.
            sample: Its point.
            known: All trials.
        """
        others = self.spec.seeds[1:]
        if not others or self.spec.cells is not None or POINT in trial.user_attrs:
            return
        queued = {
            other.user_attrs["seed"]
            for other in known
            if other.user_attrs.get(POINT) == trial.number
        }
        for seed in others:
            if seed not in queued:
                self.study.enqueue_trial(
                    dict(sample),
                    user_attrs={**self._description(sample, seed), POINT: trial.number},
                )

    def _description(self, sample: Sample, seed: int) -> dict[str, object]:
        try:
            return TrialSpec.of(self.spec, self.corpus_hash, 0, sample, seed).description
        except ValidationError:
            return untrainable_attributes(sample, seed)
