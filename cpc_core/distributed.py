"""The few collective operations of data-parallel training. Without a process group each is the identity."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn


def world() -> tuple[int, int]:
    """This worker's rank and the number of workers."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else (0, 1)


def mean_over_workers(value: Tensor) -> Tensor:
    """The mean of `value` over all workers, on every worker."""
    _, size = world()
    if size > 1:
        value = value.clone()
        dist.all_reduce(value)
        value /= size
    return value


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replaces each gradient by its mean over the workers, in one collective.

    It is called once a step, after the update's backward pass; hooks on the parameters would also fire for the adversary's.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if world()[1] > 1:
        flat = mean_over_workers(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        for gradient, averaged in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(averaged.view_as(gradient))
