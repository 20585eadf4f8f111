"""`cpc study compare`, and the answers to a study's claims."""

from __future__ import annotations

from typing import get_args

from cpc_core.errors import ConfigError
from search_spaces.fields import nearest
from study.analysis.cells import Cell, cell_named
from study.analysis.claims import ClaimInfo, claim_infos
from study.analysis.comparison import Comparison
from study.analysis.comparison import compare as compared
from study.analysis.labels import sentence_case
from study.analysis.power import NewStudy
from study.analysis.statistics import IntervalOf, bootstrap_interval, t_interval
from study.cli.arguments import Interval, Record
from study.cli.output import Format, Output, message, next_steps, print_record, print_rows
from study.home import study_record
from study.results.records import StudyRecord
from study.spec.claims import Metric

INTERVALS: dict[str, IntervalOf] = {"t": t_interval, "bootstrap": bootstrap_interval}


def compare(
    study: Record,
    first: str | None = None,
    second: str | None = None,
    /,
    *,
    metric: str | None = None,
    interval: Interval = "t",
    output: Output = "table",
) -> None:
    """Compares two cells seed by seed: the difference, its interval, and the seeds that it lacks.

    Parameters
    ----------
    first
        The cell in question: its knobs (similarity=dot,temperature=1), its label as `best` prints
        it, or the beginning of its id.
    second
        The cell it is compared with. Without cells, the study's claims are answered.
    metric
        What to compare by; the study's objective by default.
    """
    record = study_record(study)
    if first is None or second is None:
        if first is not None:
            raise ConfigError(
                f"'{first}' is compared with nothing: name a second cell, or none to have the "
                "study's claims answered"
            )
        _claims(record, study, output)
        return
    name = metric or record.metric
    if name not in get_args(Metric):
        raise ConfigError(f"there is no metric '{name}'{nearest(name, list(get_args(Metric)))}")
    cells = [_measured(record, cell, name) for cell in (first, second)]
    comparison = compared(record, cells[0], cells[1], name, INTERVALS[interval])
    print_record(_row(comparison, cells[0], cells[1]), output)
    message(f"\n{sentence_case(comparison.first)}\n  {comparison.words}")
    if comparison.new_study is not None:
        message(f"  {comparison.new_study.words}")
    next_steps(f"cpc study best {study}", f"cpc dashboard {study}")


def _claims(record: StudyRecord, study: str, output: Format) -> None:
    infos = claim_infos(record)
    if not infos:
        raise ConfigError(
            f"{record.name} makes no claims: name two of its cells, or declare claims in its spec"
        )
    print_rows([_claim_row(info) for info in infos], output)
    print_claims(record)
    next_steps(f"cpc study best {study}", f"cpc report {study} -o report.html")


def _claim_row(info: ClaimInfo) -> dict[str, object]:
    difference = info.difference
    return {
        "question": info.question,
        "answer": info.answer,
        "metric": info.metric,
        "better": info.better,
        "than": info.than,
        "better_by": difference.interval.mean if difference else None,
        "low": info.low,
        "high": info.high,
        "shared_seeds": difference.interval.n if difference else 0,
        "joint_low": info.joint_low,
        "joint_high": info.joint_high,
        "better_lacks": info.lacking[0],
        "than_lacks": info.lacking[1],
        "clip_share": difference.interval.clip_share if difference else None,
        "looks": info.looks,
        **_new_study(info.new_study),
    }


def _new_study(planned: NewStudy | None) -> dict[str, object]:
    """Seeds that a new study would need, with their interval."""
    return {
        "new_study_seeds": planned.seeds if planned else None,
        "new_study_seeds_low": planned.fewest if planned else None,
        "new_study_seeds_high": planned.most if planned else None,
    }


def print_claims(record: StudyRecord) -> None:
    """Prints the answer to each claim of the study."""
    for info in claim_infos(record):
        message(f"\n{info.question}\n  {info.words}")


def _measured(record: StudyRecord, name: str, metric: str) -> Cell:
    cell = cell_named(record, name)
    if metric not in cell.metrics:
        raise ConfigError(
            f"no complete trial of '{cell.label}' has measured {metric}: it has "
            f"{', '.join(sorted(cell.metrics)) or 'none'}"
        )
    return cell


def _row(comparison: Comparison, first: Cell, second: Cell) -> dict[str, object]:
    """A comparison as one row; the difference is positive where `first` is better."""
    difference = comparison.difference
    interval = difference.interval if difference else None
    return {
        "first": comparison.first,
        "second": comparison.second,
        "metric": comparison.metric,
        "first_mean": first.metrics[comparison.metric].mean,
        "second_mean": second.metrics[comparison.metric].mean,
        "better_by": interval.mean if interval else None,
        "low": comparison.low,
        "high": comparison.high,
        "effect_size_d_z": difference.effect_size if difference else None,
        "effect_size_hedges_g": difference.hedges_g if difference else None,
        "shared_seeds": interval.n if interval else 0,
        "verdict": comparison.verdict,
        "clip_share": interval.clip_share if interval else None,
        **_new_study(comparison.new_study),
    }
