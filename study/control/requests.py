"""What the user asks of a running study: one small file in its folder, which the verbs write and
the study's driver follows.

A request is carried out exactly once although nobody crosses it off: trials are named by number,
and a trial that has ended never runs again under its number. What then stands in the store is the
answer.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Literal

from pydantic import ValidationError

from cpc_core.config import Section
from cpc_core.errors import ConfigError
from study.folders.study_folder import CONTROL, StudyFolder
from study.storage.backends import driver_of

POLL_S = 1.0
"""Seconds between two looks at the file."""


Wanted = Literal["run", "pause", "stop", "cancel"]
"""`pause`: no new trials. `stop`: besides, running trials end at their next report and can go on
later. `cancel`: all end now.
"""


class ControlRequests(Section):
    """What is asked of a study's driver."""

    wanted: Wanted = "run"
    """What the whole study is to do."""

    cancel: tuple[int, ...] = ()
    """Trials to end now."""

    retry: tuple[int, ...] = ()
    """Trials to train again, from their last checkpoint where that makes sense."""

    afresh: tuple[int, ...] = ()
    """Trials to train again from scratch."""


def read_requests(study: StudyFolder) -> ControlRequests:
    """What is asked of a study; to run, where nothing is.

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
            f"{path} cannot be read ({str(error).splitlines()[0]}): remove it, which forgets what was asked"
        ) from error


def request(study: StudyFolder, asked: ControlRequests) -> None:
    """Adds orders to those that stand; `run` leaves what the whole study is to do as it is.

    Raises:
        ConfigError: The file is damaged.
    """
    before = read_requests(study)
    orders = ControlRequests(
        wanted=before.wanted if asked.wanted == "run" else asked.wanted,
        cancel=tuple(sorted({*before.cancel, *asked.cancel})),
        retry=tuple(sorted({*before.retry, *asked.retry})),
        afresh=tuple(sorted({*before.afresh, *asked.afresh})),
    )
    if orders != before:
        _write(study, orders)


def clear_pause(study: StudyFolder) -> None:
    """Lets a paused study go on."""
    _write(study, read_requests(study).model_copy(update={"wanted": "run"}))


def clear_stale(study: StudyFolder) -> None:
    """Drops orders to an earlier driver, so that they do not stop the one that is about to begin.

    Called before it begins: from then on orders may be meant for it. Where a driver is running, the
    orders are that one's.
    """
    if (study.path / CONTROL).exists() and driver_of(study) is None:
        _write(study, ControlRequests())


class ControlReader:
    """The orders of a study as they change.

    Args:
        study: The study folder.
    """

    def __init__(self, study: StudyFolder) -> None:
        self._study, self._orders, self._looked_s = study, ControlRequests(), -POLL_S

    def latest(self) -> ControlRequests:
        """The orders, at most `POLL_S` old. A damaged file asks for nothing new: it shall not end a
        study.
        """
        if time.monotonic() - self._looked_s >= POLL_S:
            self._looked_s = time.monotonic()
            with suppress(ConfigError):
                self._orders = read_requests(self._study)
        return self._orders


def _write(study: StudyFolder, orders: ControlRequests) -> None:
    (study.path / CONTROL).write_text(orders.model_dump_json() + "\n")
