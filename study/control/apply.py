"""Application of control requests: by a study's driver where one is running, otherwise here."""

from __future__ import annotations

import time

from cpc_core.errors import CpcError
from study.control.requests import ControlRequests, request
from study.dispatch.dispatcher import Dispatcher
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from study.results.records import StudyRecord
from study.storage.backends import driver_of, storage_errors, storage_of

ANSWER_S = 60.0
"""Seconds that a driver has to apply a request."""

POLL_S = 0.3


def apply(requests: ControlRequests, dispatcher: Dispatcher) -> None:
    """Cancels and retries trials, except those in training, which their drivers end."""
    for number in dispatcher.unfinished if requests.desired == "cancel" else requests.cancel:
        dispatcher.cancel(number)
    for number in requests.retry:
        dispatcher.retry(number, from_scratch=False)
    for number in requests.from_scratch:
        dispatcher.retry(number, from_scratch=True)


def apply_and_wait(study: StudyFolder, requests: ControlRequests) -> StudyRecord:
    """Cancels and retries trials, and returns the study once that is stored.

    Raises:
        CpcError: The study's driver does not answer.
    """
    deadline_s = time.monotonic() + ANSWER_S
    driver: str | None = None
    while not _applied(record := read_study(study), requests):
        if time.monotonic() > deadline_s:
            raise CpcError(
                f"{driver or 'the storage'} has not applied the control request to {study} within "
                f"{ANSWER_S:g} s: end it, and request again"
            )
        driver = driver_of(study)
        if driver is None:
            _apply_here(study, requests, deadline_s)
        else:
            request(study, requests)
            time.sleep(POLL_S)
    return record


def _apply_here(study: StudyFolder, requests: ControlRequests, deadline_s: float) -> None:
    spec, provenance = study.spec(), study.provenance()
    with storage_errors(study, storage_of(study, spec)):
        dispatcher = Dispatcher.create_or_open(
            study, spec, provenance["corpus_hash"], provenance["corpus"]
        )
        try:
            # A trial in a shared storage becomes this process's only after its driver has been gone
            # for a while.
            while not _done(requests, dispatcher) and time.monotonic() < deadline_s:
                time.sleep(POLL_S)
        finally:
            dispatcher.close()


def _done(requests: ControlRequests, dispatcher: Dispatcher) -> bool:
    apply(requests, dispatcher)
    if requests.desired == "cancel":
        return not dispatcher.unfinished
    return not {*requests.cancel} & {*dispatcher.unfinished}


def _applied(record: StudyRecord, requests: ControlRequests) -> bool:
    """True if the stored trials show the effect of the requests."""
    if requests.desired == "cancel":
        return all(trial.ended for trial in record.trials)
    retries = (*requests.retry, *requests.from_scratch)
    return all(record.trial(number).ended for number in requests.cancel) and all(
        record.trial(number).retried_as is not None for number in retries
    )
