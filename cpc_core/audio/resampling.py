"""Resampling to 16 kHz, of recordings of any length in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import gcd
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torchaudio.transforms import Resample

from cpc_core.geometry import SAMPLE_RATE_HZ

_KERNEL_TAPS = 20_000_000
"""Largest resampling filter: 44 099 Hz has no common factor with 16 kHz and would need 2.8 GB."""

Block: TypeAlias = tuple[NDArray[np.float32], tuple[str, ...], bool]
"""Samples, the notes about them, and True if more are expected."""


def usable_rate(rate_hz: int) -> int:
    """The rate to resample from, rounded where the filter would be too large."""
    common = gcd(rate_hz, SAMPLE_RATE_HZ)
    taps = rate_hz // common * (SAMPLE_RATE_HZ // common)
    return rate_hz if taps <= _KERNEL_TAPS else round(rate_hz, -2)


def resampled(blocks: Iterator[Block], rate: int) -> Iterator[Block]:
    """Blocks of whole seconds at `rate`, resampled to 16 kHz as if in one piece.

    Every inner edge is resampled with a second of neighbours on both sides, far more than the
    filter reaches; a second is a whole number of samples at both rates, so that nothing shifts.
    """
    if rate == SAMPLE_RATE_HZ:
        yield from blocks
        return
    pending = np.empty(0, np.float32)
    done = 0
    for block, notes, more in blocks:
        pending = np.concatenate((pending, block)) if len(pending) else block
        if not more:
            yield _resample(pending, rate)[done:], notes, False
        elif len(pending) > 2 * rate:
            yield _resample(pending, rate)[done:-SAMPLE_RATE_HZ], notes, True
            pending, done = pending[-2 * rate :], SAMPLE_RATE_HZ


def _resample(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    resampled: NDArray[np.float32] = _resampler(rate)(torch.from_numpy(samples)).numpy()
    return resampled


@lru_cache(maxsize=4)
def _resampler(rate: int) -> Resample:
    return Resample(rate, SAMPLE_RATE_HZ)
