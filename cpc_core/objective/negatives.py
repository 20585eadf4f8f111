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

Frames behind the end of a padded clip are no candidates: the others are numbered without them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from cpc_core.config import NegativesConfig
from cpc_core.errors import ConfigError
from cpc_core.objective.lengths import own_mask
from cpc_core.stateless_random import Key, uniform_integers

Sampling = Literal["local", "cross", "exclusive"]


@dataclass(frozen=True)
class Pool:
    """Pools of `clips` clips, into which the embedded clips are cut.

    Attributes:
        clips: Number of clips of each pool.
        first: Position of this worker's first clip among the embedded ones.
        frames: Own frames of the embedded clips, in whole pools; None where all clips are full.
    """

    clips: int
    first: int = 0
    frames: Tensor | None = None


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
            the other clips of the batch, nor those of a frame on the frames behind it.
        clip_ids: `[B]`, this worker's clips in order.
        pool: Pools of the negatives.
        frames: T, latents of a clip.
        tasks: K, predicted steps.
        config: Sampling, count, and sharing of draws between the tasks.

    Returns:
        Flat positions among the embedded clips, `[2, K, B, T, n]`: row t is for the positive z_t.
        Directions are past → future, then future → past with time reversed. Rows behind a clip's
        end have no meaning.

    Raises:
        ConfigError: There is no candidate.
    """
    high: int | Tensor = candidates(config.sampling, pool.clips, frames)
    clip = pool.first + torch.arange(len(clip_ids), device=clip_ids.device).view(-1, 1, 1, 1, 1)
    own: int | Tensor = frames
    start, begin = clip % pool.clips * frames, clip // pool.clips * pool.clips * frames
    if pool.frames is not None:
        own, start, begin, whole = _places(pool, clip)
        high = {"local": own - 1, "cross": whole - 1, "exclusive": whole - own}[config.sampling]
        high = high.clamp_min(1)
    drawn_tasks = 1 if config.share_over_k else tasks
    drawn = uniform_integers(key, clip_ids, (frames, 2, drawn_tasks, config.count), high)
    positive = torch.arange(frames, device=clip_ids.device).view(-1, 1, 1, 1)
    match config.sampling:
        case "exclusive":
            drawn = drawn + (drawn >= start) * own
        case "local":
            drawn = start + drawn + (drawn >= positive)
        case "cross":
            drawn = drawn + (drawn >= start + positive)
    drawn = begin + drawn
    if pool.frames is not None:
        drawn = _flat_positions(pool.frames, frames, drawn)
    return drawn.permute(2, 3, 0, 1, 4).expand(-1, tasks, -1, -1, -1)


def _places(pool: Pool, clip: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Places of clips among own frames, which are numbered through all embedded clips.

    Args:
        pool: Pools with own frames.
        clip: Positions of clips.

    Returns:
        In the shape of `clip`: the clip's own frames, the number of its first one in its pool, the
        number of its pool's first one, and the frames of its pool.
    """
    assert pool.frames is not None
    begins = pool.frames.cumsum(0) - pool.frames
    pool_begins = begins[:: pool.clips].repeat_interleave(pool.clips)
    wholes = pool.frames.view(-1, pool.clips).sum(1).repeat_interleave(pool.clips)
    own, start, begin, whole = (
        each[clip] for each in (pool.frames, begins - pool_begins, pool_begins, wholes)
    )
    return own, start, begin, whole


def _flat_positions(own: Tensor, frames: int, numbers: Tensor) -> Tensor:
    """Flat positions of the own frames of those numbers, in clips `[P]` of `frames` frames."""
    positions = own_mask(own, frames).flatten().nonzero().squeeze(1)
    # Of a clip that takes no part, a number can be one of nothing.
    return F.pad(positions, (0, 1))[numbers.clamp_max(len(positions))]
