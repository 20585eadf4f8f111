"""The study's claims, answered: supported, contradicted, undecided, or interim before its end.

A claim speaks of δ, the lead of one setting over another. Where `best` leaves several cells, δ is
the lead of the best of A over the best of B in truth, and its interval must allow for both having
been picked by their results. With a probability of at most α that either end misses,

    low  = min over b of low(a*, b)  at α / |A|      a* the best of A by its results
    high = max over a of high(a, b*) at α / |B|      b* the best of B by its results

Each end is Bonferroni's over the cells that could have been picked, so that it misses in at most α
of studies, however the cells depend on one another: δ exceeds high only if some b's interval
misses, whichever b was picked. With one cell on each side it is the interval of the lead itself
(`leads.py`).

The m claims of a study hold together: Holm's procedure (Scandinavian Journal of Statistics 6, 1979)
decides which are supported, and likewise which are contradicted, each at half of the error that
the look allows (`leads.look_error`). The intervals that hold together are those of the same
procedure (Strassburger and Bretz, Statistics in Medicine 27, 2008; Guilbaud, Biometrical Journal
50, 2008): a decided claim lies beyond its margin, the ends of the others are at α over their
number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from study.analysis.cells import Cell, group_cells
from study.analysis.labels import (
    count_text,
    ends_text,
    metric_label,
    number,
    ordinal,
    parts_text,
    sentence_case,
    side,
)
from study.analysis.leads import ALPHA, Lead, look_error, lost_text
from study.analysis.power import NewStudy, new_study
from study.analysis.statistics import FEWEST_SEEDS, PairedDifference
from study.results.records import Direction, StudyRecord
from study.spec.claims import Claim

Answer = Literal["supported", "contradicted", "undecided", "interim"]


@dataclass(frozen=True)
class ClaimInfo:
    """A claim with its answer.

    Attributes:
        question: The claim's question.
        answer: `supported` where the lead is above the claim's margin, `contradicted` where it is
            below, both together with the study's other claims; `undecided` where it may be either,
            and `interim` before every planned trial has ended.
        words: The finding in a few sentences.
        metric: The metric that is compared.
        better: Label of the cell claimed to be better, None before any such cell has a result.
        than: Label of the cell it is compared with, None likewise.
        difference: Lead of the one over the other by shared seeds, positive meaning better; not
            adjusted for picking, and over survivors where seeds are lacking.
        low: Lower end of the lead's own 95 % interval, adjusted for picking and for lacking seeds;
            None where it may be anything.
        high: Upper end, None likewise.
        joint_low: Lower end that holds together with those of the study's other claims, over all
            looks, by which the answer is decided; None where it may be anything.
        joint_high: Upper end, None likewise.
        picked_from: Cells that `better` and `than` were each picked from.
        looks: Times that the seeds have been evaluated, this one included.
        lacking: Planned seeds without a result of `better` and of `than`.
        new_study: Seeds that a new study would need to detect such a lead; None where the claim is
            decided or interim, and below three seeds.
    """

    question: str
    answer: Answer
    words: str
    metric: str
    better: str | None = None
    than: str | None = None
    difference: PairedDifference | None = None
    low: float | None = None
    high: float | None = None
    joint_low: float | None = None
    joint_high: float | None = None
    picked_from: tuple[int, int] = (1, 1)
    looks: int = 1
    lacking: tuple[int, int] = (0, 0)
    new_study: NewStudy | None = None


End = Callable[[float], float]
"""End of an interval by the probability with which it misses."""


@dataclass(frozen=True)
class _Evidence:
    """Leads of a claim's cells.

    Attributes:
        claim: The claim.
        metric: The metric that is compared.
        better: The best cell of the first side, by its results.
        than: The best cell of the second.
        lead: Of the one over the other.
        over_each: Leads of `better` over every measured cell of the second side.
        of_each: Leads of every measured cell of the first side over `than`.
        picked_from: Cells of each side, with and without a result.
    """

    claim: Claim
    metric: str
    better: Cell
    than: Cell
    lead: Lead
    over_each: tuple[Lead, ...]
    of_each: tuple[Lead, ...]
    picked_from: tuple[int, int]

    def low(self, level: float) -> float:
        """Lower end of δ, which misses with a probability of at most `level`."""
        return min(lead.ends(level / self.picked_from[0])[0] for lead in self.over_each)

    def high(self, level: float) -> float:
        """Upper end of δ, likewise."""
        return max(lead.ends(level / self.picked_from[1])[1] for lead in self.of_each)


def claim_infos(record: StudyRecord) -> tuple[ClaimInfo, ...]:
    """Every claim of the study, answered from the trials that are complete."""
    cells = group_cells(record)
    found = [_evidence(claim, record, cells) for claim in record.claims]
    if not record.complete:
        return tuple(
            _interim(each, record) if isinstance(each, _Evidence) else each for each in found
        )
    level = look_error(record.looks) / 2
    supported, lows = holm([_above(each) for each in found], level)
    contradicted, highs = holm([_below(each) for each in found], level)
    infos = []
    for index, each in enumerate(found):
        if isinstance(each, ClaimInfo):
            infos.append(each)
            continue
        answer: Answer = "undecided"
        if index in supported or index in contradicted:
            answer = "supported" if index in supported else "contradicted"
        margin = each.claim.margin
        joint = (margin + lows[index], margin - highs[index])
        infos.append(_answered(each, record, answer, joint))
    return tuple(infos)


def holm(ends: Sequence[End], level: float) -> tuple[frozenset[int], list[float]]:
    """Values that are above 0 together, by Holm's procedure, and their simultaneous lower ends.

    Args:
        ends: Lower end of each value, by the probability with which it misses.
        level: Probability that any of the values is called above 0 and is not, and that any of the
            simultaneous ends misses.
    """
    above: frozenset[int] = frozenset()
    while len(above) < len(ends):
        share = level / (len(ends) - len(above))
        values = [end(share) for end in ends]
        more = {index for index, value in enumerate(values) if value > 0} - above
        if not more:
            return above, [0.0 if index in above else value for index, value in enumerate(values)]
        above |= more
    return above, [max(0.0, end(level / len(ends))) for end in ends]


def _above(found: _Evidence | ClaimInfo) -> End:
    """Lower end of the lead beyond the claim's margin; any where nothing was measured."""
    if isinstance(found, ClaimInfo):
        return lambda level: -math.inf
    return lambda level: found.low(level) - found.claim.margin


