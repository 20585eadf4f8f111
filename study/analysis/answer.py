"""The answer to a study's question in a few sentences, no surer than the seeds allow."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from cpc_core.report import Outcome
from study.analysis.cells import Cell, pareto_front, ranked, score
from study.analysis.comparison import Comparison, compare
from study.analysis.labels import (
    count_text,
    interval_text,
    metric_label,
    parts_text,
    sentence_case,
)
from study.analysis.leads import ALPHA, lost_text
from study.analysis.statistics import Interval, t_interval
from study.results.records import StudyRecord

NAMED = 3
"""More undecided settings than this are counted, not named."""

_ENDS: tuple[Outcome, ...] = ("complete", "diverged", "pruned", "failed", "cancelled", "running")


@dataclass(frozen=True)
class AnswerInfo:
    """Sentences that answer a study's question.

    Attributes:
        headline: The best cell with its interval, or the reason why there is none.
        detail: The runner-up and undecided settings; empty where there is nothing to add.
        state: Number of trials by status and final outcome.
        best: Label of the best cell, None without one.
        score: Its mean, and its interval widened (Bonferroni) for having been picked as the best;
            None without one.
        comparison: Best against runner-up, None below two cells.
        undecided: Labels of the cells that are not significantly different from the best.
    """

    headline: str
    detail: str
    state: str
    best: str | None = None
    score: Interval | None = None
    comparison: Comparison | None = None
    undecided: tuple[str, ...] = ()


def answer_info(record: StudyRecord) -> AnswerInfo:
    """One or two sentences for a study, partial or finished."""
    order, state = ranked(record), _state(record)
    if not order:
        return AnswerInfo(_why_nothing(record), "", state)
    best, among = order[0], len(order)
    own = score(best, record.metric, t_interval, 1 - ALPHA / among)
    others = tuple(compare(record, best, other, among=among) for other in order[1:])
    undecided = tuple(comparison.second for comparison in others if comparison.verdict != "better")
    measured = f"Its {metric_label(record.metric)} is {interval_text(own)}"
    return AnswerInfo(
        headline=f"{_verdict(record, others, undecided)}: {best.label}. {measured}{_seeds(own)}.",
        detail=" ".join(
            filter(None, [parts_text(own), *_details(best, others, undecided), *_front(record)])
        ),
        state=state,
        best=best.label,
        score=own,
        comparison=others[0] if others else None,
        undecided=undecided,
    )


def _verdict(
    record: StudyRecord, others: tuple[Comparison, ...], undecided: tuple[str, ...]
) -> str:
    so_far = "" if record.complete else " so far"
    if not others:
        return f"The only setting with a result{so_far}"
    if not record.complete:
        return "Interim, ahead so far"
    return "Ahead, but undecided" if undecided else "Best"


def _details(best: Cell, others: tuple[Comparison, ...], undecided: tuple[str, ...]) -> list[str]:
    sentences = []
    if others:
        words = others[0].words
        decided = others[0].verdict in ("better", "worse")
        sentences.append(f"It is {words}." if decided else f"{sentence_case(words)}.")
        if len(others) > 1 and others[0].verdict != "interim":
            sentences.append(_undecided_sentence(len(others), undecided))
    elif lost := lost_text([best]):
        sentences.append(f"Only its complete trials count; beside them {lost}.")
    return sentences


def _front(record: StudyRecord) -> list[str]:
    """The number of settings to choose from where there are several objectives."""
    if len(record.objectives) < 2:
        return []
    between = " and ".join(metric_label(objective.metric) for objective in record.objectives)
    count = count_text(len(pareto_front(record)), "setting")
    return [f"On the Pareto front of {between}: {count} that no other beats in each of them."]


def _undecided_sentence(others: int, undecided: tuple[str, ...]) -> str:
    if not undecided:
        return f"It is better than each of the {others} others."
    different = "significantly different from it at this number of seeds"
    if len(undecided) == others:
        return f"None of the {others} other settings is {different}."
    if len(undecided) <= NAMED:
        return f"Not {different}: {'; '.join(undecided)}."
    return f"Of the {others} other settings, {len(undecided)} are not {different}."


def _seeds(score: Interval) -> str:
    return f" over {count_text(score.n, 'seed')}" if score.n > 1 else ""


def _state(record: StudyRecord) -> str:
    counts = Counter(trial.outcome for trial in record.trials)
    waiting = counts.pop("waiting", 0) + max(0, record.planned - len(record.trials))
    parts = [f"{counts[outcome]} {outcome}" for outcome in _ENDS if counts[outcome]]
    parts += [f"{waiting} waiting"] if waiting else []
    spent = f"; {record.budget_spent}" if record.budget_spent else ""
    trials = count_text(max(record.planned, len(record.trials)), "trial")
    return f"{trials}: {', '.join(parts)}{spent}" if parts else "no trials planned"


def _why_nothing(record: StudyRecord) -> str:
    ended = [trial for trial in record.trials if trial.outcome not in ("waiting", "running")]
    if not record.trials:
        return "No trial has started yet."
    if not ended:
        return "No trial has ended yet."
    if any(trial.outcome == "complete" for trial in ended):
        return f"No complete trial has measured {metric_label(record.metric)}."
    outcomes = Counter(trial.outcome for trial in ended)
    how = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    trials = count_text(len(ended), "trial")
    return f"No setting can be ranked: none of the {trials} that ended is complete ({how})."
