"""Has orders carried out: by a study's driver where one is running, otherwise here."""

from __future__ import annotations

import time

from cpc_core.errors import CpcError
from study.control.requests import ControlRequests, request
from study.dispatch.dispatcher import Dispatcher
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from study.results.records import StudyRecord
from study.storage.backends import driver_of, storage_errors

ANSWER_S = 60.0
"""How long a driver may take to carry out an order."""


POLL_S = 0.3


def apply(orders: ControlRequests, store: Dispatcher) -> None:
    """Does what an open study's store can do by itself: trials that are being trained are ended by
    whoever trains them.
    """
    for number in store.unfinished if orders.wanted == "cancel" else orders.cancel:
        store.cancel(number)
    for number in orders.retry:
        store.retry(number, fresh=False)
    for number in orders.afresh:
        store.retry(number, fresh=True)


def apply_and_wait(study: StudyFolder, orders: ControlRequests) -> StudyRecord:
    """Cancels and retries trials, and returns the study once that is in its store.

    Raises:
        CpcError: The study's driver does not answer.
    """
    deadline = time.monotonic() + ANSWER_S
    while not _shown(record := read_study(study), orders):
        driver = driver_of(study)
        if driver is None:
            _carry_out_here(study, orders, deadline)
        else:
            request(study, orders)
            time.sleep(POLL_S)
        if time.monotonic() > deadline:
            raise CpcError(
                f"{driver or 'the store'} has not done within {ANSWER_S:g} s what was asked of {study}: end it, and ask again"
            )
    return record


def _carry_out_here(study: StudyFolder, orders: ControlRequests, deadline: float) -> None:
    spec, provenance = study.spec(), study.provenance()
    with storage_errors(study, spec.store):
        store = Dispatcher.create_or_open(
            study, spec, provenance["corpus_hash"], provenance["corpus"]
        )
        try:
            # A trial in a database is this process's to end only once its driver has been gone for
            # a while.
            while not _done(orders, store) and time.monotonic() < deadline:
                time.sleep(POLL_S)
        finally:
            store.close()


def _done(orders: ControlRequests, store: Dispatcher) -> bool:
    apply(orders, store)
    return not (
        store.unfinished if orders.wanted == "cancel" else {*orders.cancel} & {*store.unfinished}
    )


def _shown(record: StudyRecord, orders: ControlRequests) -> bool:
    """Whether the store shows that the orders were carried out."""
    if orders.wanted == "cancel":
        return all(trial.ended for trial in record.trials)
    cancelled = all(record.trial(number).ended for number in orders.cancel)
    return cancelled and all(
        record.trial(number).retried_as is not None for number in (*orders.retry, *orders.afresh)
    )
