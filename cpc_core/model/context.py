"""Context networks g: summaries of the latents up to each frame (section 3.1)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cpc_core.config import ContextConfig
from cpc_core.model.layers import Conv, ConvLayer, causal_conv


class ContextNetwork(nn.Module):
    """Causal convolutions with ReLU, each layer's output added to, or replacing, its input.

    `dense` feeds layer n with (x_0 + … + x_{n-1}) / √n, x_0 being the latents: one running sum,
    however many layers there are, and a variance that does not grow with depth.

    Args:
        latent_channels: Channels of the latents.
        config: Kernels, width and connections.
    """

    def __init__(self, latent_channels: int, config: ContextConfig) -> None:
        super().__init__()
        width = config.width or latent_channels
        self.connections = config.connections
        self.entry = (
            nn.Identity() if width == latent_channels else nn.Linear(latent_channels, width)
        )
        self.layers = nn.ModuleList(
            ConvLayer(causal_conv(width, width, kernel), width, config.norm, F.relu)
            for kernel in config.kernels
        )

    def forward(self, latents: Tensor, frames: Tensor | None = None) -> Tensor:
        """Maps latents `[B, T, C]` to contexts `[B, T, C_c]`; context t depends on latents ≤ t.

        `frames` `[B]` are each clip's own; contexts behind them have no meaning.
        """
        x: Tensor = self.entry(latents)
        total = x
        for depth, layer in enumerate(self.layers, start=1):
            y = layer(x, frames)
            if self.connections == "dense":
                total = total + y
                x = total / math.sqrt(depth + 1)
            else:
                x = x + y if self.connections == "residual" else y
        return x


class ConcatenatedContextNetwork(nn.Module):
    """DenseNet (Huang et al., 2017): layer n reads the latents and all earlier outputs.

    The context is the output of the last layer. With a bottleneck, a 1×1 layer brings the
    concatenation down to `growth` channels before each convolution over time.

    Args:
        latent_channels: Channels of the latents.
        config: Kernels, width, growth and bottlenecks.
    """

    def __init__(self, latent_channels: int, config: ContextConfig) -> None:
        super().__init__()
        width, growth = config.width or latent_channels, config.channels(latent_channels)
        bottleneck = config.connections == "dense_concat_bottleneck"
        self.entry = (
            nn.Identity() if width == latent_channels else nn.Linear(latent_channels, width)
        )
        self.narrow, self.layers = nn.ModuleList(), nn.ModuleList()
        for depth, kernel in enumerate(config.kernels):
            read = width + depth * growth
            if bottleneck:
                self.narrow.append(ConvLayer(Conv(read, growth, 1), growth, config.norm, F.relu))
            conv = causal_conv(growth if bottleneck else read, growth, kernel)
            self.layers.append(ConvLayer(conv, growth, config.norm, F.relu))

    def forward(self, latents: Tensor, frames: Tensor | None = None) -> Tensor:
        """Maps latents `[B, T, C]` to contexts `[B, T, C_c]`; context t depends on latents ≤ t.

        `frames` `[B]` are each clip's own; contexts behind them have no meaning.
        """
        read: Tensor = self.entry(latents)
        y = read
        for depth, layer in enumerate(self.layers):
            y = layer(self.narrow[depth](read, frames) if self.narrow else read, frames)
            read = torch.cat((read, y), dim=-1)
        return y


def build_context(
    latent_channels: int, config: ContextConfig
) -> ContextNetwork | ConcatenatedContextNetwork:
    """Context network of one direction."""
    concatenates = config.connections.startswith("dense_concat")
    return (ConcatenatedContextNetwork if concatenates else ContextNetwork)(latent_channels, config)
