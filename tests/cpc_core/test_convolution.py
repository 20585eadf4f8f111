"""Convolution of channels-last tensors, and its gradients by products, against PyTorch's own."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from cpc_core.model.convolution import convolve, input_gradients_only


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("kernel", "stride"), [(10, 5), (8, 4), (4, 2), (6, 2), (2, 2), (5, 2), (8, 1)]
)
@pytest.mark.parametrize("rest", [0, 1])
def test_output_and_gradients_are_those_of_conv1d(
    channels: int, kernel: int, stride: int, rest: int
) -> None:
    """`rest` samples are read by no output where the stride is longer."""
    generator = torch.Generator().manual_seed(0)
    shapes = (2, kernel + 4 * stride + rest, channels), (5, channels, 1, kernel), (5,)
    given = [
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in shapes
    ]
    x, weight, bias = given
    expected = F.conv1d(x.transpose(1, 2), weight.squeeze(2), bias, stride).transpose(1, 2)
    output = convolve(x, weight, bias, stride)
    torch.testing.assert_close(output, expected)
    direction = torch.randn(output.shape, generator=generator, dtype=torch.float64)
    for chosen in ([0], [1, 2], [0, 1, 2]):
        wanted = [given[place] for place in chosen]
        gradients = torch.autograd.grad(output, wanted, direction, retain_graph=True)
        references = torch.autograd.grad(expected, wanted, direction, retain_graph=True)
        for gradient, reference in zip(gradients, references, strict=True):
            torch.testing.assert_close(gradient, reference)


def test_an_attack_computes_no_gradient_of_weights() -> None:
    x, weight = (torch.randn(shape).requires_grad_() for shape in ((2, 24, 3), (5, 3, 1, 4)))
    convolved = convolve(x, weight, torch.zeros(5), 2).square().sum()
    expected = torch.autograd.grad(convolved, (x, weight), retain_graph=True)
    with input_gradients_only():
        given = torch.autograd.grad(convolved, (x, weight), retain_graph=True, allow_unused=True)
    assert [gradient is None for gradient in given] == [False, True]
    torch.testing.assert_close(given[0], expected[0])
    assert torch.autograd.grad(convolved, weight)[0].shape == weight.shape


@torch.no_grad()
def _leave_nans() -> None:
    """Leaves memory behind that whoever asks for some next may get."""
    for power in range(10, 23):
        for dtype in (torch.float32, torch.bfloat16):
            given = [torch.full((2**power,), math.nan, dtype=dtype) for _ in range(4)]
            del given


@pytest.mark.parametrize("batch", [4, 8, 16])
@pytest.mark.parametrize(("kernel", "stride"), [(8, 4), (4, 2), (8, 1), (5, 2)])
def test_bfloat16_gradients_read_no_memory_that_was_not_written(
    batch: int, kernel: int, stride: int
) -> None:
    """OneDNN's kernel for the weights of a strided layer does."""
    for frames in (31, 48, 399, 798, 3199):
        _leave_nans()
        x, weight = torch.randn(batch, frames, 32), torch.randn(32, 32, 1, kernel) / 16
        bias = torch.zeros(32)
        given = [each.requires_grad_() for each in (x, weight, bias)]
        expected = torch.autograd.grad(convolve(x, weight, bias, stride).square().mean(), given)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = convolve(x, weight, bias, stride).square().mean()
        _leave_nans()
        for gradient, reference in zip(torch.autograd.grad(loss, given), expected, strict=True):
            assert gradient.dtype == torch.float32
            rounding = 0.02 * float(reference.abs().max())
            torch.testing.assert_close(gradient, reference, rtol=0.05, atol=rounding)
