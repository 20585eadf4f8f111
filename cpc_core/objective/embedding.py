"""Embeddings whose inner product is the similarity of a prediction and a latent.

Embedding first means that each latent is projected and normalised once, however often it serves as
a positive or a negative. Embedded vectors are float32 even under autocast: at τ = 0.05 a bfloat16
cosine would be off by up to a tenth of a logit.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Dot(nn.Module):
    """sim(u, v) = uᵀv: the vectors themselves."""

    def forward(self, x: Tensor) -> Tensor:
        """`[..., C]` in float32 or better."""
        return _precise(x)


class Cosine(nn.Module):
    """sim(u, v) = uᵀv / (‖u‖ ‖v‖): the vectors at length 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalises the last dimension of `[..., C]`."""
        return normalise(_precise(x))


class NonlinearCosine(nn.Module):
    """Eq. 2: the cosine after p, an MLP with one hidden layer that both sides share.

    Args:
        channels: Dimensions of predictions and latents.
        hidden: Units of the hidden layer of p.
        output: Dimensions of p's output.
    """

    def __init__(self, channels: int, hidden: int, output: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(channels, hidden)
        self.output = nn.Linear(hidden, output)

    def project(self, x: Tensor) -> Tensor:
        """p(x), `[..., C]` to `[..., P]`."""
        return self.output(F.relu(self.hidden(x)))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Maps `[..., C]` to vectors `[..., P]` of length 1."""
        return normalise(_precise(self.project(x)))


def _precise(x: Tensor) -> Tensor:
    return x.float() if x.dtype == torch.bfloat16 else x


_SHORTEST = 1e-12
"""Length that a shorter vector is divided by, as in `torch.nn.functional.normalize`.

Such a vector, which digital silence can have, has no direction to learn: its gradient is zero,
where the quotient's would be 10¹² times that of the direction.
"""


def normalise(x: Tensor) -> Tensor:
    """Divides each vector of `[…, E]` by its length."""
    directions: Tensor = _Normalise.apply(x)
    return directions


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        inverse = length.clamp_min(_SHORTEST).reciprocal_()
        directions: Tensor = x * inverse
        ctx.save_for_backward(directions, inverse.masked_fill_(length < _SHORTEST, 0))
        return directions

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Drops the gradient along the vector, which changes its length alone."""
        directions, inverse = ctx.saved_tensors
        along = (gradient * directions).sum(-1, keepdim=True)
        across: Tensor = torch.addcmul(gradient, directions, along, value=-1).mul_(inverse)
        return across
