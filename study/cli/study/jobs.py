"""`cpc study submit|status|logs`: studies as jobs on a Ray cluster."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from study.cli.arguments import (
    JobServer,
    Out,
    Overrides,
    Scale,
    Spec,
    say_what_is_ignored,
    target_path,
)
from study.cli.output import Output, message, next_steps, print_rows
from study.errors import NotFoundError, StudyFailedError
from study.folders.study_folder import StudyFolder
from study.spec.study_spec import StudySpec

LOCAL_HEAD = "http://127.0.0.1:8265"
"""Address at which `ray start --head` serves jobs."""


Job = Annotated[str, Parameter(help="A job that `submit` named.")]


def submit(
    spec: Spec,
    /,
    *,
    address: JobServer = LOCAL_HEAD,
    scale: Scale = None,
    set: Overrides = None,
    out: Out = None,
) -> None:
    """Submits a study as a Ray job; its folder has this path or URI on every node."""
    from cluster import jobs

    say_what_is_ignored(address)
    loaded = StudySpec.load(spec, set or [], scale)
    folder = StudyFolder(target_path(out, loaded.name).path)
    submission = jobs.submit(loaded, folder, address=address)
    job = submission.job.job_id
    submitted = "submitted" if submission.is_new else "already running"
    message(f"{submitted} to {address} as {job}, study folder {folder}")
    at = "" if address == LOCAL_HEAD else f" --address {address}"
    next_steps(
        f"cpc study status {job}{at}",
        f"cpc study logs {job} --follow{at}",
        f"cpc dashboard {folder}",
    )


def status(
    job: Annotated[
        str | None, Parameter(help="A job that `submit` named; without one, all of them.")
    ] = None,
    /,
    *,
    address: JobServer = LOCAL_HEAD,
    output: Output = "table",
) -> None:
    """Prints submitted studies and their status."""
    from cluster import jobs

    say_what_is_ignored(address)
    found = jobs.jobs(address=address) if job is None else [jobs.status(job, address=address)]
    if not found:
        raise NotFoundError(f"no study was submitted to {address} yet")
    rows = [
        {"job": job.job_id, "status": job.status, "folder": job.folder, "message": job.message}
        for job in found
    ]
    print_rows(rows, output)


def logs(job: Job, /, *, address: JobServer = LOCAL_HEAD, follow: bool = False) -> None:
    """Prints the output of a submitted study.

    Parameters
    ----------
    follow
        Keep printing until the job ends; a failed job is an error.
    """
    from cluster import jobs

    say_what_is_ignored(address)
    for text in jobs.logs(job, address=address, follow=follow):
        print(text, end="", flush=True)  # noqa: T201
    ended = jobs.status(job, address=address)
    if follow and ended.status == "FAILED":
        raise StudyFailedError(f"{job} failed: {ended.message}")
