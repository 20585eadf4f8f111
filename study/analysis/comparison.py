"""Is one cell better than another, or can these seeds not tell?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from study.analysis.cells import Cell
from study.analysis.labels import count_text, number
from study.analysis.power import required_seeds
from study.analysis.statistics import (
    CONFIDENCE,
    IntervalOf,
    PairedDifference,
    paired_difference,
    t_interval,
)
from study.results.records import Direction, StudyRecord

Verdict = Literal["better", "worse", "undecided"]


@dataclass(frozen=True)
class Comparison:
    """Two cells held against each other by one metric.

    Attributes:
        first: Label of the cell asked about.
        second: Label of the other cell.
        metric: What they are compared by.
        difference: How much better `first` is, positive meaning better in the metric's direction,
            over shared seeds; None where no seed is shared.
        overlap: Whether the cells' own intervals share a point; None where one has no interval.
        verdict: `better` or `worse` where the paired interval excludes zero, else `undecided`.
        words: The finding as one clause.
        more_seeds: Of an undecided comparison, about how many more shared seeds would decide it, if
            the difference and its spread are what these seeds show; None where it is decided, where
            below three seeds there is nothing to go by, and where a thousand would not do.
    """

    first: str
    second: str
    metric: str
    difference: PairedDifference | None
    overlap: bool | None
    verdict: Verdict
    words: str
    more_seeds: int | None


def compare(
    record: StudyRecord,
    first: Cell,
    second: Cell,
    metric: str | None = None,
    interval_of: IntervalOf = t_interval,
) -> Comparison:
    """Paired comparison of two cells that both have the metric, the study's own unless another is
    named.
    """
    name = metric or record.metric
    direction = record.direction_of(name)
    difference = paired_difference(
        signed(direction, first.values[name]), signed(direction, second.values[name]), interval_of
    )
    verdict = _verdict(difference)
    overlap = interval_of(list(first.values[name].values())).overlaps(
        interval_of(list(second.values[name].values()))
    )
    more = None
    if difference is not None and difference.hedges_g is not None and verdict == "undecided":
        more = more_seeds(difference.hedges_g, difference.interval.n)
    return Comparison(
        first.label,
        second.label,
        name,
        difference,
        overlap,
        verdict,
        _words(difference, second.label, verdict),
        more,
    )


def signed(direction: Direction, values: Mapping[int, float]) -> dict[int, float]:
    """Seed → value with the sign that makes more of it better."""
    sign = 1.0 if direction == "maximize" else -1.0
    return {seed: sign * value for seed, value in values.items()}


def more_seeds(effect_size: float, n: int, confidence: float = CONFIDENCE) -> int | None:
    """How many seeds beyond n an effect needs; at least one, because n did not do."""
    required = required_seeds(effect_size, confidence)
    return None if required is None else max(1, required - n)


def _verdict(difference: PairedDifference | None) -> Verdict:
    if difference is None or difference.interval.low is None or difference.interval.high is None:
        return "undecided"
    if difference.interval.low > 0:
        return "better"
    return "worse" if difference.interval.high < 0 else "undecided"


def _words(difference: PairedDifference | None, other: str, verdict: Verdict) -> str:
    if difference is None:
        return f"undecided against {other}: no seed is shared"
    interval = difference.interval
    lead = f"{side(interval.mean)} {other} by {number(abs(interval.mean))}"
    if interval.low is None or interval.high is None:
        seeds = "one seed" if interval.n == 1 else count_text(interval.n, "shared seed")
        return f"undecided at n = {interval.n}: {lead} on {seeds}, which gives no interval"
    low, high = (
        (interval.low, interval.high) if interval.mean >= 0 else (-interval.high, -interval.low)
    )
    span = f"[{number(low)}, {number(high)}] over {count_text(interval.n, 'shared seed')}"
    if verdict != "undecided":
        return f"{verdict} than {other} by {number(abs(interval.mean))} {span}"
    return f"undecided at n = {interval.n}: {lead} {span}"


def side(mean: float) -> str:
    """Which side of the other cell a lead is on."""
    return "ahead of" if mean >= 0 else "behind"
