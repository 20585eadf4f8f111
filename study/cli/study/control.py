"""`cpc study pause|stop|cancel|retry`: control requests to a study, running or not."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from cyclopts import Parameter

from cpc_core.errors import ConfigError
from study.analysis.labels import cell_name, count_text
from study.cli.arguments import Study, say_what_is_ignored
from study.cli.output import Format, Output, message, next_steps, print_rows, state_text
from study.control.apply import apply_and_wait
from study.control.requests import ControlRequests, request
from study.control.selection import cancellable, retriable
from study.control.state import study_state
from study.folders.study_folder import StudyFolder
from study.home import study_folder
from study.results.reader import read_study
from study.results.records import StudyRecord
from study.storage.backends import driver_of

Trials = Annotated[list[int] | None, Parameter(name="--trial", negative="")]


GRACE = timedelta(seconds=60)


def pause(study: Study, /) -> None:
    """Requests that a running study starts no new trials."""
    folder = study_folder(study)
    record, driver = _running(folder)
    request(folder, ControlRequests(desired="pause"))
    message(
        f"{driver} starts no new trial of {record.name}; {_running_trials(record)} to the end, and "
        "then it ends"
    )
    next_steps(f"cpc study watch {study}", f"cpc study resume {study}")


def stop(
    study: Annotated[
        str,
        Parameter(
            help="A study folder, or the name of one in studies/; with --address a job that "
            "`submit` named."
        ),
    ],
    /,
    *,
    address: str | None = None,
    grace: Annotated[
        timedelta, Parameter(metavar="TIME", show_default=lambda time: f"{time.seconds}s")
    ] = GRACE,
) -> None:
    """Requests that a study's trials save a checkpoint at their next report and stop.

    Parameters
    ----------
    address
        The job server of the cluster on which that job runs, such as http://127.0.0.1:8265.
    grace
        Time that a job's trials have to reach their next report, where its folder is visible here;
        then Ray ends it.
    """
    if address is not None:
        _stop_job(study, address, grace.total_seconds())
        return
    folder = study_folder(study)
    record, driver = _running(folder)
    request(folder, ControlRequests(desired="stop"))
    message(
        f"{driver}, which runs {record.name}, is requested to stop; {_running_trials(record)} to "
        "the next report"
    )
    next_steps(f"cpc study watch {study}", f"cpc study resume {study}")


def cancel(study: Study, /, *, trial: Trials = None, output: Output = "table") -> None:
    """Ends trials now; they are not trained again unless retried.

    Parameters
    ----------
    trial
        A trial by its number, as often as needed. By default all that run or wait; a search is then
        stopped, too: `resume` proposes the points that it has left.
    """
    folder = study_folder(study)
    chosen = tuple(each.number for each in cancellable(read_study(folder), trial))
    requests = ControlRequests(cancel=chosen) if trial else ControlRequests(desired="cancel")
    _print_trials(apply_and_wait(folder, requests), chosen, output)
    next_steps(f"cpc study show {study}", f"cpc study retry {study}")


def retry(
    study: Study, /, *, trial: Trials = None, fresh: bool = False, output: Output = "table"
) -> None:
    """Enqueues trials again under new numbers, each continued from its last checkpoint.

    Parameters
    ----------
    trial
        A trial by its number, as often as needed. By default all that failed, diverged or were
        cancelled by the user.
    fresh
        Train from scratch.
    """
    folder = study_folder(study)
    chosen = tuple(each.number for each in retriable(read_study(folder), trial))
    requests = ControlRequests(from_scratch=chosen) if fresh else ControlRequests(retry=chosen)
    _print_trials(apply_and_wait(folder, requests), chosen, output, retried=True)
    driver = driver_of(folder)
    if driver is not None:
        message(f"{driver}, which runs the study, trains {'it' if len(chosen) == 1 else 'them'}")
    verb = "resume" if driver is None else "watch"
    next_steps(f"cpc study {verb} {study}", f"cpc study show {study}")


def _running(folder: StudyFolder) -> tuple[StudyRecord, str]:
    """A study and the process that runs it.

    Raises:
        ConfigError: No process runs it.
    """
    record, driver = read_study(folder), driver_of(folder)
    if driver is None:
        state = state_text(study_state(folder, record), folder)
        raise ConfigError(f"no process is running {record.name}: it is {state}")
    return record, driver


def _running_trials(record: StudyRecord) -> str:
    running = sum(trial.outcome == "running" for trial in record.trials)
    return f"{count_text(running, 'running trial')} {'trains' if running == 1 else 'train'}"


def _print_trials(
    record: StudyRecord, numbers: tuple[int, ...], output: Format, *, retried: bool = False
) -> None:
    rows = [
        {
            "trial": trial.number,
            "cell": cell_name(trial.knobs, record.reference),
            "seed": trial.seed,
            "step": trial.step,
            "outcome": trial.outcome,
        }
        | ({"retried_as": trial.retried_as} if retried else {})
        for trial in map(record.trial, numbers)
    ]
    print_rows(rows, output)


def _stop_job(job_id: str, address: str, grace_s: float) -> None:
    from cluster import jobs

    say_what_is_ignored(address)
    job = jobs.status(job_id, address=address)
    folder = StudyFolder(job.folder)
    if not job.ended and folder.holds_study() and driver_of(folder) is not None:
        request(folder, ControlRequests(desired="stop"))
        message(f"{job_id}: its trials train to their next report, for at most {grace_s:g} s")
        jobs.await_end(job_id, address=address, timeout_s=grace_s)
    stopped = jobs.stop(job_id, address=address)
    message(
        f"{stopped.job_id}: {stopped.status}; `cpc study resume {stopped.folder}` continues it on "
        "this machine"
    )
