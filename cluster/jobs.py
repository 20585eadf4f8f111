"""Studies as Ray jobs on a running cluster, independent of this process."""

from __future__ import annotations

import logging
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, cast

import requests
from ray.exceptions import AuthenticationError, RayError, RpcError
from ray.job_submission import JobDetails, JobSubmissionClient

from cluster.environment import only_address, require_listener, token_refused
from cluster.kinds.capacity import ClusterError
from cpc_core.corpus.sample import SAMPLE_NAME
from cpc_core.storage_path import StoragePath
from study.errors import NotFoundError, UnreachableError
from study.folders.study_folder import StudyFolder
from study.spec.study_spec import StudySpec

Status = Literal["PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED"]
"""Ray's own words; the last three are final."""


POLL_S = 1.0


STOP_TIMEOUT_S = 30.0


ANSWER_S = 10.0


AGENT_START_S = 60.0
"""Longest wait of a submission for a node that has only just started."""


_PACKAGES = ("cpc_core", "search_spaces", "study", "cluster", "dashboards")


_FOLDER = "study_folder"


_RAYS_PYTHON = (
    r"""PATH="$(sed -n 's|^.* \(/.*\)/lib/python3[^/]*/site-packages/ray/.*|\1|p' """
    """/proc/$PPID/maps | head -n 1)/bin:$PATH" python"""
)
"""Shell command that starts the Python of the cluster's Ray, which need not be on the `PATH`.

It is the Python of the process that starts the job, which has Ray's libraries loaded.
"""


_CHATTY = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
"""Loggers that set their own level and print a line per uploaded package."""


@dataclass(frozen=True)
class Job:
    """A study on a cluster.

    Attributes:
        job_id: `cpc-<study>-<spec hash>`, with a counter from the second submission on.
        status: Ray's status.
        message: Ray's sentence about it.
        folder: The study folder on the cluster.
        start_s: Unix time of its start, 0 before.
        end_s: Unix time of its end, 0 before.
    """

    job_id: str
    status: Status
    message: str
    folder: str
    start_s: float
    end_s: float

    @property
    def ended(self) -> bool:
        """True if its status is final."""
        return self.status not in ("PENDING", "RUNNING")


@dataclass(frozen=True)
class Submission:
    """Result of a submission.

    Attributes:
        job: The job.
        is_new: False if this study was already running into that folder, so that nothing was
            submitted.
    """

    job: Job
    is_new: bool


def submit(spec: StudySpec, folder: StudyFolder, *, address: str) -> Submission:
    """Starts `cpc study run` on a cluster, which needs the dependencies only.

    The project's packages travel with the job.

    Args:
        spec: The study, resolved.
        folder: The study folder, at this path or URI on every node.
        address: Of the cluster or of its dashboard.

    Raises:
        UnreachableError: No cluster answers at the address.
        ClusterError: It refuses the job.
    """
    folder = StudyFolder(folder.path)
    if spec.corpus != SAMPLE_NAME:
        spec = spec.model_copy(update={"corpus": str(StoragePath.of(spec.corpus))})
    base = f"cpc-{spec.name}-{spec.hash}"
    with _client(address) as client, tempfile.TemporaryDirectory(prefix="cpc-job-") as working_dir:
        earlier = [
            job for job in _jobs(client) if job.job_id == base or job.job_id.startswith(f"{base}-")
        ]
        for job in earlier:
            if not job.ended and job.folder == str(folder):
                return Submission(job, is_new=False)
        (Path(working_dir) / "spec.yaml").write_text(spec.to_yaml(), encoding="utf-8")
        job_id = _once_ready(
            client.submit_job,
            entrypoint=f"{_RAYS_PYTHON} -m study.cli study run spec.yaml "
            f"-o {shlex.quote(str(folder))} --address auto",
            submission_id=_next_id(base, [job.job_id for job in earlier]),
            runtime_env={
                "working_dir": working_dir,
                "py_modules": [_folder_of(package) for package in _PACKAGES],
            },
            metadata={_FOLDER: str(folder)},
        )
        return Submission(_job(client.get_job_info(job_id)), is_new=True)


def status(job_id: str, *, address: str) -> Job:
    """A job by its id.

    Raises:
        UnreachableError: No cluster answers at the address.
        NotFoundError: It has no such job.
    """
    with _client(address) as client:
        return _job_of(client, job_id)


def jobs(*, address: str) -> list[Job]:
    """All studies that were submitted to a cluster, the latest first.

    Raises:
        UnreachableError: No cluster answers at the address.
    """
    with _client(address) as client:
        return sorted(_jobs(client), key=lambda job: -job.start_s)


