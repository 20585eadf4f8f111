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


class AudioConv(Conv):
    """First convolution, which reads audio to sixteen bits where autocast has bfloat16's eight.

    In eight bits a perturbation at −75 dB is lost. Each sample is the sum of two numbers that
    share its weights.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Maps audio `[B, L, 1]` in float32 to `[B, T, C]`, in the precision of autocast."""
        device = x.device.type
        weight = self.conv.weight
        if torch.is_autocast_enabled(device):
            coarse = x.to(torch.get_autocast_dtype(device))
            # Its gradient is that of the sample already.
            fine = (x - coarse).detach().to(coarse.dtype)
            x, weight = torch.cat((coarse, fine), dim=-1), torch.cat((weight, weight), dim=1)
        return self.convolve(x, weight)


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
            kind = Conv if self.layers else AudioConv
            conv = kind(narrow, wide, kernel, stride, padding)
            self.layers.append(ConvLayer(conv, wide, config.norm, F.silu))

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
