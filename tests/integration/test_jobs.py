from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster import jobs
from cpc_core.errors import CpcError
from study.dispatch.dispatcher import Dispatcher
from study.errors import NotFoundError, UnreachableError
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from tests.helpers.processes import END_S, Marked
from tests.helpers.ray_nodes import RunningRay, free_ports
from tests.helpers.recordings import noise, write_recording
from tests.helpers.specs import TINY_BASE, tiny_spec

SHORT = tiny_spec(name="short", space={"temperature": [0.05]})


LONG = tiny_spec(
    name="long",
    space={"temperature": [0.05]},
    base={**TINY_BASE, "training": {"steps": 10**6, "report_every": 20, "dev_clips": 8}},
)


@pytest.fixture
def head(running_ray: RunningRay) -> str:
    """Address of the job server of a running cluster."""
    return running_ray.dashboard


def opened_soon(folder: Path) -> Dispatcher:
    """The stopped study, once its driver is gone: Ray calls a job stopped up to three seconds
    before.
    """
    deadline = time.monotonic() + END_S
    while True:
        try:
            return Dispatcher.create_or_open(
                StudyFolder(folder),
                LONG,
                read_study(StudyFolder(folder)).provenance["corpus_hash"],
                "",
            )
        except CpcError as error:
            assert "is being run by process" in str(error)
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_submitted_study_runs_to_its_end_on_the_cluster(head: str, tmp_path: Path) -> None:
    submission = jobs.submit(SHORT, StudyFolder(tmp_path / "study"), address=head)
    assert submission.is_new
    job_id = submission.job.job_id
    assert job_id == f"cpc-short-{SHORT.hash}"
    again = jobs.submit(SHORT, StudyFolder(tmp_path / "study"), address=head)
    assert (again.job.job_id, again.is_new) == (job_id, False)
    text = "".join(jobs.logs(job_id, address=head, follow=True))
    job = jobs.status(job_id, address=head)
    assert (job.status, job.folder) == ("SUCCEEDED", str(tmp_path / "study")), text
    assert "trial 0" in text
    record = read_study(StudyFolder(tmp_path / "study"))
    assert [trial.outcome for trial in record.trials] == ["complete"]
    assert record.finished
    assert [each.job_id for each in jobs.jobs(address=head)] == [job_id]


def test_stopped_study_ends_and_can_be_resumed(head: str, tmp_path: Path) -> None:
    job_id = jobs.submit(LONG, StudyFolder(tmp_path / "study"), address=head).job.job_id
    for text in jobs.logs(job_id, address=head, follow=True):
        if "trial 0" in text:
            break
    assert jobs.status(job_id, address=head).status == "RUNNING"
    assert jobs.stop(job_id, address=head).status == "STOPPED"
    assert jobs.stop(job_id, address=head).status == "STOPPED"
    assert [trial.outcome for trial in read_study(StudyFolder(tmp_path / "study")).trials] == [
        "running"
    ]
    store = opened_soon(tmp_path / "study")
    try:
        resumed = store.ask()
        assert resumed is not None
        assert resumed.number == 0
    finally:
        store.close()


def test_an_import_on_a_cluster_gives_the_bytes_of_one_process(
    running_ray: RunningRay, marked: Marked, tmp_path: Path
) -> None:
    for index in range(6):
        write_recording(
            tmp_path / "recordings" / "class" / f"{index}.wav",
            noise(0.3, index, rate=8_000),
            rate=8_000,
        )

    def imported(out: str, *where: str) -> dict[str, bytes]:
        command = [
            sys.executable,
            "-m",
            "study.cli",
            "data",
            "import",
            "recordings",
            "--out",
            out,
            "--clip-s",
            "0.2",
            *where,
        ]
        done = subprocess.run(
            command,
            env=running_ray.environment(marked),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return {path.name: path.read_bytes() for path in (tmp_path / out).iterdir()}

    assert imported("there", "--address", running_ray.address) == imported("here", "--tasks", "0")


def test_a_submission_waits_for_a_node_that_has_just_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ray refuses jobs until the node's agent is there; any other refusal stands."""
    monkeypatch.setattr("cluster.jobs.time.sleep", lambda seconds: None)
    answers: list[str | RuntimeError] = [
        RuntimeError("No available agent to submit job"),
        RuntimeError("No available agent"),
        "job",
    ]

    def submit(**job: str) -> str:
        answer = answers.pop(0)
        if isinstance(answer, RuntimeError):
            raise answer
        return answer

    assert jobs._once_ready(submit, entrypoint="x") == "job"
    answers[:] = [RuntimeError("disk is full"), "job"]
    with pytest.raises(RuntimeError, match="disk is full"):
        jobs._once_ready(submit, entrypoint="x")


def test_unknown_job_is_not_found(head: str) -> None:
    with pytest.raises(NotFoundError, match="has no study job cpc-nothing"):
        jobs.status("cpc-nothing", address=head)


def test_address_where_nothing_answers_is_named_with_what_to_do() -> None:
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    with pytest.raises(
        UnreachableError, match=f"at {address} .*: start one with `ray start --head`"
    ):
        jobs.jobs(address=address)
