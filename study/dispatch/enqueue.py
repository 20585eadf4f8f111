"""Trials that wait in the Optuna study: cells of a grid, and replicates of proposals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, Trial
from pydantic import ValidationError

from search_spaces.space import Sample
from study.dispatch.trial_spec import TrialSpec
from study.spec.study_spec import StudySpec, planned_pairs
from study.storage.attributes import TrialAttributes, identity


@dataclass(frozen=True)
class Enqueuer:
    """Adds trials, each once: what a driver that crashed has not added, the next one adds.

    Attributes:
        study: The Optuna study.
        spec: The study's.
        corpus_hash: Hash of the corpus manifest.
    """

    study: optuna.Study
    spec: StudySpec
    corpus_hash: str

    def add_grid(self) -> None:
        """Adds every cell with every seed; nothing if a sampler proposes the configurations."""
        if self.spec.cells is None:
            return
        stored = map(TrialAttributes.of, self.study.get_trials(deepcopy=False))
        known = {(trial.cell_id, trial.seed) for trial in stored}
        for sample, seed in planned_pairs(self.spec):
            planned = TrialSpec.of(self.spec, self.corpus_hash, 0, sample, seed)
            if (planned.cell_id, planned.seed) not in known:
                known.add((planned.cell_id, planned.seed))
                self.study.enqueue_trial(dict(sample), user_attrs=planned.attributes())

    def add_replicates(self, trial: Trial, sample: Sample, known: Sequence[FrozenTrial]) -> None:
        """Adds a proposal with every other seed, also one that cannot be trained: it counts, too.

        Args:
            trial: The proposal; one that repeats another has no replicates.
            sample: Its knobs.
            known: All trials.
        """
        others = self.spec.seeds[1:]
        if not others or self.spec.cells is not None:
            return
        if TrialAttributes.of(trial).point is not None:
            return
        stored = map(TrialAttributes.of, known)
        queued = {other.seed for other in stored if other.point == trial.number}
        for seed in others:
            if seed not in queued:
                attributes = self._attributes(sample, seed, trial.number)
                self.study.enqueue_trial(dict(sample), user_attrs=attributes)

    def _attributes(self, sample: Sample, seed: int, point: int) -> dict[str, object]:
        try:
            return TrialSpec.of(self.spec, self.corpus_hash, 0, sample, seed).attributes(point)
        except ValidationError:
            return identity(sample, seed, point=point)
