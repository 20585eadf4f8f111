"""Layers on channels-last tensors `[B, T, C]`, where LayerNorm over channels needs no transpose."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cpc_core.config import Norm
from cpc_core.model.convolution import convolve
from cpc_core.objective.lengths import keep_own, mean_own


class Conv(nn.Module):
    """Convolution over time of `[B, T, C]`, optionally padded with zeros.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Frames of the input in an output.
        stride: Frames between outputs.
        padding: Zero frames before and after the input.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: int = 1,
        padding: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = kernel, stride, padding
        self.conv = nn.Conv2d(in_channels, out_channels, (1, kernel), (1, stride)).to(
            memory_format=torch.channels_last
        )

    def frames(self, frames: Tensor) -> Tensor:
        """Frames of the output for `frames` `[B]` of the input."""
        kept = frames + (sum(self.padding) - self.kernel)
        return (kept.div(self.stride, rounding_mode="floor") + 1).clamp_min(0)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `[B, T, C_in]` to `[B, (T + sum(padding) - kernel) // stride + 1, C_out]`."""
        return self.convolve(x, self.conv.weight)

    def convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        """Convolution by other weights `[C_out, C_in, 1, kernel]`, with padding and biases."""
        if any(self.padding):
            x = F.pad(x, (0, 0, *self.padding))
        assert self.conv.bias is not None
        return convolve(x, weight, self.conv.bias, self.stride)


def causal_conv(in_channels: int, out_channels: int, kernel: int) -> Conv:
    """Stride-1 convolution of frames t - kernel + 1 … t to the output at frame t."""
    return Conv(in_channels, out_channels, kernel, padding=(kernel - 1, 0))


class LayerNorm(nn.Module):
    """Normalisation of `[B, T, C]` over channels, or channels and time, with gains and biases.

    The output has the input's precision under autocast, which would make it float32; statistics
    are float32 inside.

    Args:
        channels: C.
        over: Axes to average over; see `Norm`.
    """

    def __init__(self, channels: int, over: Norm = "channels") -> None:
        super().__init__()
        self.over = over
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, frames: Tensor | None = None) -> Tensor:
        """Maps `[B, T, C]` to `[B, T, C]`, by statistics over each clip's `frames` `[B]`."""
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        with torch.autocast(x.device.type, enabled=False):
            if self.over == "channels":
                return F.layer_norm(x, x.shape[2:], weight, bias)
            if frames is None:
                return F.layer_norm(x, x.shape[1:]) * weight + bias
            return _norm_over_own(x, frames) * weight + bias


def _norm_over_own(x: Tensor, frames: Tensor) -> Tensor:
    """`F.layer_norm` of each clip's first `frames` `[B]` of `[B, T, C]` over channels and time."""
    precise = x if x.dtype == torch.float64 else x.float()
    mean = mean_own(precise.mean(2), frames).view(-1, 1, 1)
    variance = mean_own((precise - mean).square().mean(2), frames).view(-1, 1, 1)
    return ((precise - mean) * (variance + 1e-5).rsqrt()).to(x.dtype)


class ConvLayer(nn.Module):
    """Layer of the encoder and the context networks: conv → LayerNorm → activation.

    Args:
        conv: The convolution.
        channels: Channels of its output.
        norm: Axes to average over; see `Norm`.
        activation: Applied to each number.
    """

    def __init__(
        self, conv: Conv, channels: int, norm: Norm, activation: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.conv, self.activation = conv, activation
        self.norm = LayerNorm(channels, norm)

    def forward(self, x: Tensor, frames: Tensor | None = None) -> Tensor:
        """Maps `[B, T, C_in]` to `[B, T', C_out]`.

        Args:
            x: The input, zero behind each clip's end.
            frames: Own frames of the output, `[B]`, which is zero behind them: the next layer's
                zero padding begins where the clip ends. None where all clips are full.
        """
        return keep_own(self.activation(self.norm(self.conv(x), frames)), frames)


Runner = Callable[[nn.Module, Tensor, Tensor | None], Tensor]
"""Way to apply a module to clips and, where some are padded, their lengths: `run` or
`run_checkpointed`.
"""


def run(module: nn.Module, x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Applies `module`, keeping all that its backward pass needs."""
    return module(*_inputs(x, lengths))  # type: ignore[no-any-return]


def run_checkpointed(module: nn.Module, x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Applies `module`, keeping its input; the backward pass runs it again (Chen et al., 2016)."""
    inputs = _inputs(x, lengths)
    return checkpoint(module, *inputs, use_reentrant=False, preserve_rng_state=False)  # type: ignore[no-any-return]


def run_in_chunks(
    module: nn.Module, x: Tensor, lengths: Tensor | None, clips: int | None
) -> Tensor:
    """Applies `module` to `[B, …]`, keeping activations of at most `clips` clips; None: of all."""
    if clips is None or len(x) <= clips:
        return run(module, x, lengths)
    parts = zip(*(each.split(clips) for each in _inputs(x, lengths)), strict=True)
    return torch.cat([run_checkpointed(module, *part) for part in parts])


def _inputs(x: Tensor, lengths: Tensor | None) -> tuple[Tensor, ...]:
    return (x,) if lengths is None else (x, lengths)


def draw_plain(part: nn.Module) -> None:
    """Draws the weights of convolutions and linear maps anew, as Sonnet 1 does; biases are 0.

    They are normal with variance 1 / fan-in, and drawn again beyond two deviations.
    """
    for module in part.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            deviation = module.weight[0].numel() ** -0.5
            nn.init.trunc_normal_(module.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
