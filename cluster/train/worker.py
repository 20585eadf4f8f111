"""Training function of every Ray Train worker of a trial."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Generator
from contextlib import suppress
from threading import Thread

import torch

from cluster.attempt import run_attempt
from cluster.data.batches import ray_batches
from cluster.grace import Grace
from cluster.stop_flag import StopFlag
from cluster.train.process_group import join_workers
from cpc_core.config import CpcConfig
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.reading.batches import Batch
from cpc_core.distributed import world
from cpc_core.storage_path import StoragePath
from cpc_core.training import TrainingPaused
from study.folders.trial_folder import TrialFolder


def train_worker(
    trial: TrialFolder,
    flag: StopFlag,
    corpus: StoragePath,
    threads: int,
    grace_s: float | None,
    scratch: str,
) -> None:
    """Trains this worker's share of one trial, from the trial's newest checkpoint if there is one.

    The reports are read from the trial's log: Ray Train receives none.

    Args:
        trial: The trial.
        flag: The attempt's stop flag.
        corpus: The corpus folder.
        threads: CPU threads of this worker.
        grace_s: Seconds in which the trial has to end once the study is stopped, if limited.
        scratch: Folder of the run.

    Raises:
        CpcError: Another attempt cannot help. It ends all workers: the others may be waiting for
            this one in a collective.
    """
    Thread(target=_exit_when_set, args=(flag,), name="stop-flag", daemon=True).start()
    torch.set_num_threads(threads)
    join_workers()
    reports = run_attempt(
        trial, Corpus.open(corpus), _share, pause=Grace.of_study(grace_s, scratch)
    )
    with suppress(TrainingPaused):
        deque(reports, maxlen=0)


def _share(corpus: Corpus, config: CpcConfig, first: int) -> Generator[Batch, None, None]:
    return ray_batches(corpus, config.seed, config.data.batch_size, first, config.batches, *world())


def _exit_when_set(flag: StopFlag) -> None:
    """Ends this process once its trial is to end.

    Workers that left their loops would have to agree on the step; a report may be an hour away. Ray
    Train ends the run when a worker has exited, and frees its placement group.
    """
    while not flag.is_set():
        time.sleep(flag.poll_s)
    os._exit(1)
