"""Statistical power: the seeds with which a new study would detect a lead."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from study.analysis.labels import count_text
from study.analysis.leads import look_error
from study.analysis.statistics import CONFIDENCE, FEWEST_SEEDS, hedges_factor, mean_variance

POWER = 0.8
"""Chance that a study of the required size decides, if the true effect is the assumed one."""

MOST_SEEDS = 1024
"""Effects that need more seeds than this are negligible."""


@dataclass(frozen=True)
class NewStudy:
    """Seeds of a new study that would detect a lead with a probability of `POWER`.

    Attributes:
        seeds: For the effect that these seeds show; None above `MOST_SEEDS`.
        fewest: For the greatest effect inside its 95 % interval; None likewise.
        most: For the smallest one; None likewise, and where the interval contains no effect.
    """

    seeds: int | None
    fewest: int | None
    most: int | None

    @property
    def words(self) -> str:
        """The number with its interval as one sentence."""
        if self.fewest is None:
            return f"A new study could not detect such a lead with {MOST_SEEDS} seeds."
        most = "∞" if self.most is None else str(self.most)
        about = (
            f"more than {MOST_SEEDS} seeds"
            if self.seeds is None
            else f"about {count_text(self.seeds, 'seed')}"
        )
        return (
            f"A new study would need {about} to detect such a lead "
            f"(95 % interval {self.fewest} to {most})."
        )


def new_study(values: Sequence[float], margin: float = 0.0) -> NewStudy | None:
    """Size of a new study, on the same clips, whose first look would detect the lead of some seeds.

    The effect's interval is that of the noncentral t distribution (Cumming and Finch, Educational
    and Psychological Measurement 61, 2001).

    Args:
        values: Leads by shared seed.
        margin: The lead to exceed, or to stay below.

    Returns:
        The seeds, or None below three values and where they do not vary.
    """
    n = len(values)
    if n < FEWEST_SEEDS:
        return None
    spread = math.sqrt(mean_variance(values).seeds * n)
    if not spread:
        return None
    from scipy.special import nctdtrinc

    effect = abs(sum(values) / n - margin) / spread
    t = effect * math.sqrt(n)
    low, high = (
        float(nctdtrinc(n - 1, (1 + side * CONFIDENCE) / 2, t)) / math.sqrt(n) for side in (1, -1)
    )
    unbiased = effect * hedges_factor(n)
    confidence = 1 - look_error(1)
    return NewStudy(
        seeds=required_seeds(unbiased, confidence),
        fewest=required_seeds(high, confidence),
        most=required_seeds(low, confidence) if low > 0 else None,
    )


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
        The seeds, at least `FEWEST_SEEDS`, or None where more than `MOST_SEEDS` would be needed.
    """
    effect, high = abs(effect_size), FEWEST_SEEDS
    # The distribution function loses its digits far out, so the search starts near.
    while power(effect, high, confidence) < POWER:
        high *= 2
        if high > MOST_SEEDS:
            return None
    low = max(high // 2, FEWEST_SEEDS - 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(effect, middle, confidence) >= POWER else (middle, high)
    return high
