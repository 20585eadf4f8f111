"""Pooling over the frames of a recording that comes in blocks."""

from __future__ import annotations

import torch
from torch import Tensor

from cpc_core.evaluation.features import Pooling


class RunningPool:
    """Mean and squared deviations of the frames so far, joined block by block (Chan et al. 1979).

    Args:
        pooling: See `pooled`, of which this is the streaming form.
    """

    def __init__(self, pooling: Pooling) -> None:
        self._pooling = pooling
        self._count = 0
        self._mean = self._squares = torch.zeros(())

    def add(self, frames: Tensor) -> None:
        """Adds frames `[T, D]`, at least one."""
        new = frames.double()
        count, mean = len(new), new.mean(0)
        total = self._count + count
        apart = mean - self._mean
        self._squares = (
            self._squares
            + (new - mean).square().sum(0)
            + apart.square() * (self._count * count / total)
        )
        self._mean = self._mean + apart * (count / total)
        self._count = total

    def vector(self) -> Tensor:
        """Mean `[D]`, or that and the standard deviation, `[2·D]`."""
        if self._pooling == "mean":
            return self._mean.float()
        return torch.cat((self._mean, (self._squares / self._count).sqrt())).float()
