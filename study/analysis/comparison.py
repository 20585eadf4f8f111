"""Paired comparison of two cells: better, worse, undecided, or interim before the study's end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from study.analysis.cells import Cell, score
from study.analysis.labels import count_text, ends_text, number, side
from study.analysis.leads import Lead, look_error, lost_text
from study.analysis.power import NewStudy, new_study
from study.analysis.statistics import IntervalOf, PairedDifference, t_interval
from study.results.records import StudyRecord

Verdict = Literal["better", "worse", "undecided", "interim"]


@dataclass(frozen=True)
class Comparison:
    """Two cells compared by one metric.

    Attributes:
        first: Label of the cell in question.
        second: Label of the other cell.
        metric: The metric.
        difference: Lead of `first` over shared seeds, positive meaning better in the metric's
            direction; None where no seed is shared.
        low: Lower end of the lead, at the level of the decision and with the planned seeds that
            `first` lacks counted against it; None where it may be anything, and before the study's
            end.
        high: Upper end, None likewise.
        overlap: True if the cells' own intervals share a point; None where one has no interval.
        verdict: `better` or `worse` where [low, high] excludes zero, else `undecided`; `interim`
            before every planned trial has ended.
        words: The finding as one clause.
        new_study: Seeds that a new study would need for a lead like this; None where it is decided
            or interim, and below three seeds.
    """

    first: str
    second: str
    metric: str
    difference: PairedDifference | None
    low: float | None
    high: float | None
    overlap: bool | None
    verdict: Verdict
    words: str
    new_study: NewStudy | None


def compare(
    record: StudyRecord,
    first: Cell,
    second: Cell,
    metric: str | None = None,
    interval_of: IntervalOf = t_interval,
    among: int = 2,
) -> Comparison:
    """Paired comparison of two cells by a metric that both have, the study's own by default.

    Args:
        record: Their study.
        first: The cell in question.
        second: The other one.
        metric: What to compare by.
        interval_of: Interval of the differences.
        among: Cells of which `first` was picked as the best. The ends are Bonferroni's over them,
            so that a best cell is called better than all others by chance in at most 5 % of
            studies, over all looks (multiple comparisons with the best: Hsu, Annals of Statistics
            9, 1981).
    """
    name = metric or record.metric
    lead = Lead.of(first, second, name, record.direction_of(name), record.seeds, interval_of)
    level = look_error(record.looks) / among
    low, high = (end if math.isfinite(end) else None for end in lead.ends(level))
    verdict: Verdict = "undecided"
    if not record.complete:
        verdict, low, high = "interim", None, None
    elif low is not None and low > 0:
        verdict = "better"
    elif high is not None and high < 0:
        verdict = "worse"
    own, other = (score(cell, name, interval_of) for cell in (first, second))
    return Comparison(
        first=first.label,
        second=second.label,
        metric=name,
        difference=lead.difference,
        low=low,
        high=high,
        overlap=own.overlaps(other),
        verdict=verdict,
        words=_words(lead, (low, high), (first, second), verdict, 1 - 2 * level),
        new_study=new_study(lead.values) if verdict == "undecided" else None,
    )


def _words(
    lead: Lead,
    ends: tuple[float | None, float | None],
    cells: tuple[Cell, Cell],
    verdict: Verdict,
    confidence: float,
) -> str:
    if lead.difference is None:
        return f"{verdict} against {cells[1].label}: no seed is shared"
    mean, n = lead.difference.interval.mean, lead.difference.interval.n
    seeds = "one seed" if n == 1 else count_text(n, "shared seed")
    lost = [
        f"{cell.label} lacks {count_text(lacking, 'seed')}"
        + (f" ({lost})" if (lost := lost_text([cell])) else "")
        for cell, lacking in zip(cells, lead.lacking, strict=True)
        if lacking
    ]
    note = f"; {', '.join(lost)}" if lost else ""
    span = f"{100 * confidence:.4g} % interval {ends_text(*_positive(mean, ends))}"
    if verdict in ("better", "worse"):
        return f"{verdict} than {cells[1].label} by {number(abs(mean))}, {span} over {seeds}{note}"
    found = f"{verdict} at n = {n}: {side(mean)} {cells[1].label} by {number(abs(mean))}"
    if verdict == "interim":
        return f"{found} on {seeds}{note}"
    if ends == (None, None):
        return f"{found} on {seeds}, which gives no interval{note}"
    return f"{found}, {span} over {seeds}{note}"


def _positive(
    mean: float, ends: tuple[float | None, float | None]
) -> tuple[float | None, float | None]:
    """The interval of the lead without its sign, which is in the words."""
    low, high = ends
    if mean >= 0:
        return low, high
    return None if high is None else -high, None if low is None else -low
