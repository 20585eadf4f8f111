"""Convolution of channels-last tensors, with quick gradients on a CPU.

A `[B, T, C]` tensor is, without moving a byte, the two-dimensional image `[B, C, 1, T]` in
PyTorch's channels-last format, for which convolution kernels exist that read it as it is. On a CPU
they run the encoder 1.8–3.6 times faster at width 64 than `Conv1d` with its transposes.

Two gradients of these kernels are slow, and computed otherwise (milliseconds on one thread of an
Intel Xeon, 4 clips of 10 s, width 64 / 256):

    audio of the first layer       27 / 94 → 5 / 31: blocks of one stride are its channels
    weights of a strided layer     126 / 1 862 → 13 / 197: matrix products over frames

In bfloat16 the latter saves no time, but the kernel (oneDNN's, on AMX) reads memory that nobody has
written: now and then its gradient was NaN. A kernel of m strides reads m blocks: frame t is
w_0 · block t + w_1 · block (t + 1) + ….
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

_weights_need_gradients: ContextVar[bool] = ContextVar("weights_need_gradients", default=True)


@contextmanager
def input_gradients_only() -> Iterator[None]:
    """Within it, backward passes compute no gradient of convolutions' weights.

    PyTorch tells its own operations which gradients are asked for, but not a function in Python.
    """
    before = _weights_need_gradients.set(False)
    try:
        yield
    finally:
        _weights_need_gradients.reset(before)


def convolve(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """Maps `[B, T, C]` to `[B, (T - k) // stride + 1, O]` by weights `[O, C, 1, k]`, biases `[O]`.

    A strided convolution on a CPU is differentiable once.
    """
    kernel = weight.shape[3]
    if x.shape[2] <= 2 and kernel % stride == 0:
        x, weight, stride = _blocks(x, kernel, stride), _taps_as_channels(weight, stride), 1
    image = x.transpose(1, 2).unsqueeze(2)
    if stride > 1 and x.device.type == "cpu" and not torch.compiler.is_compiling():
        if torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
            image, weight, bias = (each.to(dtype) for each in (image, weight, bias))
        convolved: Tensor = _WeightsByProducts.apply(image, weight, bias, stride)
    else:
        convolved = F.conv2d(image, weight, bias, (1, stride))
    return convolved.squeeze(2).transpose(1, 2)


def _blocks(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Whole blocks of `stride` frames that a kernel reads, `[B, blocks, stride · C]`."""
    clips, frames, channels = x.shape
    blocks = (frames - kernel) // stride + -(-kernel // stride)
    if blocks * stride > frames:  # The last block of a kernel that ends within one.
        x = F.pad(x, (0, 0, 0, blocks * stride - frames))
    return x[:, : blocks * stride].reshape(clips, blocks, stride * channels)


def _taps_as_channels(weight: Tensor, stride: int) -> Tensor:
    """Weights `[O, C, 1, k]` for blocks: `[O, stride · C, 1, k / stride]`."""
    taps: Tensor = weight.squeeze(2).unflatten(2, (-1, stride))
    return taps.permute(0, 3, 1, 2).flatten(1, 2).unsqueeze(2)


class _WeightsByProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(image, weight)
        ctx.stride = stride
        return F.conv2d(image, weight, bias, (1, stride))

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        image, weight = ctx.saved_tensors
        to_image = None
        if ctx.needs_input_grad[0]:
            # Not the biases', with which the kernel computes the weights', too. `conv2d_input` of
            # `torch.nn.grad` takes twice as long: it does not see that frames are channels-last.
            to_image, _, _ = torch.ops.aten.convolution_backward(
                gradient,
                image,
                weight,
                None,
                (1, ctx.stride),
                (0, 0),
                (1, 1),
                False,
                (0, 0),
                1,
                (True, False, False),
            )
        if not _weights_need_gradients.get():
            return to_image, None, None, None
        frames, x = (each.squeeze(2).transpose(1, 2) for each in (gradient, image))
        return (
            to_image,
            _weight_gradient(frames, x, weight, ctx.stride),
            gradient.sum((0, 2, 3)),
            None,
        )


def _weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Gradient of weights `[O, C, 1, k]` from those of the frames, `[B, n, O]`."""
    outputs, channels, _, kernel = weight.shape
    blocks = _blocks(x, kernel, stride)
    parts = blocks.shape[1] - gradient.shape[1] + 1
    # Clips in a row: zeros at their ends, where a part would reach into the next one.
    rows = F.pad(gradient, (0, 0, 0, parts - 1)).flatten(0, 1)
    read = blocks.flatten(0, 1)
    products = [rows[: len(rows) - part].t() @ read[part:] for part in range(parts)]
    taps = torch.stack(products, 1).view(outputs, -1, channels)[:, :kernel]
    return taps.permute(0, 2, 1).unsqueeze(2)
