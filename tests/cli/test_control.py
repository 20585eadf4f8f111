"""`cpc study pause|stop|cancel|retry|resume` where no Ray is needed: texts, formats, exit codes and
what then stands in the store.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from study.cli.progress import notice_text
from study.cli.study.watch import _followed
from study.control.requests import ControlRequests, read_requests, request
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from study.storage.base import Storage
from tests.helpers.cli import Cpc
from tests.helpers.specs import tiny_spec
from tests.helpers.studies import ended_study, locked


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of four trials, of which the first has ended; nobody runs it."""
    folder = tmp_path / "studies" / "tiny"
    ended_study(folder, tiny_spec(seeds=[0, 1]), lambda assignment: {"dev_map": 0.5}, trials=1)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def cpc(capsys: pytest.CaptureFixture[str]) -> Cpc:
    return Cpc(capsys)


@pytest.fixture
def driver(folder: Path) -> Iterator[Storage]:
    lock = locked(folder)
    yield lock
    lock.close()


@pytest.mark.parametrize("verb", ["pause", "stop"])
def test_what_nobody_runs_cannot_be_paused_or_stopped(folder: Path, cpc: Cpc, verb: str) -> None:
    out, err = cpc("study", verb, "tiny", code=2)
    assert "nobody is running tiny: it is interrupted" in err
    assert "`cpc study resume" in err
    assert out == ""
    assert not (folder / "control.json").exists()


def test_pause_and_resume_of_a_running_study(folder: Path, cpc: Cpc, driver: Storage) -> None:
    assert (
        "starts no new trial of tiny; 0 running trials go on to the end"
        in cpc("study", "pause", "tiny")[1]
    )
    assert read_requests(StudyFolder(folder)).desired == "pause"
    assert "the pause of tiny is lifted" in cpc("study", "resume", "tiny")[1]
    assert read_requests(StudyFolder(folder)).desired == "run"


def test_a_study_that_is_being_stopped_cannot_be_resumed_yet(
    folder: Path, cpc: Cpc, driver: Storage
) -> None:
    assert "is asked to stop" in cpc("study", "stop", "tiny")[1]
    assert read_requests(StudyFolder(folder)).desired == "stop"
    assert "tiny is being stopped by process" in cpc("study", "resume", "tiny", code=2)[1]


@pytest.mark.parametrize(
    ("wanted", "state"), [("run", "interrupted"), ("pause", "paused"), ("stop", "stopped")]
)
def test_lists_tell_a_paused_study_from_an_interrupted_one(
    folder: Path, cpc: Cpc, wanted: str, state: str
) -> None:
    request(StudyFolder(folder), ControlRequests.model_validate({"wanted": wanted}))
    (row,) = json.loads(cpc("study", "ls", "-o", "json")[0])
    assert (row["study"], row["state"], row["ended"], row["planned"]) == ("tiny", state, 1, 4)
    assert f"state: {state}" in cpc("study", "show", "tiny")[1]
    lock = locked(folder)
    running = {"run": "running", "pause": "pausing", "stop": "stopping"}[wanted]
    assert json.loads(cpc("study", "ls", "-o", "json")[0])[0]["state"] == running
    lock.close()


def test_watching_ends_where_a_study_was_paused(folder: Path, cpc: Cpc) -> None:
    waits = 0

    def wait(seconds: float) -> None:
        nonlocal waits
        waits += 1
        request(StudyFolder(folder), ControlRequests(desired="pause"))

    assert not _followed(StudyFolder(folder), 1.0, wait).finished
    assert waits == 1
    assert "state: paused: `cpc study resume tiny` goes on" in cpc("study", "watch", "tiny")[1]


@pytest.mark.parametrize("output", ["json", "csv"])
def test_cancel_then_retry(folder: Path, cpc: Cpc, output: str) -> None:
    out, err = cpc("study", "cancel", "tiny", "--trial", "1", "--trial", "2", "-o", output)
    rows = json.loads(out) if output == "json" else list(csv.DictReader(io.StringIO(out)))
    assert [(int(row["trial"]), row["outcome"]) for row in rows] == [
        (1, "cancelled"),
        (2, "cancelled"),
    ]
    assert "cpc study retry tiny" in err
    out, err = cpc("study", "retry", "tiny", "-o", output)
    rows = json.loads(out) if output == "json" else list(csv.DictReader(io.StringIO(out)))
    assert [(int(row["trial"]), int(row["retried_as"])) for row in rows] == [(1, 4), (2, 5)]
    assert "cpc study resume tiny" in err
    assert [trial.outcome for trial in read_study(StudyFolder(folder)).trials] == [
        "complete",
        "waiting",
        "waiting",
        "waiting",
    ]
    shown = json.loads(cpc("study", "show", "tiny", "-o", "json")[0])
    assert [row["outcome"] for row in shown][1:3] == [
        f"cancelled: cancelled by the user, retried as trial {number}" for number in (4, 5)
    ]
    assert len(shown) == 6


