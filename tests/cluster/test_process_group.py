"""Workers of a Ray Train run become one process group, as `TorchTrainer`'s do."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest
import ray.train
import ray.train.torch
import torch
import torch.distributed as dist

from cluster.train import process_group

WORKERS = 3


def joined(monkeypatch: pytest.MonkeyPatch, *, gpus: bool) -> list[dict[str, Any]]:
    """Arguments with which each rank joins its group, and its GPU; the ranks are threads."""
    ranks = threading.local()
    # Ray Train's broadcast: rank 0 leaves an address for each of the others.
    addresses: SimpleQueue[tuple[str, int]] = SimpleQueue()

    def broadcast(address: tuple[str, int]) -> tuple[str, int]:
        if ranks.own > 0:
            return addresses.get(timeout=60)
        for _ in range(1, WORKERS):
            addresses.put(address)
        return address

    def join(backend: str, **arguments: Any) -> None:
        ranks.joined = {"backend": backend, "gpu": ranks.gpu, **arguments}

    def work(rank: int) -> dict[str, Any]:
        ranks.own, ranks.gpu = rank, None
        process_group.join_workers()
        made: dict[str, Any] = ranks.joined
        return made

    context = SimpleNamespace(get_world_rank=lambda: ranks.own, get_world_size=lambda: WORKERS)
    monkeypatch.setattr(ray.train, "get_context", lambda: context)
    monkeypatch.setattr(process_group, "broadcast_from_rank_zero", broadcast)
    monkeypatch.setattr(dist, "init_process_group", join)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", lambda gpu: setattr(ranks, "gpu", gpu))
    monkeypatch.setattr(ray.train.torch, "get_device", lambda: f"cuda:{ranks.own}")
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(work, range(WORKERS)))


@pytest.mark.parametrize("gpus", [False, True])
def test_each_worker_joins_with_its_rank_and_its_gpu(
    monkeypatch: pytest.MonkeyPatch, gpus: bool
) -> None:
    made = joined(monkeypatch, gpus=gpus)
    assert [each["rank"] for each in made] == list(range(WORKERS))
    assert {each["world_size"] for each in made} == {WORKERS}
    assert {each["backend"] for each in made} == {"nccl" if gpus else "gloo"}
    assert [each["gpu"] for each in made] == (
        [f"cuda:{rank}" for rank in range(WORKERS)] if gpus else [None] * WORKERS
    )


def test_workers_share_the_store_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    stores = [each["store"] for each in joined(monkeypatch, gpus=False)]
    for rank, store in enumerate(stores):
        store.set(f"rank {rank}", str(rank))
    for store in stores:
        assert [store.get(f"rank {rank}") for rank in range(WORKERS)] == [b"0", b"1", b"2"]


def test_a_run_is_described_without_torch() -> None:
    """What unpickles it in the trial's actor and in Ray Train's controller would import torch,
    too, before the workers start.
    """
    code = (
        "import pickle, sys\n"
        "from cluster.stop_flag import StopFlag\n"
        "from cluster.tune.train_trial import RayTrainTrial, trainer\n"
        "from cpc_core.storage_path import StoragePath\n"
        "from study.folders.study_folder import StudyFolder\n"
        "from study.spec.resources import Resources\n"
        "made = trainer(StudyFolder('s').trial(0), StopFlag('f', 0, 0), StoragePath.of('c'),"
        " Resources(), '/f', None)\n"
        "pickle.loads(pickle.dumps((made.train_loop_per_worker, made.train_run_context)))\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stderr.decode()
