"""Moments of vectors over the first batch, of all workers together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cpc_core.distributed import mean_over_workers


@dataclass(frozen=True)
class Moments:
    """Mean `[D]` and mean outer product `[D, D]` of vectors `[…, D]` of all workers, in float64."""

    mean: Tensor
    second: Tensor

    @classmethod
    def of(cls, vectors: Tensor) -> Moments:
        rows = vectors.flatten(0, -2).double()
        return cls(row_mean(rows), mean_product(rows, rows))

    @property
    def covariance(self) -> Tensor:
        return self.second - torch.outer(self.mean, self.mean)

    def products_deviation(self, other: Moments) -> Tensor:
        """Standard deviation of the inner products of vectors with independent `other` ones."""
        return (
            ((self.second * other.second).sum() - (self.mean @ other.mean).square())
            .clamp_min(1e-24)
            .sqrt()
        )


def row_mean(rows: Tensor) -> Tensor:
    """Mean of the rows `[N, …]` of all workers, `[…]`."""
    return mean_over_workers(rows.sum(0)) / _count(rows)


def mean_product(rows: Tensor, others: Tensor) -> Tensor:
    """Mean outer product of the rows `[N, C]` and `[N, D]` of all workers, `[C, D]`."""
    return mean_over_workers(rows.T @ others) / _count(rows)


def _count(rows: Tensor) -> Tensor:
    """Mean number of rows of a worker."""
    return mean_over_workers(rows.new_tensor(float(len(rows)))).clamp_min(1)
