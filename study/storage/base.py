"""Interface of a storage backend, and what backends share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar, Protocol

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from cpc_core.errors import CpcError
from study.folders.json_file import damaged


class Storage(Protocol):
    """Storage of the trials of one study, with the locks of the drivers that write them.

    A backend is made from the study's folder and spec, and connects to nothing before it is used.
    All locks end with the driver's process, however it ends.
    """

    shared: ClassVar[bool]
    """True if several drivers may work on the study at a time."""

    @property
    def name(self) -> str:
        """The study's name in its storage."""

    def read(self) -> tuple[list[FrozenTrial], Mapping[str, Any]]:
        """The stored trials, and the user attributes of the study; changes nothing.

        A backend that is kept reads only what is new. Reports and parameters may be left out: they
        are in the metrics logs and among the attributes.

        Raises:
            ConfigError: The storage is damaged.
        """

    def revision(self) -> str:
        """A text that changes whenever a stored trial does."""

    def driver(self) -> str | None:
        """The process that runs the study, as text; None without one.

        Drivers of a shared storage are visible only while they train a trial.
        """

    def exclusive(self) -> AbstractContextManager[None]:
        """Keeps other drivers from opening the study and from requesting trials in the block.

        Raises:
            CpcError: Another driver runs the study, and it is not a shared one.
            ConfigError: The study folder cannot be written.
        """

    def open(self) -> BaseStorage:
        """The Optuna storage that the driver writes. To be called in an `exclusive` block."""

    def acquire(self, number: int) -> None:
        """Locks a trial that was proposed in this `exclusive` block."""

    def try_acquire(self, number: int) -> bool:
        """Locks a running trial if its driver has ended; returns True if this driver has it."""

    def release(self, number: int) -> None:
        """Unlocks a trial."""

    def check(self) -> None:
        """Verifies that every lock still holds.

        Raises:
            UnreachableError: Another driver may have them.
        """

    def explain(self, error: BaseException) -> CpcError | None:
        """The error to show to a user instead; None for one that is not this backend's."""

    def close(self) -> None:
        """Releases all locks."""


class SingleDriver:
    """Mixin for a backend that locks the whole study, from the first `exclusive` to `close`."""

    shared: ClassVar[bool] = False

    def __init__(self) -> None:
        self._locked = False

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        if not self._locked:
            self.lock()
            self._locked = True
        yield

    def lock(self) -> None:
        """Locks the study.

        Raises:
            CpcError: Another driver runs it.
        """
        raise NotImplementedError

    def acquire(self, number: int) -> None:
        """Does nothing: all trials are the one driver's."""

    def try_acquire(self, number: int) -> bool:
        return True

    def release(self, number: int) -> None:
        """Does nothing: no other driver waits for the trial."""


@contextmanager
def replaying(journal: object) -> Iterator[None]:
    """Turns the errors of Optuna, and of JSON, at lines that are not a journal's into one sentence.

    Args:
        journal: Named in it.

    Raises:
        ConfigError: The journal is damaged.
    """
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
        raise damaged(journal, f"{type(error).__name__}: {error}") from error


def content(storage: BaseStorage, name: str) -> tuple[list[FrozenTrial], Mapping[str, Any]]:
    """Trials and user attributes of a stored study; nothing where it has not been created yet."""
    try:
        study = optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        # The driver writes the spec first, then the study's own entry.
        return [], {}
    return study.get_trials(deepcopy=False), study.user_attrs
