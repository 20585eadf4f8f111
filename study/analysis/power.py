"""Statistical power: the seeds that a difference needs before its interval excludes zero."""

from __future__ import annotations

import math

from study.analysis.statistics import CONFIDENCE

POWER = 0.8
"""Chance that a study of the required size decides, if the true effect is the assumed one."""

MOST_SEEDS = 1024
"""Effects that need more seeds than this are negligible."""


def power(effect_size: float, n: int, confidence: float = CONFIDENCE) -> float:
    """Chance that the t-interval of n paired differences lies above zero.

    Args:
        effect_size: True mean of the differences over their true standard deviation.
        n: Shared seeds, at least 2.
        confidence: Coverage of the interval.
    """
    from scipy.special import nctdtr, stdtrit

    t = float(stdtrit(n - 1, (1 + confidence) / 2))
    return 1 - float(nctdtr(n - 1, effect_size * math.sqrt(n), t))


def required_seeds(effect_size: float, confidence: float = CONFIDENCE) -> int | None:
    """Fewest shared seeds with which an interval excludes zero in four of five studies.

    Args:
        effect_size: Assumed mean of the differences over their standard deviation; of either sign.
        confidence: Coverage of the interval.

    Returns:
        The seeds, or None where more than `MOST_SEEDS` would be needed.
    """
    effect, high = abs(effect_size), 2
    # The distribution function loses its digits far out, so the search starts near.
    while power(effect, high, confidence) < POWER:
        high *= 2
        if high > MOST_SEEDS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(effect, middle, confidence) >= POWER else (middle, high)
    return high
