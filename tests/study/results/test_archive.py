from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cpc_core.errors import ConfigError
from cpc_core.evaluation.clip_scores import MetricsByRecording
from cpc_core.storage_path import StoragePath
from study.folders.study_folder import StudyFolder
from study.results.archive import joined, read_archive, to_archive
from study.results.reader import read_study
from study.results.records import StudyRecord
from study.spec.study_spec import StudySpec
from tests.helpers.cli import cpc
from tests.helpers.specs import tiny_spec
from tests.helpers.studies import asked, ended_study, log_up_to, opened

SPACE = {"temperature": [0.05, 1.0]}


def _study(folder: Path, *seeds: int) -> tuple[StudySpec, StudyRecord]:
    """A study whose scores are those of its settings and seeds."""
    spec = tiny_spec(space=SPACE, seeds=list(seeds))
    return spec, ended_study(
        folder,
        spec,
        lambda each: {"dev_map": each.config.objective.temperature / 3 + each.config.seed},
    )


def _with_clips(record: StudyRecord) -> StudyRecord:
    values = np.asarray([0.25, 0.1, 0.9], np.float32).astype(np.float64)
    clips = MetricsByRecording(("a", "b", "c"), 3, {"dev_map": values})
    trials = tuple(replace(trial, clips=clips) for trial in record.trials)
    return replace(record, trials=trials)


def _read(path: Path, content: bytes) -> StudyRecord:
    path.write_bytes(content)
    return read_archive(StoragePath.of(path))


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    spec, record = _study(tmp_path / "study", 0, 1)
    record = _with_clips(record)
    found = _read(tmp_path / "x.parquet", to_archive(spec, record))
    for field in fields(record):
        if field.name != "prediction":
            assert getattr(found, field.name) == getattr(record, field.name), field.name
    for before, after in zip(record.trials, found.trials, strict=True):
        assert after.history.reports == before.history.reports != ()
        assert before.clips is not None and after.clips is not None
        assert after.clips.recordings == before.clips.recordings
        assert after.clips.classified == before.clips.classified
        np.testing.assert_array_equal(after.clips.values["dev_map"], before.clips.values["dev_map"])


def test_a_study_that_runs_is_archived_as_far_as_it_is(tmp_path: Path) -> None:
    spec = tiny_spec(space=SPACE)
    with opened(tmp_path / "study", spec) as store:
        log_up_to(store, asked(store), 10, 20)
        record = read_study(StudyFolder(tmp_path / "study"))
    found = _read(tmp_path / "x.parquet", to_archive(spec, record))
    assert [trial.outcome for trial in found.trials] == ["running", "waiting"]
    assert found.trials == record.trials
    assert found.trials[0].history.reports == record.trials[0].history.reports != ()


def test_studies_of_other_seeds_join_to_the_study_of_all(tmp_path: Path) -> None:
    parts = [_study(tmp_path / name, *seeds) for name, *seeds in (("a", 0), ("b", 2, 1))]
    _, whole = _study(tmp_path / "whole", 0, 1, 2)
    spec, record = joined([*parts, parts[0]])
    assert spec.seeds == record.planned_seeds == (0, 1, 2)
    assert record.planned == len(record.trials) == 6 and record.finished
    assert [trial.number for trial in record.trials] == list(range(6))
    by_id = {trial.trial_id: trial.metrics for trial in whole.trials}
    assert {trial.trial_id: trial.metrics for trial in record.trials} == by_id


def test_studies_that_differ_otherwise_are_not_joined(tmp_path: Path) -> None:
    first = _study(tmp_path / "a", 0)
    spec = tiny_spec(space={"temperature": [0.1]}, seeds=[1])
    other = spec, ended_study(tmp_path / "b", spec, lambda _: {"dev_map": 0.5})
    with pytest.raises(ConfigError, match="differ in more than their seeds"):
        joined([first, other])
    spec, record = _study(tmp_path / "c", 1)
    elsewhere = replace(record, provenance={**record.provenance, "corpus_hash": "d" * 64})
    with pytest.raises(ConfigError, match="different corpora"):
        joined([first, (spec, elsewhere)])


def test_what_is_no_archive_is_told_apart(tmp_path: Path) -> None:
    content = to_archive(*_study(tmp_path / "study", 0))
    with pytest.raises(ConfigError, match="is no archive of a study"):
        _read(tmp_path / "x.parquet", content[:-9])
    table = pq.read_table(pa.BufferReader(content))
    for metadata, message in (
        ({}, "is no archive of a study"),
        ({**table.schema.metadata, b"format": b"2"}, "has format 2, newer than"),
        ({**table.schema.metadata, b"spec": b"[1"}, "is no archive of a study"),
    ):
        pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "x.parquet")
        with pytest.raises(ConfigError, match=message):
            read_archive(StoragePath.of(tmp_path / "x.parquet"))


def test_commands_read_an_archive_as_they_read_the_study(tmp_path: Path) -> None:
    _study(tmp_path / "studies" / "tiny", 0, 1, 2)
    cpc("study", "archive", "tiny", "-o", "tiny.parquet", cwd=tmp_path)
    for command in (["study", "best"], ["study", "compare"], ["study", "export"]):
        tail = ["temperature=0.05", "temperature=1.0"] if "compare" in command else []
        of_study = cpc(*command, "tiny", *tail, cwd=tmp_path)
        of_archive = cpc(*command, "tiny.parquet", *tail, cwd=tmp_path)
        assert of_archive.out == of_study.out != ""
    for name in ("tiny", "tiny.parquet"):
        cpc("report", name, "-o", f"{name}.html", cwd=tmp_path)
    assert (tmp_path / "tiny.parquet.html").read_text() == (tmp_path / "tiny.html").read_text()
    missing = cpc("study", "best", "none.parquet", cwd=tmp_path, code=3)
    assert "there is no archive none.parquet" in missing.err
