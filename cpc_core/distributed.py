"""Collective operations of data-parallel training: identities without a process group."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

T = TypeVar("T")


def world() -> tuple[int, int]:
    """Rank of this worker, and the number of workers."""
    return (
        (dist.get_rank(), dist.get_world_size())
        if dist.is_available() and dist.is_initialized()
        else (0, 1)
    )


def mean_over_workers(value: Tensor) -> Tensor:
    """Mean of `value` over all workers, on every worker."""
    _, size = world()
    if size > 1:
        value = value.clone()
        dist.all_reduce(value)
        value /= size
    return value


def from_first_worker(value: T) -> T:
    """`value` of the first worker, on every worker; anything that pickles."""
    if world()[1] == 1:
        return value
    shared = [value]
    dist.broadcast_object_list(shared, src=0)
    return shared[0]


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replaces each gradient by its mean over the workers, in one collective.

    Called once a step, after the update's backward pass: hooks on the parameters would also fire
    for the adversary's.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if world()[1] > 1:
        flat = mean_over_workers(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        for gradient, averaged in zip(
            gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True
        ):
            gradient.copy_(averaged.view_as(gradient))


def gather_clips(own: Tensor) -> Tensor:
    """Concatenates the `[B, …]` of all workers to `[W·B, …]`, with gradients back to their worker.

    A worker's gradient is then the sum over all workers' losses: averaged over workers, that of
    their mean loss.
    """
    gathered: Tensor = _Gather.apply(own) if world()[1] > 1 else own
    return gathered


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        parts = [
            torch.empty_like(own, memory_format=torch.contiguous_format) for _ in range(world()[1])
        ]
        dist.all_gather(parts, own.contiguous())
        ctx.clips = len(own)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        summed = gradient.contiguous().clone()
        dist.all_reduce(summed)
        return summed.narrow(0, world()[0] * ctx.clips, ctx.clips)
