"""The encoder f: raw audio to latents z, 50 a second (section 3.1)."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from cpc_core.config import EncoderConfig
from cpc_core.layers import FrameConv


class EncoderLayer(nn.Module):
    """conv → LayerNorm over channels → Swish.

    Normalising over channels only keeps each frame to itself: statistics over time would show every latent the future.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = FrameConv(in_channels, out_channels, kernel, stride)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `[B, T, C_in]` to `[B, T', C_out]`."""
        return F.silu(self.norm(self.conv(x)))


class Encoder(nn.Module):
    """The stack of strided convolutions; the paper's preset sees 955 samples every 320."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        channels = (1, *(config.width for _ in config.kernels))
        self.layers = nn.ModuleList(
            EncoderLayer(narrow, wide, kernel, stride)
            for (narrow, wide), kernel, stride in zip(pairwise(channels), config.kernels, config.strides, strict=True)
        )

    def forward(self, audio: Tensor) -> Tensor:
        """Maps audio `[B, L]` in [-1, 1] to latents `[B, T, C]`."""
        x = audio.unsqueeze(-1)
        for layer in self.layers:
            x = layer(x)
        return x
