"""Convolutions on channels-last tensors `[B, T, C]`, where LayerNorm over channels needs no transpose."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FrameConv(nn.Module):
    """Strided convolution with valid padding, computed as one matrix product per stride that the kernel spans.

    The input is read as frames of `stride` samples, the rows of a matrix. A kernel of n strides
    is then the sum of n products, each shifted by one frame.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Samples that an output sees, a multiple of `stride`.
        stride: Samples between outputs.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.stride, self.shifts = stride, kernel // stride
        bound = 1 / math.sqrt(in_channels * kernel)
        self.weight = nn.Parameter(torch.empty(out_channels, kernel, in_channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(out_channels).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Maps `[B, T, C_in]` to `[B, (T - kernel) // stride + 1, C_out]`."""
        batch, samples, channels = x.shape
        frames = samples // self.stride
        framed = x[:, : frames * self.stride].reshape(batch, frames, self.stride * channels)
        taps = self.weight.view(len(self.weight), self.shifts, self.stride * channels).unbind(1)
        last = frames - self.shifts + 1
        y = F.linear(framed[:, :last], taps[0], self.bias)
        for shift, tap in enumerate(taps[1:], start=1):
            y = y + F.linear(framed[:, shift : shift + last], tap)
        return y


class CausalConv(nn.Module):
    """Stride-1 convolution whose output at frame t sees frames t - kernel + 1 … t, on channels-last tensors.

    Args:
        channels: Channels of input and output.
        kernel: Frames that an output sees.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, kernel)
        self.reach = kernel - 1

    def forward(self, x: Tensor) -> Tensor:
        """Maps `[B, T, C]` to `[B, T, C]`."""
        return self.conv(F.pad(x.transpose(1, 2), (self.reach, 0))).transpose(1, 2)  # type: ignore[no-any-return]
