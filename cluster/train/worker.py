"""What runs in every Ray Train worker of a trial."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from ray.train.torch import get_device

from cluster.attempt import run_attempt
from cluster.data.batches import ray_batches
from cpc_core.config import CpcConfig
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.reading.batches import Batch
from cpc_core.distributed import world
from study.folders.study_folder import StudyFolder


def train_worker(task: Mapping[str, Any]) -> None:
    """Trains this worker's share of one trial, from the trial's newest checkpoint where there is
    one.

    Args:
        task: `study` and `corpus`: folders or URIs. `number`: the trial. `threads`: CPU threads of
            this worker.

    Raises:
        CpcError: Trying again cannot help. It ends all workers: the others may be waiting for this
            one in a collective.
    """
    torch.set_num_threads(task["threads"])
    if torch.cuda.is_available():
        # The workers of a node see each other's GPUs, which NCCL wants; this one's is chosen per
        # thread.
        torch.cuda.set_device(get_device())
    trial = StudyFolder(task["study"]).trial(task["number"])
    # The trial's log is where the reports are read: Ray Train is told of none.
    deque(run_attempt(trial, Corpus.open(task["corpus"]), _share), maxlen=0)


def _share(corpus: Corpus, config: CpcConfig, first: int) -> Iterator[Batch]:
    return ray_batches(corpus, config.seed, config.data.batch_size, first, config.batches, *world())