def logs(job_id: str, *, address: str, follow: bool) -> Iterator[str]:
    """Output of a job, in pieces; with `follow`, until the job ends.

    Raises:
        UnreachableError: No cluster answers at the address.
        NotFoundError: It has no such job.
    """
    with _client(address) as client:
        seen = 0
        # Ray's own way to follow a log can end while the job runs.
        while True:
            ended = _job_of(client, job_id).ended
            text = client.get_job_logs(job_id)
            if text[seen:]:
                yield text[seen:]
            seen = len(text)
            if ended or not follow:
                return
            time.sleep(POLL_S)


def stop(job_id: str, *, address: str) -> Job:
    """Stops a job and waits for its final status; the study can be resumed.

    The status comes up to three seconds before the end of the process; until then the study's lock
    refuses another driver.

    Raises:
        UnreachableError: No cluster answers at the address.
        NotFoundError: It has no such job.
        ClusterError: The job does not stop.
    """
    with _client(address) as client:
        if not _job_of(client, job_id).ended:
            client.stop_job(job_id)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while not (job := _job_of(client, job_id)).ended:
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"job {job_id} still runs {STOP_TIMEOUT_S:g} s after the request to stop: "
                    "look at its logs"
                )
            time.sleep(POLL_S)
        return job


def await_end(job_id: str, *, address: str, timeout_s: float) -> None:
    """Returns once a job has ended, or after `timeout_s`.

    Raises:
        UnreachableError: No cluster answers at the address.
        NotFoundError: It has no such job.
    """
    deadline = time.monotonic() + timeout_s
    with _client(address) as client:
        while not _job_of(client, job_id).ended and time.monotonic() < deadline:
            time.sleep(POLL_S)


@contextmanager
def _client(address: str) -> Iterator[JobSubmissionClient]:
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    require_listener(address)
    try:
        with only_address(address):
            client = JobSubmissionClient(_with_scheme(address))
        yield client
    except (ConnectionError, requests.exceptions.ConnectionError, RpcError) as error:
        raise UnreachableError(
            f"no Ray cluster answers at {address}: start one with `ray start --head`, or give the "
            "address of its dashboard, for example --address http://127.0.0.1:8265"
        ) from error
    except AuthenticationError as error:
        raise token_refused(address) from error
    except (ValueError, requests.exceptions.RequestException) as error:
        raise UnreachableError(
            f"{address} is no job server of a Ray cluster ({error}): give the address of its "
            "dashboard, for example --address http://127.0.0.1:8265"
        ) from error
    except (RuntimeError, RayError) as error:
        raise ClusterError(f"the cluster at {address} refused: {error}") from error


def _with_scheme(address: str) -> str:
    """`http://` before a HOST:PORT at which a job server answers.

    Ray takes HOST:PORT for the port of its control store.
    """
    if "://" in address or address == "auto":
        return address
    url = f"http://{address}"
    try:
        requests.get(f"{url}/api/version", timeout=ANSWER_S)
    except requests.exceptions.RequestException:
        return address
    return url


def _once_ready(submit: Callable[..., str], **job: Any) -> str:
    """Submits to a cluster that may have just started: a node's job agent follows seconds later."""
    deadline = time.monotonic() + AGENT_START_S
    while True:
        try:
            return submit(**job)
        except RuntimeError as error:
            if "No available agent" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(POLL_S)


def _next_id(base: str, taken: Sequence[str]) -> str:
    """`base`, with a counter from the second job on; jobs between may have been deleted."""
    counters = [1 if job_id == base else int(job_id.removeprefix(f"{base}-")) for job_id in taken]
    return f"{base}-{max(counters) + 1}" if counters else base


def _job_of(client: JobSubmissionClient, job_id: str) -> Job:
    for job in _jobs(client):
        if job.job_id == job_id:
            return job
    raise NotFoundError(
        f"the cluster has no study job {job_id}: `cpc study status` without a job lists them"
    )


def _jobs(client: JobSubmissionClient) -> list[Job]:
    return [_job(details) for details in client.list_jobs() if _FOLDER in (details.metadata or {})]


def _job(details: JobDetails) -> Job:
    return Job(
        job_id=cast(str, details.submission_id),
        status=details.status.value,
        # Ray appends the end of the job's output.
        message=(details.message or "").partition(", last available logs")[0],
        folder=(details.metadata or {})[_FOLDER],
        start_s=(details.start_time or 0) / 1000,
        end_s=(details.end_time or 0) / 1000,
    )


def _folder_of(package: str) -> str:
    """Folder of a package, found without an import, which may take seconds."""
    return str(Path(cast(str, cast(ModuleSpec, find_spec(package)).origin)).parent)
