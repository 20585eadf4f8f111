"""Paired comparison of two cells: better, worse, or undecided by these seeds."""

from __future__ import annotations

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
from study.results.records import StudyRecord

Verdict = Literal["better", "worse", "undecided"]


@dataclass(frozen=True)
class Comparison:
    """Two cells compared by one metric.

    Attributes:
        first: Label of the cell in question.
        second: Label of the other cell.
        metric: The metric.
        difference: Lead of `first` over shared seeds, positive meaning better in the metric's
            direction; None where no seed is shared.
        overlap: True if the cells' own intervals share a point; None where one has no interval.
        verdict: `better` or `worse` where the paired interval excludes zero, else `undecided`.
        words: The finding as one clause.
        more_seeds: Further shared seeds that would decide an undecided comparison, if its lead and
            spread are what these seeds show; None where it is decided, below three seeds, and where
            a thousand would not do.
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
    """Paired comparison of two cells by a metric that both have, the study's own by default."""
    name = metric or record.metric
    direction = record.direction_of(name)
    difference = paired_difference(
        first.signed(name, direction), second.signed(name, direction), interval_of
    )
    verdict = _verdict(difference)
    own, other = (interval_of(list(cell.values[name].values())) for cell in (first, second))
    more = None
    if difference is not None and difference.hedges_g is not None and verdict == "undecided":
        more = more_seeds(difference.hedges_g, difference.interval.n)
    return Comparison(
        first=first.label,
        second=second.label,
        metric=name,
        difference=difference,
        overlap=own.overlaps(other),
        verdict=verdict,
        words=_words(difference, second.label, verdict),
        more_seeds=more,
    )


def more_seeds(effect_size: float, n: int, confidence: float = CONFIDENCE) -> int | None:
    """Seeds beyond n that an effect needs; at least one, because n did not do."""
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
    """The side of the other cell that a lead is on, as text."""
    return "ahead of" if mean >= 0 else "behind"