def _below(found: _Evidence | ClaimInfo) -> End:
    """Lower end of the margin beyond the lead, likewise."""
    if isinstance(found, ClaimInfo):
        return lambda level: -math.inf
    return lambda level: found.claim.margin - found.high(level)


def _evidence(claim: Claim, record: StudyRecord, cells: Sequence[Cell]) -> _Evidence | ClaimInfo:
    """Leads that answer the claim, or the answer where a side has no result."""
    metric = claim.metric or record.metric
    direction = claim.direction or record.direction_of(metric)
    sides = {"better": claim.better, "than": claim.than}
    matched = [[cell for cell in cells if side.matches(cell.knobs)] for side in sides.values()]
    ours, theirs = (_best_first(side, metric, direction) for side in matched)
    if not ours or not theirs:
        missing = "than" if ours else "better"
        answer: Answer = "undecided" if record.complete else "interim"
        lost = lost_text([cell for side in matched for cell in side])
        words = (
            f"{sentence_case(answer)}: no complete trial of '{missing}' has measured "
            f"{metric_label(metric)}{f' ({lost})' if lost else ''}."
        )
        return ClaimInfo(claim.question, answer, words, metric, looks=record.looks)

    def lead(first: Cell, second: Cell) -> Lead:
        return Lead.of(first, second, metric, direction, record.seeds)

    return _Evidence(
        claim=claim,
        metric=metric,
        better=ours[0],
        than=theirs[0],
        lead=lead(ours[0], theirs[0]),
        over_each=tuple(lead(ours[0], cell) for cell in theirs),
        of_each=tuple(lead(cell, theirs[0]) for cell in ours),
        picked_from=(len(matched[0]), len(matched[1])),
    )


