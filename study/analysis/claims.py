"""The study's claims, answered: supported, not supported, or undecided at this number of seeds.

A claim speaks of δ, the lead of one setting over another. Where `best` leaves several cells, δ is
the lead of the best of A over the best of B in truth, and its interval must allow for both having
been picked by their results:

    low  = min over b of low(a*, b)  at confidence 1 − α / |A|      a* the best mean of A
    high = max over a of high(a, b*) at confidence 1 − α / |B|      b* the best mean of B

Each end is Bonferroni's over the cells that could have been picked, so that δ lies outside [low,
high] in at most 5 % of studies, however the cells depend on one another: δ exceeds high only if
some b's interval misses, whichever b was picked. Holm's procedure is no sharper for a best cell
alone. Resampling the maximum over seeds would be, but of three seeds there are eight sign changes,
none of which is rarer than 5 %, and its normal-theory version needs the covariance of more cells
than there are seeds. With one cell on each side the interval is the plain paired t-interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import Literal

from study.analysis.cells import Cell, group_cells
from study.analysis.comparison import more_seeds, side
from study.analysis.labels import count_text, metric_label, number, sentence_case
from study.analysis.power import MOST_SEEDS
from study.analysis.statistics import (
    CONFIDENCE,
    Interval,
    PairedDifference,
    paired_difference,
    t_interval,
)
from study.results.records import Direction, StudyRecord
from study.spec.cell_selector import Selector
from study.spec.claims import Claim

FEWEST_TO_ESTIMATE = 3
"""Shared seeds from which the size of an effect can be estimated without bias."""

Answer = Literal["supported", "not supported", "undecided"]


@dataclass(frozen=True)
class ClaimInfo:
    """A claim with its answer.

    Attributes:
        question: The claim's question.
        answer: `supported` where the whole interval lies above the claim's margin, `not supported`
            where it lies below.
        words: The finding in one or two sentences.
        metric: The metric that is compared.
        better: Label of the cell claimed to be better, None before any such cell has a result.
        than: Label of the cell it is compared with, None likewise.
        difference: Lead of the one over the other by shared seeds, positive meaning better; not
            adjusted for picking.
        low: Lower end of the adjusted interval of the lead, None where seeds are too few for one.
        high: Upper end, None likewise.
        picked_from: Cells that `better` and `than` were each picked from.
        more_seeds: Further shared seeds that would decide an undecided claim, about; None where it
            is decided, and where `words` gives the reason why there is no estimate.
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
    picked_from: tuple[int, int] = (1, 1)
    more_seeds: int | None = None


@dataclass(frozen=True)
class _Side:
    """The cells of one side of a claim.

    Attributes:
        matched: Cells that the selector leaves, with and without a result: all of them could have
            been picked.
        measured: Those with the metric, best mean first; values are signed so that more is better.
    """

    matched: int
    measured: tuple[tuple[str, dict[int, float]], ...]

    @property
    def confidence(self) -> float:
        """Coverage of each interval, so that all of them together cover at `CONFIDENCE`."""
        return 1 - (1 - CONFIDENCE) / max(1, self.matched)


def claim_infos(record: StudyRecord) -> tuple[ClaimInfo, ...]:
    """Every claim of the study, answered from the trials that are complete."""
    cells = group_cells(record)
    return tuple(_claim_info(claim, record, cells) for claim in record.claims)


def _claim_info(claim: Claim, record: StudyRecord, cells: Sequence[Cell]) -> ClaimInfo:
    metric = claim.metric or record.metric
    direction = claim.direction or record.direction_of(metric)
    better = _side(cells, claim.better, metric, direction)
    than = _side(cells, claim.than, metric, direction)
    if not better.measured or not than.measured:
        missing = "better" if not better.measured else "than"
        words = f"Undecided: no complete trial of '{missing}' has measured {metric_label(metric)}."
        return ClaimInfo(claim.question, "undecided", words, metric)
    (first, ours), (second, theirs) = better.measured[0], than.measured[0]
    difference = paired_difference(ours, theirs)
    low = _bound(
        [_interval(ours, values, better.confidence) for _, values in than.measured], lower=True
    )
    high = _bound(
        [_interval(values, theirs, than.confidence) for _, values in better.measured], lower=False
    )
    answer = _answer(low, high, claim.margin)
    info = ClaimInfo(
        question=claim.question,
        answer=answer,
        words="",
        metric=metric,
        better=first,
        than=second,
        difference=difference,
        low=low,
        high=high,
        picked_from=(better.matched, than.matched),
        more_seeds=_more_seeds(better, than, claim.margin) if answer == "undecided" else None,
    )
    return replace(info, words=_words(info, finished=record.finished))


