"""The proposal distributions p_n (section 2.1): from where the vectors to tell the positive from are drawn.

    pool         clip 0: z_0 … z_{T-1} │ clip 1: z_0 … z_{T-1} │ …      flat position = clip · T + frame
    local        the own clip without the positive
    cross        the whole pool without the positive
    exclusive    the other clips of the pool

Each distribution numbers its candidates without a gap and then steps over what is forbidden, so that a draw is uniform
and the positive is never its own negative.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from cpc_core.draws import Key, uniform_integers
from cpc_core.errors import ConfigError

Sampling = Literal["local", "cross", "exclusive"]


def candidates(sampling: Sampling, clips: int, frames: int) -> int:
    """How many vectors one negative is drawn from.

    Args:
        sampling: The distribution.
        clips: Clips in the pool.
        frames: Latents of a clip.

    Raises:
        ConfigError: There is none to draw.
    """
    count = {"local": frames - 1, "cross": clips * frames - 1, "exclusive": (clips - 1) * frames}[sampling]
    if count < 1:
        raise ConfigError(
            f"{sampling} sampling has no negative among {clips} clip(s) of {frames} frame(s): use a larger batch or longer clips"
        )
    return count


def draw_negatives(key: Key, clip_ids: Tensor, sampling: Sampling, frames: int, steps: range, count: int) -> Tensor:
    """Draws the negatives of every direction, predicted step and anchor, independently.

    Args:
        key: Which family of draws; the clip ids complete it, so that no other clip of the batch changes a draw's number.
        clip_ids: `[B]`, the clips of the pool in order.
        sampling: The distribution.
        frames: T, latents of a clip.
        steps: The predicted steps k.
        count: n, negatives per anchor.

    Returns:
        Flat positions in the pool, `[2, K, B, T, n]`. Directions are past → future, then future → past with time
        reversed. Anchors beyond T - k have no positive and are not to be used.
    """
    clips, tasks = len(clip_ids), len(steps)
    high = candidates(sampling, clips, frames)
    drawn = uniform_integers(key, clip_ids, (2, tasks, frames, count), high).permute(1, 2, 0, 3, 4)
    start = torch.arange(clips, device=clip_ids.device).mul(frames).view(1, 1, clips, 1, 1)
    if sampling == "exclusive":
        return drawn + (drawn >= start) * frames
    frame = torch.arange(frames, device=clip_ids.device).view(1, 1, 1, frames, 1)
    positive = frame + torch.tensor(steps, device=clip_ids.device).view(1, tasks, 1, 1, 1)
    if sampling == "local":
        return start + drawn + (drawn >= positive)
    return drawn + (drawn >= start + positive)
