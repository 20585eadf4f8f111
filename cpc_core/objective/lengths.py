"""Clips of different length in one batch: the samples and frames of each that are its own.

A clip that is shorter than its batch is padded behind its end. Its first frames, those whose
patches end within it, are what the clip alone has; nothing is computed from those behind.

    samples   own ················│ padding
    latents   z_0 z_1 … z_{n-1}   │ 0 0 0
    reversed  z_{n-1} … z_1 z_0   │ 0 0 0
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cpc_core.config import CpcConfig
from cpc_core.geometry import Geometry


@dataclass(frozen=True, eq=False)
class Lengths:
    """Own samples and frames of a worker's clips; all None, as in `FULL`, where none is padded.

    Attributes:
        samples: Own samples, `[B]` int64.
        frames: Own latents that take part in the objective, `[B]` int64; see `usable_frames`.
        gathered: The same of the clips that negatives index, `[W·B]` or `[B]`.
        pairs: Divisor of the objective's sums over pairs of an anchor and its target, for each
            predicted step, `[K]` float64.
    """

    samples: Tensor | None = None
    frames: Tensor | None = None
    gathered: Tensor | None = None
    pairs: Tensor | None = None

    def to(self, device: torch.device) -> Lengths:
        """Copy on `device`."""
        return Lengths(*(own if own is None else own.to(device) for own in vars(self).values()))

    def anchors(self, latents: Tensor, steps: range) -> tuple[Tensor, Tensor]:
        """Anchors whose target `steps` frames on is of their clip, and the divisors of their sums.

        Returns:
            `[B, T, K]` of bool for latents `[B, T, C]`, and `[K]` float64.
        """
        clips, frames, _ = latents.shape
        reach = torch.tensor(steps, device=latents.device)
        if self.frames is None or self.pairs is None:
            own = (frames - reach).clamp_min(0)
            ends, pairs = own.expand(clips, -1), (clips * own).clamp_min(1).double()
        else:
            ends, pairs = self.frames.unsqueeze(1) - reach, self.pairs
        anchor = torch.arange(frames, device=latents.device)
        return anchor.view(-1, 1) < ends.unsqueeze(1), pairs


FULL = Lengths()
"""Lengths of clips that are all full."""


def own_frames(geometry: Geometry, samples: Tensor) -> Tensor:
    """Frames of clips of `samples` `[N]`, `[N]`."""
    return samples.new_tensor([geometry.frames(own) for own in samples.tolist()])


def usable_frames(config: CpcConfig, samples: Tensor) -> Tensor:
    """Frames that take part in the objective, `[N]`, of clips of `samples` `[N]`, in whole pools.

    All own frames of a clip, and none of one that is too short for the first prediction, or to
    which `exclusive` sampling leaves no negative.
    """
    frames = own_frames(config.geometry, samples)
    frames[frames <= config.objective.first_step] = 0
    if config.negatives.sampling == "exclusive":
        pools = frames.view(-1, config.pool_clips)
        pools[pools == pools.sum(1, keepdim=True)] = 0
    return frames


def pairs(config: CpcConfig, frames: Tensor) -> Tensor:
    """Pairs of an anchor and a target in clips of `frames` `[N]`, at least 1, `[K]` float64."""
    counts = [(frames - step).clamp_min(0).sum() for step in config.objective.steps]
    return torch.stack(counts).clamp_min(1).double()


def own_mask(lengths: Tensor, size: int) -> Tensor:
    """True at the first `lengths` `[B]` of `size` positions, `[B, size]`."""
    return torch.arange(size, device=lengths.device) < lengths.unsqueeze(1)


def keep_own(x: Tensor, lengths: Tensor | None) -> Tensor:
    """`x` `[B, T, …]` with zeros behind each clip's end; None: all clips are full."""
    if lengths is None:
        return x
    mask = own_mask(lengths, x.shape[1])
    return x.masked_fill(~mask.view(*mask.shape, *(1,) * (x.ndim - 2)), 0)


def reverse(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Frames of `x` `[B, T, C]` in reversed time, within each clip's length."""
    if lengths is None:
        return x.flip(1)
    frame = torch.arange(x.shape[1], device=x.device)
    mirrored = lengths.unsqueeze(1) - 1 - frame
    source = torch.where(mirrored >= 0, mirrored, frame)
    return x.gather(1, source.unsqueeze(2).expand_as(x))


def mean_own(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Mean of `[B, T, …]` over each clip's own positions, `[B, …]`; 0 of a clip that has none."""
    if lengths is None:
        return x.mean(1)
    count = lengths.clamp_min(1).view(-1, *(1,) * (x.ndim - 2))
    return keep_own(x, lengths).sum(1) / count
