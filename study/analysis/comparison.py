"""Is one cell better than another, or can these seeds not tell?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from study.analysis.cells import Cell
from study.analysis.labels import count_text, number
from study.records import StudyRecord
from study.statistics import PairedDifference, paired_difference

Verdict = Literal["better", "worse", "undecided"]


@dataclass(frozen=True)
class Comparison:
    """Two cells held against each other by the study's metric.

    Attributes:
        first: Label of the cell asked about.
        second: Label of the other cell.
        difference: How much better `first` is, positive meaning better in the study's direction, over shared seeds;
            None where no seed is shared.
        overlap: Whether the cells' own intervals share a point; None where one has no interval.
        verdict: `better` or `worse` where the paired interval excludes zero, else `undecided`.
        words: The finding as one clause.
    """

    first: str
    second: str
    difference: PairedDifference | None
    overlap: bool | None
    verdict: Verdict
    words: str


def compare(record: StudyRecord, first: Cell, second: Cell) -> Comparison:
    """Paired comparison of two cells that both have the study's metric."""
    sign = 1.0 if record.direction == "maximize" else -1.0
    difference = paired_difference(
        {seed: sign * value for seed, value in first.values[record.metric].items()},
        {seed: sign * value for seed, value in second.values[record.metric].items()},
    )
    verdict = _verdict(difference)
    overlap = first.metrics[record.metric].overlaps(second.metrics[record.metric])
    return Comparison(first.label, second.label, difference, overlap, verdict, _words(difference, second.label, verdict))


def _verdict(difference: PairedDifference | None) -> Verdict:
    if difference is None or difference.interval.low is None or difference.interval.high is None:
        return "undecided"
    if difference.interval.low > 0:
        return "better"
    return "worse" if difference.interval.high < 0 else "undecided"


def _words(difference: PairedDifference | None, other: str, verdict: Verdict) -> str:
    if difference is None:
        return f"undecided against {other}: no seed is shared"
    interval, seeds = difference.interval, count_text(difference.interval.n, "shared seed")
    if interval.low is None or interval.high is None:
        return f"undecided at n = 1: {_side(interval.mean)} {other} by {number(abs(interval.mean))} on one seed, which gives no interval"
    low, high = (interval.low, interval.high) if interval.mean >= 0 else (-interval.high, -interval.low)
    span = f"{number(abs(interval.mean))} [{number(low)}, {number(high)}] over {seeds}"
    if verdict != "undecided":
        return f"{verdict} than {other} by {span}"
    return f"undecided at n = {interval.n}: {_side(interval.mean)} {other} by {span}"


def _side(mean: float) -> str:
    return "ahead of" if mean >= 0 else "behind"
