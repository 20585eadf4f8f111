from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cpc_core.model.layers import Conv, LayerNorm, causal_conv, run_checkpointed, run_in_chunks
from tests.helpers.configs import kept_for_backward


@pytest.mark.parametrize(("kernel", "stride"), [(10, 5), (4, 2), (3, 2), (1, 1), (3, 1), (7, 2)])
@pytest.mark.parametrize("padding", [(0, 0), (2, 3)])
@pytest.mark.parametrize("channels", [1, 3])
def test_conv_is_the_convolution_of_its_definition(
    kernel: int, stride: int, padding: tuple[int, int], channels: int
) -> None:
    conv = Conv(channels, 4, kernel, stride, padding).double()
    x = torch.randn(2, 31, channels, dtype=torch.float64, requires_grad=True)
    padded = F.pad(x.transpose(1, 2), padding)
    expected = F.conv1d(padded, conv.conv.weight.squeeze(2), conv.conv.bias, stride).transpose(1, 2)
    actual = conv(x)
    assert actual.shape == (2, (31 + sum(padding) - kernel) // stride + 1, 4)
    torch.testing.assert_close(actual, expected)
    weights = torch.randn_like(expected)
    wanted = torch.autograd.grad(
        (expected * weights).sum(), [x, conv.conv.weight], retain_graph=True
    )
    torch.testing.assert_close(
        torch.autograd.grad((actual * weights).sum(), [x, conv.conv.weight]), wanted
    )


def test_causal_conv_sees_no_future() -> None:
    conv = causal_conv(3, 3, 4)
    x = torch.randn(1, 12, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(conv(x)[0, 6].sum(), x)
    seen = gradient[0].abs().sum(-1) > 0
    assert seen.tolist() == [3 <= frame <= 6 for frame in range(12)]


def test_layer_norm_over_channels_is_pytorchs() -> None:
    ours, theirs = LayerNorm(5), nn.LayerNorm(5)
    with torch.no_grad():
        ours.weight.copy_(theirs.weight.uniform_())
        ours.bias.copy_(theirs.bias.normal_())
    x = torch.randn(2, 7, 5)
    torch.testing.assert_close(ours(x), theirs(x))


def test_layer_norm_over_time_too_shows_each_frame_the_others() -> None:
    x = torch.randn(2, 7, 5, dtype=torch.float64, requires_grad=True)
    normalised = LayerNorm(5, "channels_and_time").double()(x)
    torch.testing.assert_close(normalised.mean(dim=(1, 2)), torch.zeros(2, dtype=torch.float64))
    torch.testing.assert_close(
        normalised.var(dim=(1, 2), correction=0),
        torch.ones(2, dtype=torch.float64),
        rtol=1e-4,
        atol=0,
    )
    (gradient,) = torch.autograd.grad(normalised[0, 2, 0], x)
    assert (gradient[0].abs().sum(-1) > 0).all()
    assert not gradient[1].any()


@pytest.mark.parametrize("clips", [None, 1, 2, 5, 9])
def test_passes_give_the_same_outputs_and_gradients(clips: int | None) -> None:
    module = nn.Sequential(Conv(3, 4, 3), LayerNorm(4), nn.SiLU()).double()
    x = torch.randn(5, 20, 3, dtype=torch.float64, requires_grad=True)
    whole, parts = module(x), run_in_chunks(module, x, None, clips)
    torch.testing.assert_close(parts, whole)
    inputs = [x, *module.parameters()]
    expected = torch.autograd.grad(whole.square().sum(), inputs)
    torch.testing.assert_close(torch.autograd.grad(parts.square().sum(), inputs), expected)


def test_a_recomputed_module_keeps_its_input_alone() -> None:
    module = nn.Sequential(*(nn.Sequential(nn.Linear(8, 8), nn.SiLU()) for _ in range(6)))
    x = torch.randn(16, 8, requires_grad=True)

    assert (
        sum(kept_for_backward(lambda: run_checkpointed(module, x)))
        <= x.numel()
        < sum(kept_for_backward(lambda: module(x))) / 6
    )
