from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from cpc_core.layers import CausalConv, FrameConv


@pytest.mark.parametrize(("kernel", "stride"), [(10, 5), (4, 2), (6, 2), (1, 1), (3, 1)])
@pytest.mark.parametrize("samples", [30, 31, 37])
def test_frame_conv_is_a_strided_convolution(kernel: int, stride: int, samples: int) -> None:
    conv = FrameConv(3, 4, kernel, stride).double()
    x = torch.randn(2, samples, 3, dtype=torch.float64, requires_grad=True)
    expected = F.conv1d(x.transpose(1, 2), conv.weight.transpose(1, 2), conv.bias, stride).transpose(1, 2)
    actual = conv(x)
    assert actual.shape[1] == (samples - kernel) // stride + 1
    torch.testing.assert_close(actual, expected)
    weights = torch.randn_like(expected)
    wanted = torch.autograd.grad((expected * weights).sum(), [x, conv.weight], retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad((actual * weights).sum(), [x, conv.weight]), wanted)


def test_causal_conv_sees_no_future() -> None:
    conv = CausalConv(3, 4)
    x = torch.randn(1, 12, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(conv(x)[0, 6].sum(), x)
    seen = gradient[0].abs().sum(-1) > 0
    assert seen.tolist() == [3 <= frame <= 6 for frame in range(12)]
