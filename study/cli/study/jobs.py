"""`cpc study submit|status|logs`: studies as jobs on a Ray cluster."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from study.cli.arguments import target_path
from study.cli.output import Format, message, next_steps, print_rows
from study.errors import NotFoundError
from study.folders.study_folder import StudyFolder
from study.spec.study_spec import StudySpec

LOCAL_HEAD = "http://127.0.0.1:8265"
"""Where `ray start --head` serves jobs."""


Address = Annotated[str, Parameter(help="The cluster's job server, its dashboard's address.")]


def submit(
    spec: str,
    /,
    *,
    address: Address = LOCAL_HEAD,
    scale: str | None = None,
    set: Annotated[list[str] | None, Parameter(negative="")] = None,
    out: Annotated[str | None, Parameter(name=["--out", "-o"])] = None,
) -> None:
    """Run a study on a Ray cluster as a Ray job.

    Parameters
    ----------
    spec
        A spec file, or the name of a preset.
    scale
        Which of the spec's scales, such as small or paper; the first by default.
    set
        Override a field of the spec: `--set a.b=c`, as often as needed.
    out
        The study folder, at this path or URI on every node; studies/NAME under the current folder
        by default.
    """
    from cluster import jobs

    loaded = StudySpec.load(spec, set or [], scale)
    folder = StudyFolder(target_path(out, loaded.name).path)
    submission = jobs.submit(loaded, folder, address=address)
    job = submission.job
    message(
        f"{'submitted' if submission.is_new else 'already running'} as {job.job_id}, study folder {folder}"
    )
    at = "" if address == LOCAL_HEAD else f" --address {address}"
    next_steps(
        f"cpc study status {job.job_id}{at}",
        f"cpc study logs {job.job_id} --follow{at}",
        f"cpc dashboard {folder}",
    )


def status(
    job: str | None = None,
    /,
    *,
    address: Address = LOCAL_HEAD,
    output: Annotated[Format, Parameter(name=["--output", "-o"])] = "table",
) -> None:
    """Show submitted studies and how they stand.

    Parameters
    ----------
    job
        A job that `submit` named; without one, all of them.
    output
        Format of the result.
    """
    from cluster import jobs

    found = jobs.jobs(address=address) if job is None else [jobs.status(job, address=address)]
    if not found:
        raise NotFoundError(f"no study was submitted to {address} yet")
    print_rows(
        [
            {
                "job": each.job_id,
                "status": each.status,
                "folder": each.folder,
                "message": each.message,
            }
            for each in found
        ],
        output,
    )


def logs(job: str, /, *, address: Address = LOCAL_HEAD, follow: bool = False) -> None:
    """Print what a submitted study has printed.

    Parameters
    ----------
    job
        A job that `submit` named.
    follow
        Go on until the job ends.
    """
    from cluster import jobs

    for text in jobs.logs(job, address=address, follow=follow):
        print(text, end="", flush=True)  # noqa: T201
