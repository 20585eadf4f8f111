"""Control requests applied to a running study at every turn of Tune's loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ray.tune.experiment import Trial

from cluster.control_source import ControlSource
from cluster.events import Notice
from cluster.stop_flag import StudyStopFlag
from cluster.tune.searcher import StudySearcher
from study.control.apply import apply
from study.control.requests import ControlRequests, Desired
from study.dispatch.dispatcher import Dispatcher

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController


_FINAL = ("stop", "cancel")
"""After one of these this run ends: Tune does not ask again once nothing more was suggested."""


class ControlLoop:
    """Reads the control requests at every turn of Tune's loop, ten times a second.

    Args:
        dispatcher: The open study.
        search: Of its running trials.
        source: Of the requests.
        on_notice: Called in this process when the request to the whole study changes.
        scratch: Folder of the run, in which the trials are told that the study is stopped.
        grace_s: Seconds in which they then have to end, if limited.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        search: StudySearcher,
        source: ControlSource,
        on_notice: Callable[[Notice], None],
        scratch: str,
        grace_s: float | None,
    ) -> None:
        self._dispatcher, self._search, self._source, self._on_notice = (
            dispatcher,
            search,
            source,
            on_notice,
        )
        self._applied, self._armed = ControlRequests(), False
        self._grace_s, self._flag = grace_s, StudyStopFlag(scratch)

    def step(self, controller: TuneController) -> None:
        """Applies the current requests.

        Raises:
            CpcError: This driver has lost the study, or its trials, to another one.
        """
        if not self._armed:
            # Tune has set a handler for SIGUSR1 that ends its run alone.
            self._source.signals.catch_again()
            self._armed = True
        # Here, because Tune requests no trials once there are none, while some are still being
        # trained.
        self._dispatcher.check()
        requests = self._source.latest()
        self._turn(requests.desired)
        if requests != self._applied:
            self._applied = requests
            apply(requests, self._dispatcher)
        for trial in controller.get_live_trials().copy():
            cancelled = self._search.cancel(trial.trial_id, requests.cancel)
            if trial.status == Trial.PENDING and (
                cancelled or self._search.leave_resumable(trial.trial_id)
            ):
                controller.stop_trial(trial)

    def _turn(self, desired: Desired) -> None:
        before = self._search.desired
        if desired == before or (before in _FINAL and desired != "cancel"):
            return
        self._search.desired = desired
        if desired == "stop":
            self._flag.set()
        self._on_notice(
            Notice(
                desired,
                self._source.signals.came,
                self._search.running,
                self._search.report_s,
                self._grace_s,
            )
        )
