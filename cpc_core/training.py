"""The training loop of one trial, the same in this process, an actor or a Ray Train worker."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cpc_core.checkpoint import load_checkpoint, save_checkpoint
from cpc_core.config import CpcConfig
from cpc_core.corpus.corpus import Clips, Corpus
from cpc_core.corpus.reading.batches import Batch, crop
from cpc_core.distributed import gather_clips, mean_over_workers, world
from cpc_core.errors import ConfigError, NonFiniteError
from cpc_core.evaluation.collapse import CollapseDetector, chance_margin
from cpc_core.evaluation.features import ModelFeatures
from cpc_core.evaluation.held_out import (
    evaluate,
    evaluate_attacked,
    held_out_pool,
    measurable_clips,
)
from cpc_core.evaluation.probe import probe
from cpc_core.export.warm_start import start_from_export
from cpc_core.geometry import SAMPLE_RATE_HZ
from cpc_core.model.initialise import initialise
from cpc_core.objective.lengths import own_frames
from cpc_core.report import Outcome, Report
from cpc_core.step import StepMetrics, TrainState, learning_rate, train_step

SINCE_REPORT = "since_report"
"""Entry of a checkpoint between two reports."""

RANKING_COLUMN = [field.name for field in fields(StepMetrics)].index("ranking_accuracy")


Batches = Callable[[int], Iterator[Batch]]
"""Batches of this worker from the one with that number on. A batch serves
`Adversary.updates_per_batch` steps.
"""

SaveCheckpoint = Callable[[Path], None]
"""Writes a checkpoint of the current step into an existing folder."""


class TrainingPaused(Exception):
    """Raised where a training ends between two reports, by request: not an error.

    Attributes:
        step: Optimizer steps taken.
        save: Saves the checkpoint of that step.
    """

    def __init__(self, step: int, save: SaveCheckpoint) -> None:
        super().__init__(step)
        self.step, self.save = step, save


def training_reports(
    config: CpcConfig,
    corpus: Corpus,
    batches: Batches,
    *,
    resume: Path | None = None,
    on_step: Callable[[int, StepMetrics], None] | None = None,
    pause: Callable[[int], bool] | None = None,
) -> Generator[tuple[Report, SaveCheckpoint], None, None]:
    """Trains one model to its last step, to a collapse, or to a number that is not finite.

    A generator: training pauses at each report until the next one is requested, and is aborted by
    closing it.

    Args:
        config: The trial.
        corpus: The corpus of the held-out and probe clips.
        batches: This worker's share of each step's batch.
        resume: Checkpoint to resume from, with the steps that an uninterrupted run would take.
        on_step: Called after each step, on this worker alone.
        pause: Called after each step that no report follows, with the number of steps to the next
            report; the same answer on every worker. True ends the training there.

    Yields:
        A report every `training.report_every` steps and at the end, on every worker at the same
        steps, and the function that saves its checkpoint. `elapsed_s` of a report is what steps
        before a pause had taken since the report before.

    Raises:
        TrainingPaused: `pause` has ended the training, on every worker at the same step.
        ConfigError: The corpus's clips are shorter, or fewer, than the configuration needs, or the
            export that it starts from does not fit.
        CorpusError: A shard is missing or damaged.
        CheckpointError: The checkpoint, or the export, cannot be read.
    """
    crop_samples = _crop_samples(config, corpus)
    shortest = config.geometry.samples(config.objective.first_step + 1)
    held_out = measurable_clips(
        config, corpus.draw_clips("dev", config.training.dev_clips, shortest), crop_samples
    )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    state = TrainState.create(config, device)
    history = CollapseDetector(config)
    running = _MetricMeans() if resume is None else _resumed(state, history, resume)

    def save(folder: Path) -> None:
        save_checkpoint(state, history.saved(), folder)

    replays = config.adversary.updates_per_batch
    for stored in (batch for batch in batches(state.step // replays) for _ in range(replays)):
        batch = _prepared(stored, crop_samples, config.seed, device)
        if state.step == 0:
            _require_predictions(config, batch)
            _set_first_weights(state, batch)
        try:
            measured = train_step(state, batch)
        except NonFiniteError as error:
            # The failed step has a number of its own: the one before it may have been reported.
            yield Report(error.step + 1, {}, "diverged", str(error)), save
            return
        running.add(measured, len(batch.clip_ids))
        if on_step is not None:
            on_step(state.step, measured)
        if state.step % config.training.report_every == 0 or state.step == config.training.steps:
            report = _report(state, corpus, held_out, crop_samples, running, history)
            yield report, save
            running = _MetricMeans()
            if report.final:
                return
        elif pause is not None and state.step % replays == 0 and pause(_steps_to_report(state)):
            raise _paused(state, history, running)


def _set_first_weights(state: TrainState, batch: Batch) -> None:
    """Loads the export to start from, or sets what the first batch decides."""
    config = state.config
    if config.initialisation.model is not None:
        start_from_export(state)
        return
    initialise(
        state.model,
        batch.audio,
        config.initialisation,
        config.negatives.count,
        batch.num_samples,
    )


def _resumed(state: TrainState, history: CollapseDetector, checkpoint: Path) -> _MetricMeans:
    """Restores a checkpoint, and returns the metrics since the last report."""
    saved = load_checkpoint(state, checkpoint)
    history.streak = saved["collapsed_reports"]
    return _MetricMeans.restored(saved[SINCE_REPORT]) if SINCE_REPORT in saved else _MetricMeans()


def _paused(state: TrainState, history: CollapseDetector, running: _MetricMeans) -> TrainingPaused:
    """The pause after a step; its checkpoint also holds the metrics since the last report."""
    saved = {**history.saved(), SINCE_REPORT: running.saved()}
    return TrainingPaused(state.step, lambda folder: save_checkpoint(state, saved, folder))


def _steps_to_report(state: TrainState) -> int:
    training = state.config.training
    to_next = training.report_every - state.step % training.report_every
    return min(to_next, training.steps - state.step)


def _report(
    state: TrainState,
    corpus: Corpus,
    held_out: Clips,
    crop_samples: int,
    running: _MetricMeans,
    history: CollapseDetector,
) -> Report:
    """Measures the held-out metrics, and at the end the probe's if labels allow for one.

    Only the first worker measures: its metrics are the trial's.
    """
    config = state.config
    metrics = running.metrics()
    metrics["learning_rate"] = learning_rate(config.optimizer, state.step - 1, config.decay_steps)
    reason = history.collapse(state.step, metrics, running.ranking_margin())
    clip_scores = None
    finished = state.step == config.training.steps
    if world()[0] == 0:
        measured = evaluate(state.model, config, held_out, crop_samples)
        metrics |= {
            "dev_loss": measured.loss,
            "dev_accuracy": measured.accuracy,
            "dev_balanced_accuracy": measured.balanced_accuracy,
            "dev_ranking_accuracy": measured.ranking_accuracy,
            "latent_spread": measured.latent_spread,
            "pool_clips": config.pool_clips,
            "dev_pool_clips": held_out_pool(config, len(held_out)),
        }
        if config.training.attacked_clips:
            attacked = evaluate_attacked(state.model, config, held_out, crop_samples)
            metrics |= {
                "dev_attacked_clean_accuracy": attacked.clean_accuracy,
                "dev_fgsm_accuracy": attacked.fgsm_accuracy,
                "dev_one_step_accuracy": attacked.one_step_accuracy,
                "dev_attack_accuracy": attacked.attack_accuracy,
            }
        if finished and not reason and corpus.probe_task("dev") != "none":
            features = ModelFeatures(state.model, config.probe.features, config.probe.pooling)
            scores = probe(features, corpus, "dev", config.probe)
            metrics |= {
                "dev_map": scores.mean_average_precision,
                "dev_probe_accuracy": scores.accuracy,
                "dev_probe_balanced_accuracy": scores.balanced_accuracy,
                "dev_labels_scored": scores.labels_scored,
                "dev_labels_left_out": scores.labels_left_out,
            }
            clip_scores = scores.by_clip
    outcome: Outcome = "diverged" if reason else "complete" if finished else "running"
    return Report(state.step, metrics, outcome, reason, running.before_s, clip_scores)


class _MetricMeans:
    """Means of the training metrics since the last report, which stay on the device until then.

    Attributes:
        clips: Clips of this worker.
        steps: Metrics of each step, `[M]` float64.
        before_s: Seconds of those steps that an earlier attempt took.
    """

    def __init__(self) -> None:
        self.clips = 0
        self.steps: list[Tensor] = []
        self.before_s = 0.0
        self._started_s = time.monotonic()

    @classmethod
    def restored(cls, saved: dict[str, Any]) -> _MetricMeans:
        """Restores `saved`; for another number of workers, the mean of the earlier ones."""
        running, (rank, size), steps = cls(), world(), saved["steps"]
        running.steps = list(steps[rank] if len(steps) == size else steps.nanmean(dim=0))
        running.clips, running.before_s = saved["clips"] // size, saved["seconds"]
        return running

    def saved(self) -> dict[str, Any]:
        """State of all W workers after S steps: their metrics `[W, S, M]`, clips and seconds."""
        own, size = torch.stack(self.steps), world()[1]
        return {
            "steps": gather_clips(own).view(size, *own.shape).cpu(),
            "clips": self.clips * size,
            "seconds": self._seconds,
        }

    @property
    def _seconds(self) -> float:
        return self.before_s + time.monotonic() - self._started_s

    def add(self, measured: StepMetrics, clips: int) -> None:
        self.clips += clips
        self.steps.append(torch.stack([value.double() for value in vars(measured).values()]))

    def metrics(self) -> dict[str, float]:
        """Means over the steps and the workers that have a value: without a perturbation there is
        no ratio to it.
        """
        table = torch.stack(self.steps)
        finite = table.isfinite()
        sums, counts = mean_over_workers(
            torch.stack((torch.where(finite, table, 0).sum(0), finite.sum(0)))
        )
        means = (sums / counts).tolist()
        metrics = {
            f"train_{column.name}": mean
            for column, mean in zip(fields(StepMetrics), means, strict=True)
            if math.isfinite(mean)
        }
        return {
            **metrics,
            "clips_per_s": self.clips * world()[1] / self._seconds,
        }

    def ranking_margin(self) -> float:
        """Distance from chance that the ranking since the last report may have by chance."""
        steps = mean_over_workers(torch.stack(self.steps)[:, RANKING_COLUMN])
        return chance_margin(steps, self.clips * world()[1])


def _crop_samples(config: CpcConfig, corpus: Corpus) -> int:
    available = corpus.clip_samples
    wanted = available if config.data.crop_s is None else round(config.data.crop_s * SAMPLE_RATE_HZ)
    if not config.shortest_clip_samples <= wanted <= available:
        raise ConfigError(
            f"corpus {corpus.name} has clips of {available / SAMPLE_RATE_HZ:g} s; data.crop_s must "
            f"lie between {config.shortest_clip_samples / SAMPLE_RATE_HZ:g} and that, or be null "
            f"for whole clips; it is {config.data.crop_s}"
        )
    return wanted


def _require_predictions(config: CpcConfig, batch: Batch) -> None:
    """Raises ConfigError if no clip of a step is long enough for a prediction."""
    if batch.num_samples is None:
        return
    usable = (own_frames(config.geometry, batch.num_samples) > config.objective.first_step).sum()
    if mean_over_workers(usable.double().to(batch.audio.device)) == 0:
        needed = config.geometry.samples(config.objective.first_step + 1) / SAMPLE_RATE_HZ
        raise ConfigError(
            f"none of the first step's {config.data.batch_size} clips has the {needed:g} s that a "
            "prediction needs: import longer recordings"
        )


def _prepared(batch: Batch, crop_samples: int, seed: int, device: torch.device) -> Batch:
    """The batch on its device, cropped where the configuration requests crops."""
    moved = Batch(
        batch.step,
        batch.clip_ids.to(device, non_blocking=True),
        batch.audio.to(device, non_blocking=True),
        batch.num_samples,
    )
    return moved if crop_samples == moved.audio.shape[1] else crop(moved, crop_samples, seed)
