"""Proposal distributions p_n of the negatives (section 2.1).

    clips        c_0: z_0 … z_{T-1} │ c_1: z_0 … z_{T-1} │ c_2: …
                 (flat position = clip · T + frame)
    pools        [ c_0 … c_{P-1} ][ c_P … c_{2P-1} ] …
    local        the own clip without the positive
    cross        the own pool without the positive
    exclusive    the other clips of the own pool

Each distribution numbers its candidates without a gap and then steps over what is forbidden, so
that a draw is uniform and the positive is never its own negative. Draws belong to a target frame:
the anchor k frames before classifies that frame against them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from cpc_core.config import NegativesConfig
from cpc_core.errors import ConfigError
from cpc_core.stateless_random import Key, uniform_integers

Sampling = Literal["local", "cross", "exclusive"]


@dataclass(frozen=True)
class Pool:
    """Pools of `clips` clips, into which the embedded clips are cut.

    Attributes:
        clips: Number of clips of each pool.
        first: Position of this worker's first clip among the embedded ones.
    """

    clips: int
    first: int = 0


def candidates(sampling: Sampling, clips: int, frames: int) -> int:
    """Number of vectors that one negative is drawn from.

    Args:
        sampling: The distribution.
        clips: Clips in the pool.
        frames: Latents of a clip.

    Raises:
        ConfigError: There is no candidate.
    """
    count = {"local": frames - 1, "cross": clips * frames - 1, "exclusive": (clips - 1) * frames}[
        sampling
    ]
    if count < 1:
        raise ConfigError(
            f"{sampling} sampling has no negative among {clips} clip(s) of {frames} frame(s): "
            "use a larger batch or longer clips"
        )
    return count


def draw_negatives(
    key: Key, clip_ids: Tensor, pool: Pool, frames: int, tasks: int, config: NegativesConfig
) -> Tensor:
    """Draws the negatives of every direction, task and target, independently.

    Args:
        key: Family of draws; the clip ids complete it, so that a clip's draws do not depend on
            the other clips of the batch.
        clip_ids: `[B]`, this worker's clips in order.
        pool: Pools of the negatives.
        frames: T, latents of a clip.
        tasks: K, predicted steps.
        config: Sampling, count, and sharing of draws between the tasks.

    Returns:
        Flat positions among the embedded clips, `[2, K, B, T, n]`: row t is for the positive z_t.
        Directions are past → future, then future → past with time reversed.

    Raises:
        ConfigError: There is no candidate.
    """
    high = candidates(config.sampling, pool.clips, frames)
    drawn_tasks = 1 if config.share_over_k else tasks
    drawn = uniform_integers(key, clip_ids, (2, drawn_tasks, frames, config.count), high).permute(
        1, 2, 0, 3, 4
    )
    clip = pool.first + torch.arange(len(clip_ids), device=clip_ids.device).view(1, 1, -1, 1, 1)
    start = clip % pool.clips * frames
    positive = torch.arange(frames, device=clip_ids.device).view(1, 1, 1, frames, 1)
    match config.sampling:
        case "exclusive":
            drawn = drawn + (drawn >= start) * frames
        case "local":
            drawn = start + drawn + (drawn >= positive)
        case "cross":
            drawn = drawn + (drawn >= start + positive)
    drawn = clip // pool.clips * pool.clips * frames + drawn
    return drawn.expand(-1, tasks, -1, -1, -1)
