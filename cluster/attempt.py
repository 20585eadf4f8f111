"""One attempt at a trial: resumed from its folder, trained, and recorded there.

It is the same in a command's process (`cluster.local_trial`), in a trial's own actor
(`cluster.tune.inline_trial`), and in the workers of a Ray Train run (`cluster.train.worker`), which
differ in the source of the batches and the receiver of the reports.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace

import torch

from cpc_core.config import CpcConfig, Precision
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.reading.batches import Batch, batches_in_process
from cpc_core.distributed import from_first_worker, world
from cpc_core.model.precision import chosen_precision
from cpc_core.report import Report
from cpc_core.step import StepMetrics
from cpc_core.training import TrainingPaused, training_reports
from study.folders.provenance import attempts, record_attempt
from study.folders.trial_folder import TrialFolder


class TrialStopped(Exception):
    """Raised after a step by `on_step` to end a trial there: not an error."""


OpenStream = Callable[[Corpus, CpcConfig, int], Generator[Batch, None, None]]
"""Opens this worker's batches: corpus, trial, number of the first one."""


def run_attempt(
    trial: TrialFolder,
    corpus: Corpus,
    open_stream: OpenStream,
    *,
    on_step: Callable[[int, StepMetrics], None] | None = None,
    pause: Callable[[int], bool] | None = None,
) -> Generator[Report, None, None]:
    """Trains a trial from its newest checkpoint on.

    Every worker runs this; the first one writes the trial's folder. A report's line is in the log
    before its checkpoint is there, and both are on disk when the report is yielded. An attempt at a
    trial whose training has ended yields its last report once more.

    Args:
        trial: Its folder, which holds the configuration.
        corpus: The opened corpus.
        open_stream: Called before the model is built, because readers in other processes need
            seconds to start, and so does the model.
        on_step: Called after each optimizer step, on this worker alone.
        pause: Called between two reports, on every worker, with the number of steps to the next
            one; True ends the attempt there.

    Raises:
        TrainingPaused: `pause` has ended the attempt, whose checkpoint is saved.
        ConfigError: The corpus's clips are too short.
        CorpusError: A shard is missing or damaged.
        CheckpointError: The newest checkpoint cannot be read.
    """
    is_first = world()[0] == 0
    last, step = from_first_worker(_resume(trial) if is_first else (None, None))
    if last is not None:
        yield last
        return
    # Every worker reads it: from an object store each needs a copy of its own.
    checkpoint = None if step is None else trial.checkpoint_at(step)
    config, taken = trial.config(), step or 0
    precision = from_first_worker(_precision(trial, config) if is_first else None)
    assert precision is not None
    config = config.at_precision(precision)
    if is_first:
        record_attempt(
            trial,
            device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
            precision=precision,
            workers=world()[1],
            threads=torch.get_num_threads(),
            step=taken,
        )
    log = trial.log() if is_first else ()
    started = time.monotonic() - (log[-1].elapsed_s if log else 0.0)
    stream = open_stream(corpus, config, taken // config.adversary.updates_per_batch)
    training = training_reports(
        config, corpus, lambda _: stream, resume=checkpoint, on_step=on_step, pause=pause
    )
    # The stream by itself, because an error keeps what the training has used, its readers included.
    with closing(stream), closing(training) as reports:
        try:
            for made, save in reports:
                started -= made.elapsed_s
                report = replace(made, elapsed_s=time.monotonic() - started)
                if is_first:
                    if report.clip_scores is not None:
                        trial.save_clip_scores(report.clip_scores)
                    trial.append(report)
                    if report.outcome != "diverged":
                        trial.save_checkpoint(report.step, save)
                yield report
        except TrainingPaused as paused:
            if is_first:
                trial.save_checkpoint(paused.step, paused.save)
            raise


def in_process(corpus: Corpus, config: CpcConfig, first: int) -> Generator[Batch, None, None]:
    """Batches of a trial's only worker, read by a thread of its own."""
    return batches_in_process(corpus, config.seed, config.data.batch_size, first, config.batches)


def _precision(trial: TrialFolder, config: CpcConfig) -> Precision:
    """Precision of the trial's first attempt; before that, what its configuration chooses here."""
    recorded: list[Precision] = [
        each["precision"] for each in attempts(trial) if "precision" in each
    ]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return recorded[0] if recorded else chosen_precision(config.compute, device)


def _resume(trial: TrialFolder) -> tuple[Report | None, int | None]:
    """Last report if training has ended, else the step of the checkpoint to resume from.

    Lines of the log after that checkpoint are removed.
    """
    ending = trial.ending()
    if ending is not None:
        return ending, None
    step = trial.newest_step()
    trial.rewind(-1 if step is None else step)
    return None, step
