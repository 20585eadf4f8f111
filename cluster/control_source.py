"""Control requests to a running study, from its control file and from signals."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from study.control.requests import ControlReader, ControlRequests
from study.folders.study_folder import StudyFolder


class ControlSource:
    """Control requests to a study.

    Args:
        study: The study folder.

    Attributes:
        signalled: True once a signal has come, which requests a stop.
    """

    def __init__(self, study: StudyFolder) -> None:
        self._reader, self.signalled = ControlReader(study), False

    def latest(self) -> ControlRequests:
        """The current requests."""
        requests = self._reader.latest()
        return (
            requests.model_copy(update={"desired": "stop"})
            if self.signalled and requests.desired != "cancel"
            else requests
        )

    def to_end(self) -> bool:
        """True if the run is to end once no trial is running."""
        return self.latest().desired != "run"

    @contextmanager
    def from_signals(self) -> Iterator[None]:
        """Turns the first SIGINT or SIGTERM in the block into a request to stop.

        Raises:
            KeyboardInterrupt: A second signal has come.
        """

        def handle(number: int, frame: FrameType | None) -> None:
            if self.signalled:
                raise KeyboardInterrupt
            self.signalled = True

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {
            number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
