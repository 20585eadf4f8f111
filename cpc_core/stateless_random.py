"""Random numbers as a function of (seed, purpose, step, clip id, counter), and of nothing else.

A generator that is advanced draw by draw gives a clip other negatives when the batch is split over
two workers, when a resumed run skips the steps before, or when one more random feature is switched
on. Here nothing is advanced: each number is hashed from its key, so one worker or four, in any
batch order, resumed or not, draw the same crops, negatives and noise.

The hash is splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA
2014), nested: the state of a level seeds the next one, and draw i of a clip is output i of the
generator seeded with the clip's state. It is exact integer arithmetic, so CPU and GPU agree bit for
bit; `normal` agrees to float32 rounding of log, sine and cosine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

_GAMMA = 0x9E3779B97F4A7C15
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_SHIFTS = (30, 27, 31)
_WORD = (1 << 64) - 1


class Purpose(Enum):
    """Purpose of a draw. The values go into the hash: never change or reuse one."""

    CROP = 1
    NEGATIVES = 2
    PERTURBED_NEGATIVES = 3
    NOISE = 4
    ATTACK_START = 5
    AUGMENTATION = 6
    DEV_NEGATIVES = 7
    DRAWN_CLIPS = 8


@dataclass(frozen=True)
class Key:
    """Name of one family of draws.

    Attributes:
        seed: The trial's seed.
        step: Optimizer step, counted from 0.
        purpose: Each purpose has draws of its own.
    """

    seed: int
    step: int
    purpose: Purpose

    @property
    def state(self) -> int:
        """64-bit state that all clips of this family start from."""
        state = 0
        for part in (self.seed, self.purpose.value, self.step):
            state = _output(state, part)
        return state


def uniform_integers(
    key: Key, clip_ids: Tensor, shape: Sequence[int], high: int | Tensor
) -> Tensor:
    """Integers in [0, high), uniform up to a relative bias below high / 2⁶³.

    Args:
        key: Seed, step and purpose.
        clip_ids: `[B]` int64; the device of the result is theirs.
        shape: Shape of one clip's draws.
        high: Exclusive bound, at least 1; a tensor is broadcast against `[B, *shape]`.

    Returns:
        `[B, *shape]` int64.

    Raises:
        ValueError: An integer `high` is below 1.
    """
    if isinstance(high, int) and high < 1:
        raise ValueError(f"high must be at least 1, not {high}")
    return _shift_right_(_bits(key, clip_ids, shape), 1).remainder_(high)


def uniform(key: Key, clip_ids: Tensor, shape: Sequence[int]) -> Tensor:
    """Multiples of 2⁻²⁴ in [0, 1), `[B, *shape]` float32: the spacing of float32 just below 1."""
    return _shift_right_(_bits(key, clip_ids, shape), 40).to(torch.float32).mul_(2.0**-24)


def normal(key: Key, clip_ids: Tensor, shape: Sequence[int]) -> Tensor:
    """Standard normal numbers, `[B, *shape]` float32, by the Box–Muller transform.

    One 64-bit hash makes two of them: its halves are the radius and the angle. 32 bits of radius
    reach ±6.66.
    """
    count = math.prod(shape)
    words = _bits(key, clip_ids, ((count + 1) // 2,))
    angle = (words & 0xFFFFFFFF).to(torch.float32).mul_(math.tau * 2.0**-32)
    radius = (
        _shift_right_(words, 32).add_(1).to(torch.float32).mul_(2.0**-32).log_().mul_(-2.0).sqrt_()
    )
    pairs = torch.stack((angle.cos().mul_(radius), angle.sin_().mul_(radius)), dim=-1)
    return pairs.flatten(1)[:, :count].reshape(len(clip_ids), *shape)


def _bits(key: Key, clip_ids: Tensor, shape: Sequence[int]) -> Tensor:
    """64 random bits for each counter of each clip, `[B, *shape]` int64."""
    states = _mix_((clip_ids + 1) * _signed(_GAMMA) + _signed(key.state))
    counters = torch.arange(1, math.prod(shape) + 1, dtype=torch.int64, device=clip_ids.device)
    return _mix_(states[:, None] + counters.mul_(_signed(_GAMMA))).view(len(clip_ids), *shape)


def _mix_(words: Tensor) -> Tensor:
    """splitmix64's finaliser, in place; int64 products wrap, which is arithmetic modulo 2⁶⁴."""
    for shift, multiplier in zip(_SHIFTS, _MULTIPLIERS, strict=False):
        words.bitwise_xor_(_shift_right_(words.clone(), shift)).mul_(_signed(multiplier))
    return words.bitwise_xor_(_shift_right_(words.clone(), _SHIFTS[-1]))


def _shift_right_(words: Tensor, count: int) -> Tensor:
    """Logical right shift in place: torch's shift of int64 copies the sign bit, which the mask
    removes.
    """
    return words.bitwise_right_shift_(count).bitwise_and_((1 << (64 - count)) - 1)


def _output(state: int, index: int) -> int:
    """Output `index` (from 0) of splitmix64 seeded with `state`."""
    word = (state + (index + 1) * _GAMMA) & _WORD
    for shift, multiplier in zip(_SHIFTS, _MULTIPLIERS, strict=False):
        word = (word ^ (word >> shift)) * multiplier & _WORD
    return word ^ (word >> _SHIFTS[-1])


def _signed(word: int) -> int:
    """The int64 with the same bits."""
    return word - (1 << 64) if word >> 63 else word
