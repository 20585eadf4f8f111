"""How alike a prediction and a latent are. Every measure is an inner product of embedded vectors.

Embedding first means that each latent is projected and normalised once, however often it serves as a positive or a negative.
Embedded vectors are float32 even under autocast: at τ = 0.05 a bfloat16 cosine would be off by up to a tenth of a logit.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cpc_core.config import CosineSimilarity, DotSimilarity, NonlinearCosineSimilarity
from cpc_core.unit import unit


class Dot(nn.Module):
    """sim(u, v) = uᵀv: the vectors themselves."""

    def forward(self, x: Tensor) -> Tensor:
        """`[..., C]` in float32 or better."""
        return _precise(x)


class Cosine(nn.Module):
    """sim(u, v) = uᵀv / (‖u‖ ‖v‖): the vectors at length 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalises the last dimension of `[..., C]`."""
        return unit(_precise(x))


class NonlinearCosine(nn.Module):
    """Eq. 2: the cosine after p, an MLP with one hidden layer that both sides share.

    Args:
        channels: Dimensions of predictions and latents.
        config: Sizes of p.
    """

    def __init__(self, channels: int, config: NonlinearCosineSimilarity) -> None:
        super().__init__()
        self.hidden = nn.Linear(channels, config.hidden)
        self.output = nn.Linear(config.hidden, config.output or config.hidden)

    def project(self, x: Tensor) -> Tensor:
        """p(x), `[..., C]` to `[..., P]`."""
        return self.output(F.relu(self.hidden(x)))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Maps `[..., C]` to unit vectors `[..., P]`."""
        return unit(_precise(self.project(x)))


def build_similarity(channels: int, config: DotSimilarity | CosineSimilarity | NonlinearCosineSimilarity) -> Dot | Cosine | NonlinearCosine:
    """The configured measure for vectors of `channels` dimensions."""
    match config:
        case DotSimilarity():
            return Dot()
        case CosineSimilarity():
            return Cosine()
        case NonlinearCosineSimilarity():
            return NonlinearCosine(channels, config)


def _precise(x: Tensor) -> Tensor:
    return x.float() if x.dtype == torch.bfloat16 else x
