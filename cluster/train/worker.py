"""Training function of every Ray Train worker of a trial."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Mapping
from threading import Thread
from typing import Any

import torch
from ray.train.torch import get_device

from cluster.attempt import run_attempt
from cluster.data.batches import ray_batches
from cluster.stop_flag import StopFlag
from cpc_core.config import CpcConfig
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.reading.batches import Batch
from cpc_core.distributed import world
from study.folders.study_folder import StudyFolder


def train_worker(task: Mapping[str, Any]) -> None:
    """Trains this worker's share of one trial, from the trial's newest checkpoint if there is one.

    The reports are read from the trial's log: Ray Train receives none.

    Args:
        task: `study` and `corpus`: folders or URIs. `number`: the trial. `scratch` and `attempt`:
            folder and number of its stop flag. `threads`: CPU threads of this worker.

    Raises:
        CpcError: Another attempt cannot help. It ends all workers: the others may be waiting for
            this one in a collective.
    """
    flag = StopFlag(task["scratch"], task["number"], task["attempt"])
    Thread(target=_exit_when_set, args=(flag,), name="stop-flag", daemon=True).start()
    torch.set_num_threads(task["threads"])
    if torch.cuda.is_available():
        # The workers of a node see each other's GPUs, which NCCL needs; this one's is chosen per
        # thread.
        torch.cuda.set_device(get_device())
    trial = StudyFolder(task["study"]).trial(task["number"])
    deque(run_attempt(trial, Corpus.open(task["corpus"]), _share), maxlen=0)


def _share(corpus: Corpus, config: CpcConfig, first: int) -> Iterator[Batch]:
    return ray_batches(corpus, config.seed, config.data.batch_size, first, config.batches, *world())


def _exit_when_set(flag: StopFlag) -> None:
    """Ends this process once its trial is to end.

    Workers that left their loops would have to agree on the step; a report may be an hour away. Ray
    Train ends the run when a worker has exited, and frees its placement group.
    """
    while not flag.is_set():
        time.sleep(flag.poll_s)
    os._exit(1)
