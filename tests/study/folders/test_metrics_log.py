"""The metrics log read on: whatever happens to the file, the curves are those of a fresh read."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cpc_core.errors import ConfigError
from cpc_core.report import Report
from study.folders.growing_file import TAIL_BYTES, last_line
from study.folders.json_file import parse_as
from study.folders.metrics_log import MetricsLog
from study.folders.trial_folder import TrialFolder

METRICS = ("dev_accuracy", "train_loss", "snr_db")


def stamped(log: MetricsLog) -> MetricsLog:
    """The log after a look at its file."""
    path = Path(log.folder.path) / "metrics.jsonl"
    stat = path.stat() if path.exists() else None
    log.changed(None if stat is None else (stat.st_mtime_ns, stat.st_size))
    return log


def content(log: MetricsLog) -> dict[str, tuple[list[int], list[float]]]:
    curves = {metric: log.curve(metric) for metric in METRICS}
    return {metric: (each.steps.tolist(), each.values.tolist()) for metric, each in curves.items()}


def folder_in(path: Path) -> TrialFolder:
    folder = TrialFolder(path, 0)
    Path(folder.path).mkdir(parents=True, exist_ok=True)
    return folder


reports = st.builds(
    Report,
    step=st.integers(1, 30),
    metrics=st.dictionaries(
        st.sampled_from(METRICS), st.floats(width=32) | st.integers(-9, 9).map(float)
    ),
    elapsed_s=st.floats(0, 1e6),
)
CHANGES: tuple[str, ...] = ("append", "append", "append", "half", "rewind", "rewrite", "remove")


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(changes=st.lists(st.tuples(st.sampled_from(CHANGES), reports), max_size=12))
def test_reading_on_equals_reading_anew(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, Report]]
) -> None:
    folder = folder_in(tmp_path_factory.mktemp("log"))
    path, log = Path(folder.path) / "metrics.jsonl", MetricsLog(folder)
    for time_ns, (change, report) in enumerate(changes, start=1):
        finish_half_a_line(path)
        match change:
            case "append":
                folder.append(report)
            case "half":
                with path.open("ab") as file:
                    file.write(b'{"step": 99, "outc')
            case "rewind":
                folder.rewind(report.step)
            case "rewrite":
                path.write_bytes(b"")
                folder.append(report)
                folder.append(replace(report, step=report.step + 1))
            case _:
                path.unlink(missing_ok=True)
        if path.exists():
            # Changes within the resolution of the file system's clock.
            os.utime(path, ns=(time_ns, time_ns))
        fresh = stamped(MetricsLog(folder))
        assert content(stamped(log)) == content(fresh)
        assert set(log.metrics) == set(fresh.metrics)
        assert repr(log.last()) == repr(folder.log()[-1] if folder.log() else None)


def finish_half_a_line(path: Path) -> None:
    """Removes half a last line, as an attempt does that resumes a trial."""
    if path.exists():
        path.write_bytes(path.read_bytes()[: path.read_bytes().rfind(b"\n") + 1])


def test_a_curve_is_sorted_and_finite(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    for step, value in ((20, 0.7), (10, 0.6), (30, math.nan), (20, 0.8)):
        folder.append(Report(step, {"dev_accuracy": value}))
    folder.append(Report(40, {}))
    log = stamped(MetricsLog(folder))
    assert content(log)["dev_accuracy"] == ([10, 20], [0.6, 0.8])
    assert content(log)["snr_db"] == ([], [])


def test_only_new_lines_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, parsed = folder_in(tmp_path), list[int]()
    log = MetricsLog(folder)

    def counted(text: bytes, kind: type[list[object]]) -> list[object]:
        lines = parse_as(text, kind)
        parsed.append(len(lines))
        return lines

    monkeypatch.setattr("study.folders.metrics_log.parse_as", counted)
    for step in (10, 20, 30):
        folder.append(Report(step, {"dev_accuracy": 0.5}))
    assert stamped(log).metrics == ("dev_accuracy",)
    log.curve("dev_accuracy")
    folder.append(Report(40, {"train_loss": 1.0}))
    assert len(stamped(log).curve("dev_accuracy").steps) == 3
    assert parsed == [3, 1]


def test_a_damaged_line_is_named_where_it_is_met(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    folder.append(Report(10, {"dev_accuracy": 0.5}))
    with (Path(folder.path) / "metrics.jsonl").open("a") as file:
        file.write("garbage\n")
    log = stamped(MetricsLog(folder))
    with pytest.raises(ConfigError, match=r"metrics\.jsonl, line 2"):
        log.last()
    with pytest.raises(ConfigError, match=r"metrics\.jsonl, line 2"):
        log.curve("dev_accuracy")


@given(
    st.lists(st.integers(0, 3 * TAIL_BYTES).map(lambda size: b"x" * size), max_size=4),
    st.binary(max_size=9).filter(lambda text: b"\n" not in text),
)
def test_the_last_line_is_the_last_whole_one(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], rest: bytes
) -> None:
    path = tmp_path_factory.mktemp("lines") / "file"
    path.write_bytes(b"".join(line + b"\n" for line in lines) + rest)
    assert last_line(path) == (lines[-1] if lines else None)
