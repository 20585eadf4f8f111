"""Archives: the records of a study as one small Parquet file, without models and audio.

A row is a trial, with its metrics log as lists and its probe's metrics by recording. The spec and
the provenance are in the file's metadata. What reads a study folder's record reads an archive's.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cpc_core.errors import ConfigError
from cpc_core.evaluation.clip_scores import MetricsByRecording
from cpc_core.report import Report
from cpc_core.storage_path import StoragePath
from study.results.history import GivenHistory
from study.results.reader import record_of
from study.results.records import StudyRecord, TrialRecord
from study.spec.study_spec import StudySpec

FORMAT = 1
"""Version of the file's layout."""

SUFFIX = ".parquet"

_LOG, _CLIPS = "log:", "clips:"
"""Prefixes of the columns of a metric in the log, and of a metric by recording."""


def joined(records: Sequence[tuple[StudySpec, StudyRecord]]) -> tuple[StudySpec, StudyRecord]:
    """Studies that differ in their seeds as the one study that has them all.

    Trials keep their order, and are counted anew. A trial that several studies hold counts once.

    Raises:
        ConfigError: Something else differs, or their corpora do.
    """
    spec, first = records[0]
    if len(records) == 1:
        return records[0]
    for other, record in records[1:]:
        if _but_seeds(other) != _but_seeds(spec):
            raise ConfigError(f"{record.name} and {first.name} differ in more than their seeds")
        if record.provenance["corpus_hash"] != first.provenance["corpus_hash"]:
            raise ConfigError(f"the studies called {first.name} have different corpora")
    trials: dict[str, TrialRecord] = {}
    for _, record in records:
        for trial in record.trials:
            trials.setdefault(trial.trial_id, trial)
    seeds = dict.fromkeys(seed for each, _ in records for seed in each.seeds)
    spec = spec.model_copy(update={"seeds": tuple(sorted(seeds))})
    numbered = [replace(trial, number=number) for number, trial in enumerate(trials.values())]
    wall_s = sum(record.wall_s for _, record in records)
    return spec, record_of(spec, first.provenance, numbered, first.prediction, wall_s)


def to_archive(spec: StudySpec, record: StudyRecord) -> bytes:
    """The content of an archive. Numbers by recording have single precision, all others double."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    trials = record.every_trial
    logs = [trial.history.reports for trial in trials]
    clips = [trial.clips for trial in trials if trial.clips is not None]
    recordings = clips[0].recordings if clips else ()
    if any(each.recordings != recordings for each in clips):
        raise ConfigError(f"trials of {record.name} were probed on different recordings")
    columns: dict[str, Any] = {
        "trial": [trial.number for trial in trials],
        "trial_id": [trial.trial_id for trial in trials],
        "cell_id": [trial.cell_id for trial in trials],
        "seed": [trial.seed for trial in trials],
        "knobs": [json.dumps(dict(trial.knobs)) for trial in trials],
        "outcome": [trial.outcome for trial in trials],
        "reason": [trial.reason for trial in trials],
        "duration_s": [trial.duration_s for trial in trials],
        "adopted_steps": [trial.adopted_steps for trial in trials],
        "retried_as": pa.array([trial.retried_as for trial in trials], pa.int64()),
        "metrics": pa.array(
            [list(trial.metrics.items()) for trial in trials], pa.map_(pa.string(), pa.float64())
        ),
        "classified": [trial.clips.classified if trial.clips else None for trial in trials],
        "step": [[report.step for report in log] for log in logs],
        "elapsed_s": [[report.elapsed_s for report in log] for log in logs],
    }
    for name in _names(report.metrics for log in logs for report in log):
        columns[f"{_LOG}{name}"] = [[report.metrics.get(name) for report in log] for log in logs]
    for name in _names(each.values for each in clips):
        columns[f"{_CLIPS}{name}"] = pa.array(
            [trial.clips.values[name] if trial.clips else None for trial in trials],
            pa.list_(pa.float32()),
        )
    metadata = {
        "format": str(FORMAT),
        "spec": spec.model_dump_json(exclude={"scales"}),
        "provenance": json.dumps(dict(record.provenance)),
        "recordings": json.dumps(recordings),
        "wall_s": repr(record.wall_s),
    }
    buffer = io.BytesIO()
    table = pa.table(columns).replace_schema_metadata(metadata)
    pq.write_table(table, buffer, compression="zstd", compression_level=19)
    return buffer.getvalue()


def read_archive(path: StoragePath) -> StudyRecord:
    """The record of an archive.

    Raises:
        FileNotFoundError: There is no such file.
        ConfigError: It is no archive, or one of a newer format.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(path.read_bytes()))
        metadata = {key.decode(): each.decode() for key, each in table.schema.metadata.items()}
        found = int(metadata["format"])
        if found > FORMAT:
            raise ConfigError(f"{path} has format {found}, newer than this version of cpc reads")
        spec = StudySpec.model_validate_json(metadata["spec"])
        recordings = tuple(json.loads(metadata["recordings"]))
        trials = [_trial(row, recordings) for row in table.to_pylist(maps_as_pydicts="strict")]
        provenance = json.loads(metadata["provenance"])
        return record_of(spec, provenance, trials, None, float(metadata["wall_s"]))
    except (pa.ArrowException, KeyError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} is no archive of a study: {error}") from error


def _trial(row: Mapping[str, Any], recordings: tuple[str, ...]) -> TrialRecord:
    logged = {name: each for name, each in _having(row, _LOG).items() if each is not None}
    reports = tuple(
        Report(
            step,
            {name: each[place] for name, each in logged.items() if each[place] is not None},
            elapsed_s=row["elapsed_s"][place],
        )
        for place, step in enumerate(row["step"])
    )
    if reports:
        reports = (*reports[:-1], replace(reports[-1], outcome=row["outcome"]))
    clips = None
    if row["classified"] is not None:
        values = {name: np.asarray(each, np.float64) for name, each in _having(row, _CLIPS).items()}
        clips = MetricsByRecording(recordings, row["classified"], values)
    return TrialRecord(
        number=row["trial"],
        trial_id=row["trial_id"],
        cell_id=row["cell_id"],
        seed=row["seed"],
        knobs=json.loads(row["knobs"]),
        outcome=row["outcome"],
        reason=row["reason"],
        metrics=row["metrics"],
        step=reports[-1].step if reports else 0,
        history=GivenHistory(reports),
        duration_s=row["duration_s"],
        adopted_steps=row["adopted_steps"],
        retried_as=row["retried_as"],
        clips=clips,
    )


def _having(row: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): row[key] for key in row if key.startswith(prefix)}


def _names(groups: Iterable[Mapping[str, Any]]) -> list[str]:
    return sorted({name for group in groups for name in group})


def _but_seeds(spec: StudySpec) -> str:
    return spec.model_copy(update={"seeds": (0,)}).hash
