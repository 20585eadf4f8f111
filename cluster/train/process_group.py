"""PyTorch's process group over the workers of a Ray Train run."""

from __future__ import annotations

from datetime import timedelta

import ray.train
import ray.util
import torch
import torch.distributed as dist
from ray.train.collective import broadcast_from_rank_zero

TIMEOUT = timedelta(minutes=10)
"""Timeout of a collective. The longest wait of the others is for rank 0, which fits the probe."""


def join_workers() -> None:
    """Makes this process a member of its run's process group: gloo on CPUs, NCCL on GPUs.

    Called once in every worker. The group ends with the processes: a worker that left it
    might fail the collective that another is just finishing.
    """
    context = ray.train.get_context()
    rank, size = context.get_world_rank(), context.get_world_size()
    backend = "gloo"
    if torch.cuda.is_available():
        from ray.train.torch import get_device

        # The workers of a node see each other's GPUs, which NCCL needs; this one's is chosen per
        # thread.
        torch.cuda.set_device(get_device())
        backend = "nccl"
    # Rank 0 has the store, at any free port, and Ray Train passes its address to the others.
    host, port = ray.util.get_node_ip_address(), 0
    if rank > 0:
        host, port = broadcast_from_rank_zero((host, port))
    store = dist.TCPStore(  # type: ignore[attr-defined]  # public, and not declared
        host, port, size, is_master=rank == 0, timeout=TIMEOUT, wait_for_workers=False
    )
    if rank == 0:
        broadcast_from_rank_zero((host, store.port))
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=TIMEOUT)
