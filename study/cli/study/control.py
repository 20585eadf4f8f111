"""`cpc study pause|stop|cancel|retry`: what is asked of a study, running or not."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from cpc_core.errors import ConfigError
from study.analysis.labels import cell_name, count_text
from study.cli.arguments import state_words, study_folder
from study.cli.output import Format, message, next_steps, print_rows
from study.control.apply import apply_and_wait
from study.control.requests import ControlRequests, request
from study.control.selection import cancellable, retriable
from study.control.state import study_state
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from study.results.records import StudyRecord, TrialRecord
from study.storage.backends import driver_of

Trials = Annotated[list[int] | None, Parameter(name="--trial", negative="")]


Output = Annotated[Format, Parameter(name=["--output", "-o"])]


GRACE_S = 60.0


def pause(study: str, /) -> None:
    """Start no new trials; the running ones go on to their end, and then the run ends with exit
    code 0.

    Parameters
    ----------
    study
        A study folder, or the name of one in studies/.
    """
    folder = study_folder(study)
    record, driver = _running(folder)
    request(folder, ControlRequests(desired="pause"))
    message(
        f"{driver} starts no new trial of {record.name}; {_running_trials(record)} to the end, and then it ends"
    )
    next_steps(f"cpc study watch {study}", f"cpc study resume {study}")


def stop(study: str, /, *, address: str | None = None, grace_s: float = GRACE_S) -> None:
    """Stop a study so that it can go on: running trials save a checkpoint at their next report and
    are left there.

    The run then ends with exit code 0, because this was asked for. It is what the first Ctrl-C
    does, which ends with 130.

    Parameters
    ----------
    study
        A study folder, or the name of one in studies/; with --address a job that `submit` named.
    address
        The job server of the cluster on which that job runs, such as http://127.0.0.1:8265.
    grace_s
        Seconds that a job's trials have to reach their next report, where its folder is visible
        here; then Ray ends it.
    """
    if address is not None:
        _stop_job(study, address, grace_s)
        return
    folder = study_folder(study)
    record, driver = _running(folder)
    request(folder, ControlRequests(desired="stop"))
    message(
        f"{driver}, which runs {record.name}, is asked to stop; {_running_trials(record)} to the next report"
    )
    next_steps(f"cpc study watch {study}", f"cpc study resume {study}")


def cancel(study: str, /, *, trial: Trials = None, output: Output = "table") -> None:
    """End trials now, without waiting for a report. They count as cancelled, and are not trained
    again unless retried.

    Parameters
    ----------
    study
        A study folder, or the name of one in studies/.
    trial
        A trial by its number, as often as needed. By default all that run or wait; a search is then
        stopped, too: `resume` proposes the points that it has left.
    output
        Format of the result.
    """
    folder = study_folder(study)
    chosen = [each.number for each in cancellable(read_study(folder), trial)]
    record = apply_and_wait(
        folder,
        ControlRequests(
            desired="run" if trial else "cancel", cancel=() if trial is None else tuple(chosen)
        ),
    )
    print_rows([_row(record, record.trial(number)) for number in chosen], output)
    next_steps(f"cpc study show {study}", f"cpc study retry {study}")


def retry(
    study: str, /, *, trial: Trials = None, fresh: bool = False, output: Output = "table"
) -> None:
    """Train trials again. Each gets a new number, under which it counts instead of the old one.

    A failed or cancelled trial goes on from its last checkpoint, a diverged one starts from
    scratch.

    Parameters
    ----------
    study
        A study folder, or the name of one in studies/.
    trial
        A trial by its number, as often as needed. By default all that failed, diverged or were
        cancelled by the user.
    fresh
        Train from scratch.
    output
        Format of the result.
    """
    folder = study_folder(study)
    chosen = tuple(each.number for each in retriable(read_study(folder), trial))
    record = apply_and_wait(
        folder, ControlRequests(from_scratch=chosen) if fresh else ControlRequests(retry=chosen)
    )
    print_rows(
        [
            {**_row(record, record.trial(number)), "retried_as": record.trial(number).retried_as}
            for number in chosen
        ],
        output,
    )
    driver = driver_of(folder)
    if driver is not None:
        message(f"{driver}, which runs the study, trains {'it' if len(chosen) == 1 else 'them'}")
    next_steps(
        f"cpc study resume {study}" if driver is None else f"cpc study watch {study}",
        f"cpc study show {study}",
    )


def _running(folder: StudyFolder) -> tuple[StudyRecord, str]:
    """A study and the process that runs it.

    Raises:
        ConfigError: Nobody runs it.
    """
    record, driver = read_study(folder), driver_of(folder)
    if driver is None:
        raise ConfigError(
            f"nobody is running {record.name}: it is {state_words(study_state(folder, record), folder)}"
        )
    return record, driver


def _running_trials(record: StudyRecord) -> str:
    running = sum(trial.outcome == "running" for trial in record.trials)
    return f"{count_text(running, 'running trial')} {'goes' if running == 1 else 'go'} on"


def _row(record: StudyRecord, trial: TrialRecord) -> dict[str, object]:
    cell = cell_name(trial.knobs, record.reference)
    return {
        "trial": trial.number,
        "cell": cell,
        "seed": trial.seed,
        "step": trial.step,
        "outcome": trial.outcome,
    }


def _stop_job(job_id: str, address: str, grace_s: float) -> None:
    from cluster import jobs

    job = jobs.status(job_id, address=address)
    folder = StudyFolder(job.folder)
    if not job.ended and folder.holds_study() and driver_of(folder) is not None:
        request(folder, ControlRequests(desired="stop"))
        message(f"{job_id}: its trials go on to their next report, for at most {grace_s:g} s")
        jobs.await_end(job_id, address=address, timeout_s=grace_s)
    stopped = jobs.stop(job_id, address=address)
    message(
        f"{stopped.job_id}: {stopped.status}; `cpc study resume {stopped.folder}` goes on with it on this machine"
    )