def test_cancelling_all_ends_what_waits(folder: Path, cpc: Cpc) -> None:
    rows = json.loads(cpc("study", "cancel", "tiny", "-o", "json")[0])
    assert [row["trial"] for row in rows] == [1, 2, 3]
    assert read_study(StudyFolder(folder)).finished
    assert "state: ended" in cpc("study", "show", "tiny")[1]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("cancel", "tiny", "--trial", "9"), 3, "tiny has no trial 9, it has 0 to 3"),
        (
            ("cancel", "tiny", "--trial", "0"),
            2,
            "trial 0 of tiny has already ended (complete): name one that runs or waits",
        ),
        (("cancel", "tny"), 3, "there is no study 'tny' here; did you mean 'tiny'?"),
        (("retry", "tiny", "--trial", "0"), 2, "trial 0 of tiny is complete: only failed"),
        (
            ("retry", "tiny", "--trial", "1"),
            2,
            "trial 1 of tiny has not ended (waiting): `cpc study resume` continues it",
        ),
        (("retry", "tiny"), 3, "tiny has nothing to retry"),
        (("pause", "tny"), 3, "there is no study 'tny' here"),
        (("stop", "cpc-tiny-123"), 3, "there is no study 'cpc-tiny-123' here"),
    ],
)
def test_what_cannot_be_done_is_told(
    folder: Path, cpc: Cpc, arguments: tuple[str, ...], code: int, message: str
) -> None:
    out, err = cpc("study", *arguments, code=code)
    assert message in err
    assert out == ""


@pytest.mark.parametrize(
    ("wanted", "by_signal", "report_s", "parts"),
    [
        (
            "stop",
            True,
            12.0,
            (
                "2 running trials go on to the next report",
                "(the latest took 12 s)",
                "a second Ctrl-C stops at once",
                "resume x",
            ),
        ),
        (
            "stop",
            False,
            None,
            ("next report, which saves a checkpoint; `cpc study resume x` goes on",),
        ),
        (
            "pause",
            False,
            None,
            ("no new trial starts", "to the end", "`cpc study resume x` lifts the pause"),
        ),
        ("run", False, None, ("the pause is lifted",)),
        ("cancel", False, None, ("all running and waiting trials end now",)),
    ],
)
def test_a_notice_says_what_happens_and_how_to_go_on(
    wanted: str, by_signal: bool, report_s: float | None, parts: tuple[str, ...]
) -> None:
    notice = SimpleNamespace(wanted=wanted, by_signal=by_signal, running=2, report_s=report_s)
    text = notice_text(notice, Path("x"))  # type: ignore[arg-type]
    assert [part for part in parts if part not in text] == []


@pytest.mark.parametrize("visible", [True, False])
def test_a_job_is_asked_to_stop_through_its_folder_where_that_is_here(
    folder: Path, cpc: Cpc, driver: Storage, monkeypatch: pytest.MonkeyPatch, visible: bool
) -> None:
    from cluster import jobs

    where = folder if visible else folder.parent / "elsewhere"
    job, calls = jobs.Job("cpc-tiny", "RUNNING", "", str(where), 1.0, 0.0), []
    monkeypatch.setattr(jobs, "status", lambda job_id, address: job)
    monkeypatch.setattr(
        jobs, "await_end", lambda job_id, address, timeout_s: calls.append(timeout_s)
    )
    monkeypatch.setattr(jobs, "stop", lambda job_id, address: replace(job, status="STOPPED"))
    err = cpc("study", "stop", "cpc-tiny", "--address", "http://127.0.0.1:1", "--grace-s", "5")[1]
    assert f"cpc-tiny: STOPPED; `cpc study resume {where}`" in err
    assert (calls, read_requests(StudyFolder(folder)).desired) == (
        ([5.0], "stop") if visible else ([], "run")
    )
