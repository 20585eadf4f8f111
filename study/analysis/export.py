"""A study as flat tables for other programs: a row per trial, or per line of the metrics logs."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from study.analysis.cells import Cell, catalog_knobs, group_cells
from study.analysis.cost import predicted_s
from study.results.records import StudyRecord, TrialRecord

FileFormat = Literal["csv", "json", "parquet"]
Row = dict[str, Any]


def trial_rows(record: StudyRecord) -> list[Row]:
    """A row per trial: identity, knobs, outcome, latest metrics, time; None what it lacks."""
    knobs = _knobs(record)
    metrics = sorted({name for trial in record.trials for name in trial.metrics})
    return [
        {
            **_identity(record, trial, knobs),
            "outcome": trial.outcome,
            "reason": trial.reason,
            "step": trial.step,
            "duration_s": trial.duration_s,
            "predicted_s": predicted_s(record, trial),
            **{name: trial.metrics.get(name) for name in metrics},
        }
        for trial in record.trials
    ]


def score_row(record: StudyRecord, cell: Cell) -> Row:
    """A cell with the mean and interval of each objective, named after it if there are several."""
    metrics = dict.fromkeys((record.metric, *(objective.metric for objective in record.objectives)))
    row: Row = {"cell": cell.label}
    for metric in metrics:
        score = cell.metrics.get(metric)
        prefix = f"{metric}_" if len(metrics) > 1 else ""
        row |= {
            metric: score.mean if score else None,
            f"{prefix}low": score.low if score else None,
            f"{prefix}high": score.high if score else None,
        }
    return {**row, "seeds": cell.metrics[record.metric].n}


def report_rows(record: StudyRecord) -> list[Row]:
    """A row per line of the metrics logs, in trial and step order."""
    knobs = _knobs(record)
    logged = [(trial, trial.history.reports) for trial in record.trials]
    metrics = sorted({name for _, log in logged for report in log for name in report.metrics})
    return [
        {
            **_identity(record, trial, knobs),
            "step": report.step,
            **{name: report.metrics.get(name) for name in metrics},
        }
        for trial, log in logged
        for report in log
    ]


def encode(rows: Sequence[Row], file_format: FileFormat) -> bytes:
    """Rows as the content of a file. Numbers keep every digit.

    Args:
        rows: Rows with the same keys.
        file_format: CSV leaves out what is None; JSON is a list of objects; Parquet has a column
            per key.
    """
    if file_format == "json":
        return json_text(list(rows)).encode()
    if file_format == "parquet":
        return _parquet(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def json_text(content: Any) -> str:
    """Content as JSON, in which NaN and infinity become null, as everything without a value."""
    return json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _parquet(rows: Sequence[Row]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), buffer)
    return buffer.getvalue()


def _identity(record: StudyRecord, trial: TrialRecord, knobs: Sequence[str]) -> Row:
    own = catalog_knobs(trial.knobs)
    return {
        "study": record.name,
        "trial": trial.number,
        "trial_id": trial.trial_id,
        "cell_id": trial.cell_id,
        "seed": trial.seed,
        **{name: own.get(name) for name in knobs},
    }


def _knobs(record: StudyRecord) -> list[str]:
    return list(dict.fromkeys(name for cell in group_cells(record) for name in cell.knobs))
