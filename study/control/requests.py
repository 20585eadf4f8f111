"""Control requests of users to a study: one small file in its folder, which its driver reads.

A request is applied exactly once although no process removes it: trials are named by number, and a
trial that has ended never runs again under its number. The stored trials are the answer.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Literal

from pydantic import ConfigDict, Field, ValidationError

from cpc_core.config import Section
from cpc_core.errors import ConfigError
from study.folders.study_folder import CONTROL, StudyFolder
from study.storage.backends import driver_of

POLL_S = 1.0
"""Seconds between two reads of the file."""

Desired = Literal["run", "pause", "stop", "cancel"]
"""`pause`: no new trials. `stop`: also, running trials end at their next report and are resumable.
`cancel`: all end now.
"""


class ControlRequests(Section):
    """Requests to a study's driver."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    desired: Desired = Field(default="run", validation_alias="wanted", serialization_alias="wanted")
    """State that the whole study is to reach."""

    cancel: tuple[int, ...] = ()
    """Trials to end now."""

    retry: tuple[int, ...] = ()
    """Trials to train again, from their last checkpoint where that makes sense."""

    from_scratch: tuple[int, ...] = Field(
        default=(), validation_alias="afresh", serialization_alias="afresh"
    )
    """Trials to train again from the first step."""


def read_requests(study: StudyFolder) -> ControlRequests:
    """The requests to a study; to run, without a file.

    Raises:
        ConfigError: The file is damaged.
    """
    path = study.path / CONTROL
    try:
        return ControlRequests.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return ControlRequests()
    except (OSError, ValidationError) as error:
        raise ConfigError(
            f"{path} cannot be read ({str(error).splitlines()[0]}): remove it, which drops the "
            "control requests in it"
        ) from error


def request(study: StudyFolder, added: ControlRequests) -> None:
    """Adds requests to the earlier ones; `run` leaves the desired state of the study unchanged.

    Raises:
        ConfigError: The file is damaged.
    """
    before = read_requests(study)
    requests = ControlRequests(
        desired=before.desired if added.desired == "run" else added.desired,
        cancel=tuple(sorted({*before.cancel, *added.cancel})),
        retry=tuple(sorted({*before.retry, *added.retry})),
        from_scratch=tuple(sorted({*before.from_scratch, *added.from_scratch})),
    )
    if requests != before:
        _write(study, requests)


def clear_pause(study: StudyFolder) -> None:
    """Withdraws the request to pause."""
    _write(study, read_requests(study).model_copy(update={"desired": "run"}))


def clear_stale(study: StudyFolder) -> None:
    """Drops requests to an earlier driver, so that they do not stop the one that is about to begin.

    Called before it begins: later requests may be meant for it. The requests to a running driver
    stay.
    """
    if (study.path / CONTROL).exists() and driver_of(study) is None:
        _write(study, ControlRequests())


class ControlReader:
    """Reader of the requests to a study as they change.

    Args:
        study: The study folder.
    """

    def __init__(self, study: StudyFolder) -> None:
        self._study, self._requests, self._read_s = study, ControlRequests(), -POLL_S

    def latest(self) -> ControlRequests:
        """The requests, at most `POLL_S` old. A damaged file adds none, and ends no study."""
        if time.monotonic() - self._read_s >= POLL_S:
            self._read_s = time.monotonic()
            with suppress(ConfigError):
                self._requests = read_requests(self._study)
        return self._requests


def _write(study: StudyFolder, requests: ControlRequests) -> None:
    (study.path / CONTROL).write_text(requests.model_dump_json() + "\n")
