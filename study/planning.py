"""Predicted cost of a study, stored in its folder for comparison with the measured cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

from cpc_core.adversary.base import SizedAdversary
from cpc_core.config import CpcConfig, canonical_json
from search_spaces.pruners.base import Rung
from study.analysis.labels import cell_name
from study.folders.study_folder import Prediction, StudyFolder
from study.folders.trial_folder import CHECKPOINTS_KEPT
from study.spec.study_spec import StudySpec

START_S = 8.0
"""Seconds to start Ray on two cores."""


INLINE_TRIAL_S = 1.0
"""Seconds of an inline trial outside its training loop, mainly of fitting the probe."""


RAY_TRAIN_TRIAL_S = 14.0
"""Seconds of a Ray Train run outside its training loop, mainly of starting its processes."""


SecondsPerStep = Callable[[CpcConfig, int, int], float]
"""Measures a training step: configuration, samples of a corpus clip, CPU threads → seconds."""


@dataclass(frozen=True)
class PlannedCell:
    """Predicted cost of one cell, or of one corner of a space to search.

    Attributes:
        cell: The setting.
        trials: Replicates of it.
        steps: Optimizer steps of a trial.
        seconds_per_step: Measured on this machine, None without calibration.
        minutes_per_trial: With overhead, None without calibration.
    """

    cell: str
    trials: int
    steps: int
    seconds_per_step: float | None
    minutes_per_trial: float | None


def planned_cells(
    spec: StudySpec, clip_samples: int, seconds_per_step: SecondsPerStep | None
) -> list[PlannedCell]:
    """Cells of a grid, or corners of a space to search, between which the proposals lie.

    Args:
        spec: The study.
        clip_samples: Samples of a clip of its corpus.
        seconds_per_step: Times a step on this machine; without it no time is predicted.
    """
    trials = 0 if spec.cells is None else len(spec.seeds)
    measured: dict[str, float] = {}
    cells = []
    for sample in spec.probe_samples:
        config = spec.config(sample, spec.seeds[0])
        seconds = None
        if seconds_per_step is not None:
            # A cell of a study may diverge, what is timed must not.
            alike = _alike(config)
            cost = canonical_json(alike)
            if cost not in measured:
                measured[cost] = seconds_per_step(alike, clip_samples, spec.resources.threads)
            seconds = measured[cost] / spec.resources.workers
        steps = config.training.steps
        minutes = None if seconds is None else (steps * seconds + overhead_s(spec)) / 60
        cells.append(
            PlannedCell(cell_name(sample, spec.reference), trials, steps, seconds, minutes)
        )
    return cells


def predicted(spec: StudySpec, cells: list[PlannedCell]) -> Prediction:
    """Expected cost of the whole study on this machine, from calibrated cells."""
    training_s = {
        cell.cell: cell.steps * cell.seconds_per_step
        for cell in cells
        if cell.seconds_per_step is not None
    }
    mean_s = fmean(training_s.values())
    resources = spec.resources
    trial_s = mean_s * share_of_steps(spec) + overhead_s(spec)
    return Prediction(
        training_s=training_s,
        mean_training_s=mean_s,
        wall_s=trial_s * spec.planned_trials / resources.concurrent_trials + START_S,
        gpus_per_trial=resources.gpus_per_trial,
    )


def overhead_s(spec: StudySpec) -> float:
    """Seconds of a trial outside its training loop."""
    return INLINE_TRIAL_S if spec.resources.trains_inline else RAY_TRAIN_TRIAL_S


def checkpoint_bytes(spec: StudySpec, parameters: Callable[[CpcConfig], int]) -> float:
    """Disk space of the study's checkpoints in bytes: two a trial, three float32 a parameter.

    The three are the value and Adam's two moments.

    Args:
        spec: The study.
        parameters: Counts the parameters of a trial's model.
    """
    counted: dict[str, int] = {}
    for sample in spec.probe_samples:
        config = spec.config(sample, spec.seeds[0])
        model = canonical_json(
            CpcConfig(encoder=config.encoder, context=config.context, similarity=config.similarity)
        )
        if model not in counted:
            counted[model] = parameters(config)
    return fmean(counted.values()) * 3 * 4 * CHECKPOINTS_KEPT * spec.planned_trials


def keep_prediction(
    folder: StudyFolder, spec: StudySpec, clip_samples: int, seconds_per_step: SecondsPerStep
) -> None:
    """Writes a study's predicted cost into its folder; the first run's prediction stays."""
    if folder.prediction() is None:
        cells = planned_cells(spec, clip_samples, seconds_per_step)
        folder.write_prediction(predicted(spec, cells))


def _alike(config: CpcConfig) -> CpcConfig:
    """Configuration with every setting that costs no time at its default."""
    objective = config.objective.model_copy(update={"temperature": 1.0})
    optimizer = type(config.optimizer)()
    adversary = config.adversary
    if isinstance(adversary, SizedAdversary):
        adversary = adversary.model_copy(update={"epsilon_db": -55.0})
    return config.model_copy(
        update={"objective": objective, "optimizer": optimizer, "adversary": adversary, "seed": 0}
    )


def rungs(spec: StudySpec) -> list[Rung]:
    """Rungs of a study, the last of each bracket being the end of its trials; empty without any."""
    return spec.pruner.rungs(spec.planned_trials, spec.longest)


def share_of_steps(spec: StudySpec) -> float:
    """Expected share of the steps that the study would take if every trial ran to its end."""
    expected, before = 0.0, Rung(0, 0, 0)
    for rung in rungs(spec):
        if rung.bracket != before.bracket:
            before = Rung(rung.bracket, 0, 0)
        expected += rung.trials * (rung.steps - before.steps)
        before = rung
    return expected / (spec.planned_trials * spec.longest) if expected else 1.0
