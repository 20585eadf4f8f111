"""Control requests to a running study, from its control file and from signals."""

from __future__ import annotations

from study.control.requests import ControlReader, ControlRequests
from study.control.signals import StopSignals
from study.folders.study_folder import StudyFolder


class ControlSource:
    """Control requests to a study.

    Args:
        study: The study folder.

    Attributes:
        signals: Those that request a stop; the driver catches them while it trains.
    """

    def __init__(self, study: StudyFolder) -> None:
        self._reader, self.signals = ControlReader(study), StopSignals()

    def latest(self) -> ControlRequests:
        """The current requests."""
        requests = self._reader.latest()
        return (
            requests.model_copy(update={"desired": "stop"})
            if self.signals.came and requests.desired != "cancel"
            else requests
        )

    def to_end(self) -> bool:
        """True if the run is to end once no trial is running."""
        return self.latest().desired != "run"
