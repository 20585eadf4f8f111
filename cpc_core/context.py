"""The context network g: latents up to a frame, summarised (section 3.1)."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from cpc_core.config import ContextConfig
from cpc_core.layers import CausalConv


class ContextLayer(nn.Module):
    """Causal conv → LayerNorm over channels → ReLU, the order of the encoder's layers."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = CausalConv(channels, kernel)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `[B, T, C]` to `[B, T, C]`."""
        return F.relu(self.norm(self.conv(x)))


class ContextNetwork(nn.Module):
    """Twelve causal convolutions that see 79 latents, 1.62 s.

    With `dense` connections layer n receives (x_0 + … + x_{n-1}) / √n, x_0 being the latents: one running sum, however
    many layers there are, and a variance that does not grow with depth.

    Args:
        latent_channels: Channels of the latents.
        config: Kernels, width and connections.
    """

    def __init__(self, latent_channels: int, config: ContextConfig) -> None:
        super().__init__()
        width = config.width or latent_channels
        self.connections = config.connections
        self.entry = nn.Identity() if width == latent_channels else nn.Linear(latent_channels, width)
        self.layers = nn.ModuleList(ContextLayer(width, kernel) for kernel in config.kernels)

    def forward(self, latents: Tensor) -> Tensor:
        """Maps latents `[B, T, C]` to contexts `[B, T, C_c]`; context t depends on latents ≤ t only."""
        x: Tensor = self.entry(latents)
        total = x
        for depth, layer in enumerate(self.layers, start=1):
            y = layer(x)
            if self.connections == "dense":
                total = total + y
                x = total / math.sqrt(depth + 1)
            else:
                x = x + y if self.connections == "residual" else y
        return x
