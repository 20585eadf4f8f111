"""Inner products of queries with indexed keys, without keeping the gathered keys."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def inner_products(queries: Tensor, keys: Tensor, index: Tensor) -> Tensor:
    """Inner products ⟨queries[…], keys[index[…, j]]⟩ for every j.

    The gathered keys `[…, n, E]` are the largest tensor of the objective. They live for one product
    in the forward pass and are gathered again in the backward pass.

    Args:
        queries: `[…, E]`.
        keys: `[N, E]`.
        index: `[…, n]` rows of `keys`.

    Returns:
        `[…, n]`.
    """
    product: Tensor = _InnerProducts.apply(queries, keys, index)
    return product


class _InnerProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(queries, keys, index)
        return F.embedding(index, keys).mul_(queries.unsqueeze(-2)).sum(-1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        queries, keys, index = ctx.saved_tensors
        weights = gradient.flatten(0, -2)
        # The weighted sum of an anchor's keys, in one pass.
        to_queries = F.embedding_bag(
            index.flatten(0, -2), keys, mode="sum", per_sample_weights=weights
        )
        rows = (queries.unsqueeze(-2) * gradient.unsqueeze(-1)).flatten(0, -2)
        if rows.device.type == "cpu":
            to_keys = torch.zeros_like(keys).index_add_(0, index.flatten(), rows)
        else:
            # Sorts by row before adding, so that a GPU adds in the same order every time, which
            # `index_add` does not.
            to_keys = torch.ops.aten.embedding_dense_backward(
                rows, index.flatten(), len(keys), -1, False
            )
        return to_queries.view_as(queries), to_keys, None
