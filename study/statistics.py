"""What a handful of seeds can tell: means, 95 % intervals, and the difference of two cells over the seeds they share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

CONFIDENCE = 0.95
"""Coverage of every interval shown anywhere."""


@dataclass(frozen=True)
class Interval:
    """A mean and where it may lie.

    Attributes:
        mean: Mean of the values.
        low: Lower end of the 95 % interval; None where one value gives no interval.
        high: Upper end, None together with `low`.
        n: How many values.
    """

    mean: float
    low: float | None
    high: float | None
    n: int

    def overlaps(self, other: Interval) -> bool | None:
        """Whether the two intervals share a point; None where either has no interval."""
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return None
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True)
class PairedDifference:
    """Mean of first − second over shared seeds: the seeds' common luck cancels.

    Attributes:
        interval: The mean difference with its 95 % t-interval over seeds.
        effect_size: Cohen's d_z, the mean difference over its standard deviation; None below two seeds and where
            the differences do not vary.
        seeds: The shared seeds, ascending.
    """

    interval: Interval
    effect_size: float | None
    seeds: tuple[int, ...]


def t_interval(values: Sequence[float]) -> Interval:
    """Mean of replicates with Student's 95 % interval: mean ± t(0.975, n − 1) · s / √n.

    Args:
        values: One value per seed, at least one.

    Returns:
        The interval; `low` and `high` are None for a single value, which says nothing about its spread.

    Raises:
        ValueError: There is no value, or one is not finite.
    """
    _require_finite(values)
    mean = fmean(values)
    if len(values) == 1:
        return Interval(mean, None, None, 1)
    from scipy.special import stdtrit

    t = float(stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2))
    half = t * stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half, len(values))


def wilson_interval(successes: int, n: int) -> Interval:
    """Share of successes with Wilson's 95 % score interval, for accuracies on few test clips.

    Args:
        successes: Clips classified rightly.
        n: Clips in all.

    Raises:
        ValueError: `n` is not positive, or `successes` is outside 0 … n.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}: need n ≥ 1 and 0 ≤ successes ≤ n")
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, scale = successes / n, 1 + z * z / n
    centre = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half), n)


def paired_difference(first: Mapping[int, float], second: Mapping[int, float]) -> PairedDifference | None:
    """Difference first − second of two cells over the seeds both have.

    Args:
        first: Seed → value.
        second: Seed → value.

    Returns:
        The difference, or None where no seed is shared.

    Raises:
        ValueError: A shared value is not finite.
    """
    seeds = tuple(sorted(first.keys() & second.keys()))
    if not seeds:
        return None
    differences = [first[seed] - second[seed] for seed in seeds]
    interval = t_interval(differences)
    spread = stdev(differences) if len(differences) > 1 else 0.0
    return PairedDifference(interval, interval.mean / spread if spread > 0 else None, seeds)


def _require_finite(values: Sequence[float]) -> None:
    if not values:
        raise ValueError("no values: an interval needs at least one replicate")
    for value in values:
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a finite value: keep diverged trials out of means")
