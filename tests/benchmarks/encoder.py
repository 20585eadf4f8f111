"""The encoder as it is, against the same layers as `Conv1d` with transposes around LayerNorm: forward and backward."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from cpc_core.config import EncoderConfig
from cpc_core.encoder import Encoder, EncoderLayer

CLIPS, SAMPLES, REPEATS = 16, 16_000, 15


def straightforward(encoder: Encoder, audio: Tensor) -> Tensor:
    """The same function of the same weights, channels first."""
    x = audio.unsqueeze(1)
    for layer in encoder.layers:
        assert isinstance(layer, EncoderLayer)
        x = F.conv1d(x, layer.conv.weight.transpose(1, 2), layer.conv.bias, layer.conv.stride)
        x = F.silu(layer.norm(x.transpose(1, 2))).transpose(1, 2)
    return x.transpose(1, 2)


def seconds(run: Callable[[], Tensor]) -> float:
    """Time of one forward and backward pass."""
    begin = time.perf_counter()
    run().square().mean().backward()
    return time.perf_counter() - begin


def main(widths: list[int]) -> None:
    """Prints the median times and their ratio for each width, on one thread."""
    torch.set_num_threads(1)
    for width in widths:
        encoder = Encoder(EncoderConfig(width=width))
        audio = torch.randn(CLIPS, SAMPLES) * 0.1
        torch.testing.assert_close(encoder(audio), straightforward(encoder, audio), rtol=1e-3, atol=1e-4)
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(REPEATS):
            ours.append(seconds(lambda: encoder(audio)))  # noqa: B023
            theirs.append(seconds(lambda: straightforward(encoder, audio)))  # noqa: B023
        mine, other = statistics.median(ours), statistics.median(theirs)
        print(f"width {width}: ours {mine * 1e3:.0f} ms, Conv1d with transposes {other * 1e3:.0f} ms, ratio {other / mine:.2f}")


if __name__ == "__main__":
    main([int(width) for width in sys.argv[1:]] or [32, 64])
