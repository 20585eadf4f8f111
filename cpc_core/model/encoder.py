"""Encoder f: raw audio to latents z, 50 a second (section 3.1)."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cpc_core.config import EncoderConfig
from cpc_core.geometry import same_padding
from cpc_core.model.layers import Conv, ConvLayer, Runner, run
from cpc_core.objective.lengths import keep_own


class AudioLayer(ConvLayer):
    """First layer: its convolution and norm are float32 under autocast too.

    bfloat16 keeps eight bits of a sample, in which a perturbation at −75 dB is lost.
    """

    def forward(self, x: Tensor, frames: Tensor | None = None) -> Tensor:
        """Maps audio `[B, L, 1]` to `[B, T, C]`, in the precision of autocast."""
        device = x.device.type
        with torch.autocast(device, enabled=False):
            normed: Tensor = self.norm(self.conv(x), frames)
        if torch.is_autocast_enabled(device):
            normed = normed.to(torch.get_autocast_dtype(device))
        return keep_own(self.activation(normed), frames)


class Encoder(nn.Module):
    """Strided convolutions with Swish; a latent of the paper's covers 955 samples every 320.

    Args:
        config: Layers, width and norm.
        run: Way to apply a layer.
    """

    def __init__(self, config: EncoderConfig, run: Runner = run) -> None:
        super().__init__()
        self.run = run
        self.layers = nn.ModuleList()
        channels = (1, *(config.width for _ in config.kernels))
        for (narrow, wide), kernel, stride in zip(
            pairwise(channels), config.kernels, config.strides, strict=True
        ):
            padding = same_padding(kernel, stride) if config.padding == "same" else (0, 0)
            conv = Conv(narrow, wide, kernel, stride, padding)
            kind = ConvLayer if self.layers else AudioLayer
            self.layers.append(kind(conv, wide, config.norm, F.silu))

    def forward(self, audio: Tensor, samples: Tensor | None = None) -> Tensor:
        """Maps audio `[B, L]` in [-1, 1] to latents `[B, T, C]`.

        The first latents of a clip of `samples` `[B]` are those of the clip alone, and zeros
        follow; None: all clips are full.
        """
        x, own = keep_own(audio, samples).unsqueeze(-1), samples
        for layer in self.layers:
            assert isinstance(layer, ConvLayer)
            if own is not None:
                own = layer.conv.frames(own)
            x = self.run(layer, x, own)
        return x
