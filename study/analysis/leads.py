"""Lead of one cell over another, with the seeds that either of them lacks.

A seed without a result is an outcome, and never one that helps the side that lacks it. As in
worst-rank analysis (Lachin, Controlled Clinical Trials 20, 1999) it is worse than any value:

- Where a side has every planned seed, its lead is at least Student's lower end over the shared
  seeds. Seeds that only the other side lacks are left out, which is not in its favour.
- Where it lacks some, the lead is of the median seed, with minus infinity for each that it lacks,
  and its lower end an order statistic (the sign test's interval: Hollander, Wolfe and Chicken,
  Nonparametric Statistical Methods, 2014, section 3.6). It takes six seeds to exclude anything.

The upper end is the other side's lower one, negated.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from study.analysis.cells import Cell, clip_table, metric_range, sign_of
from study.analysis.statistics import (
    ClipTable,
    IntervalOf,
    PairedDifference,
    mean_variance,
    paired_difference,
    t_interval,
)
from study.results.records import Direction

ALPHA = 0.05
"""Probability of any false decision of a study, over all looks at its seeds."""


def look_error(looks: int) -> float:
    """Probability of a false decision at a look: α / 2^looks, less than α over any number of looks.

    The seeds of a spec are its plan, and evaluating them is the first look. It spends half of α,
    because what a later one decides is chosen by what the first one left undecided.
    """
    return ALPHA * 0.5**looks


@dataclass(frozen=True)
class Lead:
    """Lead of one cell over another by a metric, seed by seed; positive means better.

    Attributes:
        difference: Over the shared seeds; None without any.
        values: The shared seeds' differences.
        clips: The same by recording, where known.
        lacking: Planned seeds that the first and that the second cell lacks.
        reach: Greatest difference that the metric allows.
        interval_of: Interval of the differences where no seed is lacking.
    """

    difference: PairedDifference | None
    values: tuple[float, ...]
    clips: ClipTable | None
    lacking: tuple[int, int]
    reach: float
    interval_of: IntervalOf

    @classmethod
    def of(
        cls,
        first: Cell,
        second: Cell,
        metric: str,
        direction: Direction,
        seeds: Sequence[int],
        interval_of: IntervalOf = t_interval,
    ) -> Lead:
        """Lead of `first` over `second`; a cell without the metric lacks every seed.

        Args:
            first: A cell.
            second: Another cell.
            metric: The metric.
            direction: Direction of better values.
            seeds: The planned seeds.
            interval_of: Interval of the differences where no seed is lacking.
        """
        ours, theirs = (
            cell.signed(metric, direction) if metric in cell.values else {}
            for cell in (first, second)
        )
        shared = sorted(ours.keys() & theirs.keys())
        clips = _difference(first, second, metric, direction, shared)
        least, most = metric_range(metric)
        return cls(
            difference=paired_difference(ours, theirs, interval_of, clips),
            values=tuple(ours[seed] - theirs[seed] for seed in shared),
            clips=clips,
            lacking=(len(set(seeds) - ours.keys()), len(set(seeds) - theirs.keys())),
            reach=most - least,
            interval_of=interval_of,
        )

    def ends(self, level: float) -> tuple[float, float]:
        """Ends that the true lead lies beyond with a probability of at most `level` each.

        They are infinite where the seeds allow anything.
        """
        low = self._low(level, 1, self.lacking[0])
        high = -self._low(level, -1, self.lacking[1])
        return _within(low, self.reach), _within(high, self.reach)

    def _low(self, level: float, sign: int, lacking: int) -> float:
        """Lower end of the lead times `sign`, of a side that lacks that many seeds."""
        values = [sign * value for value in self.values]
        if lacking:
            return _median_low(values, self.clips, lacking, level)
        if not values:
            return -math.inf
        clips = self.clips and ClipTable(sign * self.clips.values, self.clips.resolution)
        low = self.interval_of(values, clips, 1 - 2 * level).low
        return -math.inf if low is None else low


def lost_text(cells: Iterable[Cell]) -> str:
    """`2 diverged, 1 failed`: trials of some cells that ended without a result."""
    counts: Counter[str] = Counter()
    for cell in cells:
        counts.update(cell.lost)
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())


def _within(end: float, reach: float) -> float:
    """A finite end inside the range of the metric's differences."""
    return max(-reach, min(end, reach)) if math.isfinite(end) else end


def _difference(
    first: Cell, second: Cell, metric: str, direction: Direction, seeds: Sequence[int]
) -> ClipTable | None:
    """Lead by seed and recording, where both cells were measured on the same recordings."""
    sides = [clip_table(metric, cell.clips, seeds) for cell in (first, second)]
    recordings = {each.recordings for cell in (first, second) for each in cell.clips.values()}
    ours, theirs = sides
    if ours is None or theirs is None or len(recordings) > 1:
        return None
    return ClipTable(sign_of(direction) * (ours.values - theirs.values), ours.resolution)


def _median_low(
    values: Sequence[float], clips: ClipTable | None, lacking: int, level: float
) -> float:
    """Lower end of the median lead, a lacking seed being worse than any value."""
    from scipy.special import bdtr, stdtrit

    variance = mean_variance(values, clips) if clips is not None and len(values) > 1 else None
    shift = 0.0
    if clips is not None and variance is not None and variance.clips is not None:
        # The clips are common to all seeds: half of the level is theirs (Bonferroni).
        level /= 2
        t = float(stdtrit(clips.values.shape[1] - 1, 1 - level))
        shift = t * math.sqrt(variance.clips)
    ordered = sorted([-math.inf] * lacking + list(values))
    # As many of the lowest values as chance leaves below the median of fair coins.
    below = int((bdtr(np.arange(len(ordered)), len(ordered), 0.5) <= level).sum())
    return ordered[below - 1] - shift if below else -math.inf
