"""Control requests carried out in a running study, at every turn of Tune's loop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import ray
from ray.tune.experiment import Trial

from cluster.events import Notice
from cluster.tune.searcher import StudySearcher
from study.control.apply import apply
from study.control.requests import ControlReader, ControlRequests, Desired
from study.dispatch.dispatcher import Dispatcher
from study.folders.study_folder import StudyFolder

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController


_FINAL = ("stop", "cancel")
"""Once one of these is asked, this run ends: Tune, told that nothing more comes, does not ask
again.
"""


_TUNE_LOGGERS = ("ray.tune.execution.tune_controller", "ray.tune.tune")


class ControlSource:
    """What is asked of a study, by its control file and by signals.

    Args:
        study: The study folder.

    Attributes:
        signalled: Whether a signal has come. It asks to stop.
    """

    def __init__(self, study: StudyFolder) -> None:
        self._follower, self.signalled = ControlReader(study), False

    def latest(self) -> ControlRequests:
        """The orders now."""
        orders = self._follower.latest()
        return (
            orders.model_copy(update={"desired": "stop"})
            if self.signalled and orders.desired != "cancel"
            else orders
        )

    def to_end(self) -> bool:
        """Whether the run is to end once no trial is running any more."""
        return self.latest().desired != "run"


class ControlLoop:
    """Looks for orders at every turn of Tune's loop, ten times a second.

    Args:
        store: The open study.
        search: Of its running trials.
        asked: What is asked of it.
        on_notice: Called in this process when something else is asked than before.
    """

    def __init__(
        self,
        store: Dispatcher,
        search: StudySearcher,
        asked: ControlSource,
        on_notice: Callable[[Notice], None],
    ) -> None:
        self._store, self._search, self._asked, self._on_notice = store, search, asked, on_notice
        self._carried_out = ControlRequests()

    def step(self, controller: TuneController) -> None:
        """Carries out what is asked now.

        Raises:
            CpcError: This driver has lost the study, or its trials, to another one.
        """
        # Here, because Tune asks for trials no more once there are none, while some are still being
        # trained.
        self._store.check()
        orders = self._asked.latest()
        self._turn(orders.desired)
        if orders != self._carried_out:
            self._carried_out = orders
            apply(orders, self._store)
        for trial in controller.get_live_trials().copy():
            self._end(controller, trial, orders)

    def _turn(self, wanted: Desired) -> None:
        before = self._search.wanted
        if wanted == before or (before in _FINAL and wanted != "cancel"):
            return
        self._search.wanted = wanted
        self._on_notice(
            Notice(wanted, self._asked.signalled, self._search.running, self._search.report_s)
        )

    def _end(self, controller: TuneController, trial: Trial, orders: ControlRequests) -> None:
        """Ends a trial that is cancelled, or that has not begun to train when the study is
        stopped.
        """
        cancelled = self._search.cancel(trial.trial_id, orders.cancel)
        if trial.status == Trial.PENDING:
            if cancelled or self._search.leave(trial.trial_id):
                controller.stop_trial(trial)
        elif cancelled and (actor := trial.temporary_state.ray_actor) is not None:
            # Tune's own way to stop a trial waits for its next report. A dead actor is seen at
            # once.
            ray.kill(actor)

    def filter(self, record: logging.LogRecord) -> bool:
        """Drops what Tune says of trials that were cancelled, and its last line: how trials ended
        is told by the study.
        """
        message = record.getMessage()
        return not message.startswith("Trials did not complete") and not any(
            each in message for each in self._search.cancelled
        )


@contextmanager
def without_known_errors(steering: ControlLoop) -> Iterator[None]:
    """Keeps Tune from printing the traceback of a trial that was ended on purpose."""
    loggers = [logging.getLogger(name) for name in _TUNE_LOGGERS]
    for logger in loggers:
        logger.addFilter(steering.filter)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(steering.filter)
