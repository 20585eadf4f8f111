"""`cpc study pause|stop|cancel|retry|resume` without Ray: output, exit codes, stored trials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from cluster.events import Notice
from study.cli.progress import notice_text
from study.cli.study.watch import follow
from study.control.requests import ControlRequests, Desired, read_requests, request
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from study.storage.base import Storage
from tests.helpers.cli import cpc
from tests.helpers.specs import tiny_spec
from tests.helpers.studies import ended_study, locked


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of four trials without a driver, of which the first has ended."""
    folder = tmp_path / "studies" / "tiny"
    ended_study(folder, tiny_spec(seeds=[0, 1]), lambda assignment: {"dev_map": 0.5}, trials=1)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def driver(folder: Path) -> Iterator[Storage]:
    lock = locked(folder)
    yield lock
    lock.close()


@pytest.mark.parametrize("verb", ["pause", "stop"])
def test_a_study_without_a_driver_cannot_be_paused_or_stopped(folder: Path, verb: str) -> None:
    result = cpc("study", verb, "tiny", code=2)
    assert "no process is running tiny: it is interrupted" in result.err
    assert "`cpc study resume" in result.err
    assert result.out == ""
    assert not (folder / "control.json").exists()


def test_pause_and_resume_of_a_running_study(folder: Path, driver: Storage) -> None:
    assert (
        "starts no new trial of tiny; 0 running trials train to the end"
        in cpc("study", "pause", "tiny").err
    )
    assert read_requests(StudyFolder(folder)).desired == "pause"
    assert "the pause of tiny is lifted" in cpc("study", "resume", "tiny").err
    assert read_requests(StudyFolder(folder)).desired == "run"


def test_a_study_that_is_being_stopped_cannot_be_resumed_yet(folder: Path, driver: Storage) -> None:
    assert "is requested to stop" in cpc("study", "stop", "tiny").err
    assert read_requests(StudyFolder(folder)).desired == "stop"
    assert "tiny is being stopped by process" in cpc("study", "resume", "tiny", code=2).err


@pytest.mark.parametrize(
    ("wanted", "state"), [("run", "interrupted"), ("pause", "paused"), ("stop", "stopped")]
)
def test_lists_distinguish_paused_and_interrupted_studies(
    folder: Path, wanted: str, state: str
) -> None:
    request(StudyFolder(folder), ControlRequests.model_validate({"wanted": wanted}))
    (row,) = cpc("study", "ls", "-o", "json").parsed()
    assert (row["study"], row["state"], row["ended"], row["planned"]) == ("tiny", state, 1, 4)
    assert f"state: {state}" in cpc("study", "show", "tiny").err
    lock = locked(folder)
    running = {"run": "running", "pause": "pausing", "stop": "stopping"}[wanted]
    assert cpc("study", "ls", "-o", "json").parsed()[0]["state"] == running
    lock.close()


def test_watching_ends_where_a_study_was_paused(folder: Path) -> None:
    waits = 0

    def wait(seconds: float) -> None:
        nonlocal waits
        waits += 1
        request(StudyFolder(folder), ControlRequests(desired="pause"))

    assert not follow(StudyFolder(folder), 1.0, wait).finished
    assert waits == 1
    assert (
        "state: paused: `cpc study resume tiny` continues it" in cpc("study", "watch", "tiny").err
    )


@pytest.mark.parametrize("output", ["json", "csv"])
def test_cancel_then_retry(folder: Path, output: str) -> None:
    result = cpc("study", "cancel", "tiny", "--trial", "1", "--trial", "2", "-o", output)
    rows = result.parsed(output)
    assert [(int(row["trial"]), row["outcome"]) for row in rows] == [
        (1, "cancelled"),
        (2, "cancelled"),
    ]
    assert "cpc study retry tiny" in result.err
    result = cpc("study", "retry", "tiny", "-o", output)
    rows = result.parsed(output)
    assert [(int(row["trial"]), int(row["retried_as"])) for row in rows] == [(1, 4), (2, 5)]
    assert "cpc study resume tiny" in result.err
    assert [trial.outcome for trial in read_study(StudyFolder(folder)).trials] == [
        "complete",
        "waiting",
        "waiting",
        "waiting",
    ]
    shown = cpc("study", "show", "tiny", "-o", "json").parsed()
    assert [row["outcome"] for row in shown][1:3] == [
        f"cancelled: cancelled by the user, retried as trial {number}" for number in (4, 5)
    ]
    assert len(shown) == 6


def test_cancelling_all_ends_what_waits(folder: Path) -> None:
    rows = cpc("study", "cancel", "tiny", "-o", "json").parsed()
    assert [row["trial"] for row in rows] == [1, 2, 3]
    assert read_study(StudyFolder(folder)).finished
    assert "state: ended" in cpc("study", "show", "tiny").err


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
def test_an_impossible_request_is_refused(
    folder: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    result = cpc("study", *arguments, code=code)
    assert message in result.err
    assert result.out == ""


@pytest.mark.parametrize(
    ("wanted", "by_signal", "report_s", "parts"),
    [
        (
            "stop",
            True,
            12.0,
            (
                "2 running trials train to the next report",
                "(the latest took 12 s)",
                "a second Ctrl-C stops at once",
                "resume x",
            ),
        ),
        (
            "stop",
            False,
            None,
            ("next report, which saves a checkpoint; `cpc study resume x` continues",),
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
    notice = Notice(cast(Desired, wanted), by_signal, running=2, report_s=report_s)
    text = notice_text(notice, StudyFolder("x"))
    assert [part for part in parts if part not in text] == []
    limited = notice_text(replace(notice, grace_s=60.0), StudyFolder("x"))
    assert ("or at a checkpoint within 1 min" in limited) == (wanted == "stop")


@pytest.mark.parametrize("visible", [True, False])
def test_a_job_is_stopped_through_its_folder_where_visible(
    folder: Path, driver: Storage, monkeypatch: pytest.MonkeyPatch, visible: bool
) -> None:
    from cluster import jobs

    where = folder if visible else folder.parent / "elsewhere"
    job, calls = jobs.Job("cpc-tiny", "RUNNING", "", str(where), 1.0, 0.0), []
    monkeypatch.setattr(jobs, "status", lambda job_id, address: job)
    monkeypatch.setattr(
        jobs, "await_end", lambda job_id, address, timeout_s: calls.append(timeout_s)
    )
    monkeypatch.setattr(jobs, "stop", lambda job_id, address: replace(job, status="STOPPED"))
    result = cpc("study", "stop", "cpc-tiny", "--address", "http://127.0.0.1:1", "--grace", "5s")
    assert f"cpc-tiny: STOPPED; `cpc study resume {where}`" in result.err
    requested = read_requests(StudyFolder(folder)).desired
    assert (calls, requested) == (([5.0], "stop") if visible else ([], "run"))