def _side(cells: Sequence[Cell], selector: Selector, metric: str, direction: Direction) -> _Side:
    matched = [cell for cell in cells if selector.matches(cell.knobs)]
    measured = [
        (cell.label, cell.signed(metric, direction)) for cell in matched if metric in cell.values
    ]
    measured.sort(key=lambda labelled: -fmean(labelled[1].values()))
    return _Side(len(matched), tuple(measured))


def _interval(
    first: Mapping[int, float], second: Mapping[int, float], confidence: float
) -> Interval | None:
    difference = paired_difference(first, second, partial(t_interval, confidence=confidence))
    return difference.interval if difference else None


def _bound(intervals: Sequence[Interval | None], *, lower: bool) -> float | None:
    """The furthest of the lower (or upper) ends; None where one is missing: it may be anywhere."""
    ends = [interval.low if lower else interval.high for interval in intervals if interval]
    finite = [end for end in ends if end is not None]
    if len(finite) < len(intervals):
        return None
    return min(finite) if lower else max(finite)


def _answer(low: float | None, high: float | None, margin: float) -> Answer:
    if low is not None and low > margin:
        return "supported"
    return "not supported" if high is not None and high < margin else "undecided"


def _more_seeds(better: _Side, than: _Side, margin: float) -> int | None:
    """Seeds to decide in the direction that the lead over the margin has now.

    They are those against the hardest cell of the other side.
    """
    (_, ours), (_, theirs) = better.measured[0], than.measured[0]
    ours = {seed: value - margin for seed, value in ours.items()}
    if fmean(ours.values()) > fmean(theirs.values()):
        confidence = better.confidence
        leads = [paired_difference(ours, values) for _, values in than.measured]
    else:
        confidence = than.confidence
        leads = [
            paired_difference({seed: value - margin for seed, value in values.items()}, theirs)
            for _, values in better.measured
        ]
    needed = [
        more_seeds(lead.hedges_g, lead.interval.n, confidence)
        for lead in leads
        if lead is not None and lead.hedges_g is not None
    ]
    finite = [seeds for seeds in needed if seeds is not None]
    return max(finite) if finite and len(finite) == len(needed) else None


def _words(info: ClaimInfo, *, finished: bool) -> str:
    so_far = "" if finished else " so far"
    if info.difference is None:
        return f"Undecided{so_far}: {info.better} and {info.than} share no seed."
    lead, n = info.difference.interval.mean, info.difference.interval.n
    undecided = info.answer == "undecided"
    verdict = f"{sentence_case(info.answer)}{so_far}" + (f" at n = {n}" if undecided else "")
    ends = "which gives no interval"
    if info.low is not None or info.high is not None:
        ends = f"95 % interval {_ends(info.low, info.high)}"
    found = (
        f"{info.better} is {side(lead)} {info.than} by {number(abs(lead))} "
        f"in {metric_label(info.metric)} over {count_text(n, 'shared seed')}"
    )
    sentence = f"{verdict}: {found}, {ends}{_allowance(*info.picked_from)}."
    return f"{sentence} {_outlook(info.more_seeds, n)}" if undecided else sentence


def _ends(low: float | None, high: float | None) -> str:
    """The interval of a lead, of which positive means ahead."""
    first = "(−∞" if low is None else f"[{number(low)}"
    return f"{first}, " + ("∞)" if high is None else f"{number(high)}]")


def _allowance(better: int, than: int) -> str:
    sides = (("the first", better), ("the second", than))
    picked = [f"{side} from {cells}" for side, cells in sides if cells > 1]
    return f" (widened for picking {' and '.join(picked)} settings)" if picked else ""


def _outlook(more: int | None, n: int) -> str:
    if more is not None:
        return (
            f"About {count_text(more, 'more seed')} would decide it, "
            "if lead and spread are what these seeds show."
        )
    if n < FEWEST_TO_ESTIMATE:
        return f"At least {FEWEST_TO_ESTIMATE} shared seeds are needed to say how many it takes."
    return f"A lead this small beside its spread would not be significant with {MOST_SEEDS} seeds."
