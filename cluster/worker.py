"""What runs in every Ray Train worker of a trial."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ray.train
import torch
from ray.train import Checkpoint, CheckpointUploadMode

from cluster.attempt import record_here
from cluster.stream import ray_batches
from cpc_core.checkpoint import read_config
from cpc_core.corpus.corpus import Corpus
from cpc_core.errors import CpcError
from cpc_core.training import Progress, pretrain
from study.trial_folder import LogEntry, TrialFolder, checkpoint_step


def train_worker(task: Mapping[str, Any]) -> None:
    """Trains this worker's share of one trial, from the trial's last checkpoint where there is one.

    Args:
        task: `study`: its folder. `corpus`: folder or URI. `number`: the trial. `threads`: CPU threads of this worker.
    """
    torch.set_num_threads(task["threads"])
    folder = TrialFolder(Path(task["study"]), task["number"])
    ending = folder.ending()
    if ending is not None:
        ray.train.report(_message(ending.step, ending.metrics, ending.outcome, ending.reason))
        return
    try:
        _train(folder, Corpus.open(task["corpus"]))
    except CpcError as error:
        # Trying again cannot help, so this is an ending, not a crash.
        ray.train.report({"outcome": "failed", "reason": str(error)})


def _train(folder: TrialFolder, corpus: Corpus) -> None:
    config = read_config(folder.path)
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    checkpoint = ray.train.get_checkpoint()
    resume = None if checkpoint is None else Path(checkpoint.path)
    if rank == 0:
        folder.rewind(-1 if resume is None else checkpoint_step(resume))
        record_here(folder, 0 if resume is None else checkpoint_step(resume))
    start = 0 if resume is None else checkpoint_step(resume) // config.updates_per_batch
    # Begun before the model is built: the readers need seconds to start, and the model does, too.
    stream = ray_batches(corpus, config.seed, config.data.batch_size, start, config.batches, rank, world)
    pretrain(config, corpus, lambda _: stream, _Reporter(folder, rank), resume=resume)


class _Reporter:
    """Passes reports on: rank 0 writes the log, then the checkpoint, so that a checkpoint's line is always there."""

    def __init__(self, folder: TrialFolder, rank: int) -> None:
        self._folder, self._rank = folder, rank
        log = folder.log() if rank == 0 else ()
        self._started = time.monotonic() - (log[-1].elapsed_s if log else 0.0)

    def __call__(self, progress: Progress, save: Callable[[Path], None]) -> None:
        checkpoint = None
        if self._rank == 0:
            elapsed_s = time.monotonic() - self._started
            self._folder.append(LogEntry(progress.step, progress.metrics, progress.outcome, progress.reason, elapsed_s))
            if progress.outcome != "diverged":
                checkpoint = Checkpoint.from_directory(self._folder.save_checkpoint(progress.step, save))
        ray.train.report(
            _message(progress.step, progress.metrics, progress.outcome, progress.reason),
            checkpoint=checkpoint,
            checkpoint_upload_mode=CheckpointUploadMode.NO_UPLOAD,
        )


def _message(step: int, metrics: Mapping[str, float], outcome: str, reason: str) -> dict[str, Any]:
    return {"step": step, "outcome": outcome, "reason": reason, "metrics": dict(metrics)}
