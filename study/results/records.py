"""Records: the results of a study as frozen values, which analysis, dashboards and exports read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from cpc_core.config import Accuracy
from cpc_core.evaluation.clip_scores import MetricsByRecording
from cpc_core.report import Outcome
from study.errors import NotFoundError
from study.folders.study_folder import Prediction
from study.results.history import GivenHistory, History
from study.spec.claims import Claim
from study.spec.objectives import ObjectiveSpec

LOST: tuple[Outcome, ...] = ("diverged", "pruned", "failed", "cancelled")
"""Outcomes of trials that ended without a result."""

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a study: one cell of the space with one seed.

    Attributes:
        number: Position in the study, from 0.
        trial_id: Signature of its full configuration and corpus.
        cell_id: Signature without the seed: replicates share it.
        seed: The seed of this replicate.
        knobs: Sampled knob name → value, for example `{"similarity": "dot", "temperature": 1.0}`. A
            conditional knob that was not sampled is absent.
        outcome: Status of the trial.
        reason: Reason of an outcome other than success, and the source of a reused trial.
        metrics: Final metrics of a complete trial, the latest ones otherwise. Names follow the
            paper's columns: `train_accuracy`, `dev_accuracy`, `dev_map`, beside `train_loss`,
            `dev_loss`, `dev_balanced_accuracy`, `dev_ranking_accuracy`, `dev_probe_accuracy`,
            `latent_spread`, `clips_per_s`, …
        step: The last step logged, 0 before the first report.
        history: The curves of its metrics.
        duration_s: Seconds of training in this study, 0 where unknown.
        adopted_steps: Steps that were copied from another trial.
        retried_as: Number of the trial that replaced this one, None for a trial that counts.
        clips: Its probe's metrics by recording; None where the trial kept none.
    """

    number: int
    trial_id: str
    cell_id: str
    seed: int
    knobs: Mapping[str, Any]
    outcome: Outcome
    reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    step: int = 0
    history: History = field(default=GivenHistory(), compare=False, repr=False)
    duration_s: float = 0.0
    adopted_steps: int = 0
    retried_as: int | None = None
    clips: MetricsByRecording | None = field(default=None, compare=False, repr=False)

    @property
    def ended(self) -> bool:
        """True if the trial has ended, with any outcome."""
        return self.outcome not in ("waiting", "running")


@dataclass(frozen=True, eq=False)
class StudyRecord:
    """A study at one moment. What is computed from one is kept as long as it is.

    Attributes:
        name: The study's name.
        question: The question that the study answers, as text.
        metric: Name of the metric that decides which cell is best, for example `dev_map`.
        direction: `maximize` if more of the metric is better.
        planned: Trials that the study requests in all.
        trials: The trials that count, by number: all stored ones but those that were retried.
        corpus: Corpus name and totals, for captions.
        provenance: Versions, hardware and hashes, for the foot of a report.
        claims: Claims that the spec declares.
        prediction: Predicted cost, None where none was made.
        wall_s: Seconds that the study has run, over all its runs.
        budget_spent: The limit of the budget that has been reached, as text; None while none has.
        objectives: Objectives, `metric` first; several for a search of the Pareto front.
        accuracy: CPC accuracy that the trials share; see `StudySpec.accuracy`.
        reference: Knobs of a one-at-a-time grid's first cell, None for any other study.
        retried: Trials that no longer count, because a retry replaced them.
        planned_seeds: The seeds of the spec; empty stands for those of the trials.
        looks: Times that seeds of these cells have been evaluated, this study included: one more
            for each study with other seeds whose trials it reuses.
    """

    name: str
    question: str
    metric: str
    direction: Direction
    planned: int
    trials: tuple[TrialRecord, ...]
    corpus: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    prediction: Prediction | None = None
    wall_s: float = 0.0
    budget_spent: str | None = None
    objectives: tuple[ObjectiveSpec, ...] = ()
    accuracy: Accuracy = "accuracy"
    reference: Mapping[str, Any] | None = None
    retried: tuple[TrialRecord, ...] = ()
    planned_seeds: tuple[int, ...] = ()
    looks: int = 1

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Seeds that every cell is to have."""
        return self.planned_seeds or tuple(sorted({trial.seed for trial in self.trials}))

    @property
    def every_trial(self) -> tuple[TrialRecord, ...]:
        """Trials that count and trials that were retried, by number."""
        return tuple(sorted((*self.trials, *self.retried), key=lambda trial: trial.number))

    def trial(self, number: int) -> TrialRecord:
        """The trial of that number.

        Raises:
            NotFoundError: There is none.
        """
        for trial in self.every_trial:
            if trial.number == number:
                return trial
        raise NotFoundError(
            f"{self.name} has no trial {number}, it has 0 to {len(self.every_trial) - 1}"
        )

    def direction_of(self, metric: str) -> Direction:
        """Direction of a metric: the spec's for an objective, else `minimize` for losses."""
        if metric == self.metric:
            return self.direction
        for objective in self.objectives:
            if metric == objective.metric:
                return objective.direction
        return "minimize" if metric.endswith("_loss") else "maximize"

    @cached_property
    def ended(self) -> int:
        """Number of trials that have ended, with any outcome."""
        return sum(trial.ended for trial in self.trials)

    @cached_property
    def complete(self) -> bool:
        """True if every planned trial has ended; before that no answer is final."""
        return len(self.trials) >= self.planned and self.ended == len(self.trials)

    @property
    def finished(self) -> bool:
        """True if every planned trial has ended, or the budget is spent and none is running."""
        if self.budget_spent is not None:
            return all(trial.outcome != "running" for trial in self.trials)
        return self.complete
