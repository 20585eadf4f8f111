"""State of a study: running, pausing, stopping, paused, stopped, interrupted or ended."""

from __future__ import annotations

from typing import Literal

from study.control.requests import read_requests
from study.folders.study_folder import StudyFolder
from study.results.records import StudyRecord
from study.storage.backends import driver_of

State = Literal["running", "pausing", "stopping", "paused", "stopped", "interrupted", "ended"]
"""Without a driver a study is paused or stopped on request, interrupted otherwise."""


def study_state(study: StudyFolder, record: StudyRecord) -> State:
    """The state of a study at this moment.

    Raises:
        ConfigError: The control file is damaged.
    """
    if record.finished:
        return "ended"
    desired = read_requests(study).desired
    if driver_of(study) is not None:
        return "running" if desired == "run" else "pausing" if desired == "pause" else "stopping"
    return "interrupted" if desired == "run" else "paused" if desired == "pause" else "stopped"
