"""The state of a study: running, pausing, paused, stopped, interrupted, ended."""

from __future__ import annotations

from typing import Literal

from study.control.requests import read_requests
from study.folders.study_folder import StudyFolder
from study.results.records import StudyRecord
from study.storage.backends import driver_of

State = Literal["running", "pausing", "stopping", "paused", "stopped", "interrupted", "ended"]
"""How a study stands. Without a driver it is paused or stopped where that was asked for, and
interrupted where it was not.
"""


def study_state(study: StudyFolder, record: StudyRecord) -> State:
    """How a study stands at this moment.

    Raises:
        ConfigError: The control file is damaged.
    """
    if record.finished:
        return "ended"
    wanted = read_requests(study).wanted
    if driver_of(study) is not None:
        return "running" if wanted == "run" else "pausing" if wanted == "pause" else "stopping"
    return "interrupted" if wanted == "run" else "paused" if wanted == "pause" else "stopped"