def _best_first(cells: Sequence[Cell], metric: str, direction: Direction) -> list[Cell]:
    """Cells with the metric: those with the most seeds first, then those with the best mean."""
    return sorted(
        (cell for cell in cells if metric in cell.values),
        key=lambda cell: (
            -len(cell.values[metric]),
            -fmean(cell.signed(metric, direction).values()),
        ),
    )


def _info(found: _Evidence, record: StudyRecord, answer: Answer) -> ClaimInfo:
    return ClaimInfo(
        question=found.claim.question,
        answer=answer,
        words="",
        metric=found.metric,
        better=found.better.label,
        than=found.than.label,
        difference=found.lead.difference,
        picked_from=found.picked_from,
        looks=record.looks,
        lacking=found.lead.lacking,
    )


def _interim(found: _Evidence, record: StudyRecord) -> ClaimInfo:
    """Lead so far, without an interval: looking at one at will would decide too much."""
    info = _info(found, record, "interim")
    planned = max(record.planned, len(record.trials))
    spent = f"; {record.budget_spent}" if record.budget_spent else ""
    return replace(
        info,
        words=(
            f"Interim, {record.ended} of {count_text(planned, 'trial')} ended: "
            f"{_lead_text(info)}. The answer waits for every planned trial{spent}."
        ),
    )


def _answered(
    found: _Evidence, record: StudyRecord, answer: Answer, joint: tuple[float, float]
) -> ClaimInfo:
    info = replace(
        _info(found, record, answer),
        low=_finite(found.low(ALPHA / 2)),
        high=_finite(found.high(ALPHA / 2)),
        joint_low=_finite(joint[0]),
        joint_high=_finite(joint[1]),
    )
    if answer == "undecided" and info.difference is not None:
        info = replace(info, new_study=new_study(found.lead.values, found.claim.margin))
    sentences = [
        f"{sentence_case(answer)} at the {ordinal(record.looks)} look: {_lead_text(info)}, "
        f"{_interval_text(info)}.",
        _together(info, len(record.claims)),
        parts_text(info.difference.interval) if info.difference else "",
        *(
            _lacking(cell, lacking, record)
            for cell, lacking in zip((found.better, found.than), info.lacking, strict=True)
        ),
        _outlook(info),
    ]
    return replace(info, words=" ".join(filter(None, sentences)))


def _finite(end: float) -> float | None:
    return end if math.isfinite(end) else None


def _lead_text(info: ClaimInfo) -> str:
    if info.difference is None:
        return f"{info.better} and {info.than} share no seed"
    lead, n = info.difference.interval.mean, info.difference.interval.n
    return (
        f"{info.better} is {side(lead)} {info.than} by {number(abs(lead))} "
        f"in {metric_label(info.metric)} over {count_text(n, 'shared seed')}"
    )


def _interval_text(info: ClaimInfo) -> str:
    """The lead's own interval, with what it was widened for."""
    if info.low is None and info.high is None:
        return "which gives no interval"
    sides = (("the first", info.picked_from[0]), ("the second", info.picked_from[1]))
    picked = [f"{side} from {cells}" for side, cells in sides if cells > 1]
    widened = f" (widened for picking {' and '.join(picked)} settings)" if picked else ""
    return f"95 % interval {ends_text(info.low, info.high)}{widened}"


def _together(info: ClaimInfo, claims: int) -> str:
    """The interval that the answer was decided by."""
    if info.joint_low is None and info.joint_high is None:
        return ""
    others = f"with the {count_text(claims - 1, 'other claim')} and " if claims > 1 else "with "
    return f"Together {others}further looks: {ends_text(info.joint_low, info.joint_high)}."


def _lacking(cell: Cell, lacking: int, record: StudyRecord) -> str:
    if not lacking:
        return ""
    lost = lost_text([cell])
    return (
        f"{sentence_case(cell.label)} lacks {lacking} of {count_text(len(record.seeds), 'seed')}"
        f"{f' ({lost})' if lost else ''}, which counts against it."
    )


def _outlook(info: ClaimInfo) -> str:
    if info.answer != "undecided" or info.difference is None:
        return ""
    if info.new_study is not None:
        return info.new_study.words
    if info.difference.interval.n < FEWEST_SEEDS:
        return f"An interval needs {FEWEST_SEEDS} shared seeds."
    return ""
