"""Trains the trials of a study again, without Ray and without interruption: what their logs must be
equal to.

One process per worker: `python -m tests.helpers.reference_training STUDY_FOLDER OUT RANK WORLD`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist

from cpc_core.checkpoint import read_config
from cpc_core.corpus.reading.batches import batches_in_process
from cpc_core.corpus.sample import open_corpus
from cpc_core.training import training_reports
from study.folders.study_folder import StudyFolder
from study.folders.trial_folder import TrialFolder

BARE_S = 300


def train_reference(study: Path, out: Path, workers: int, cache: Path) -> None:
    """Writes the metrics logs of an uninterrupted training of every trial that was trained in
    `study` into a folder like it.
    """
    out.mkdir()
    environment = {
        **os.environ,
        "CPC_CACHE": str(cache),
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    command = [sys.executable, "-m", "tests.helpers.reference_training", str(study), str(out)]
    trainings = [
        subprocess.Popen([*command, str(rank), str(workers)], env=environment)
        for rank in range(workers)
    ]
    try:
        assert [training.wait(BARE_S) for training in trainings] == [0] * workers
    finally:
        for training in trainings:
            training.kill()
            training.wait()


def _train(study: Path, out: Path, rank: int, world: int) -> None:
    torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group(
            "gloo", init_method=f"file://{out}/rendezvous", rank=rank, world_size=world
        )
    corpus = open_corpus(StudyFolder(study).spec().corpus)
    for log in sorted(study.glob("trials/t*/metrics.jsonl")):
        config, bare = (
            read_config(log.parent),
            TrialFolder(out, int(log.parent.name.removeprefix("t"))),
        )
        if rank == 0:
            bare.create(config)
        batches = partial(
            batches_in_process,
            corpus,
            config.seed,
            config.data.batch_size,
            stop_step=config.batches,
            rank=rank,
            world=world,
        )
        for report, _ in training_reports(config, corpus, batches):
            if rank == 0:
                bare.append(report)


if __name__ == "__main__":
    _train(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
