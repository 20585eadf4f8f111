"""Storage backends: where the trials of a study are kept, and which driver may write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.trial import FrozenTrial

from study.spec.study_spec import StudySpec


class Tenure(Protocol):
    """What a driver holds of a study. All of it falls free with the driver's process, however that
    ends.
    """

    def alone(self) -> AbstractContextManager[None]:
        """Keeps other drivers from opening the study and from asking for trials during the
        block.
        """

    def storage(self, name: str) -> BaseStorage:
        """Where the trials of the study of that name are remembered, to be written as long as it is
        held.
        """

    def take(self, trial: str) -> None:
        """Takes a trial that was asked for just now, alone."""

    def adopt(self, trial: str) -> bool:
        """Tries to take a trial that was begun; returns whether its driver has ended, so that it is
        this driver's now.
        """

    def let_go(self, trial: str) -> None:
        """Gives a trial back that has ended."""

    def hold(self) -> None:
        """Makes sure that what was taken is still held.

        Raises:
            UnreachableError: The object store cannot say so any more.
            psycopg.Error: The database cannot; `reaching` says it readably.
        """

    def close(self) -> None:
        """Gives everything back."""


class SingleDriver:
    """What there is to hold where the whole study belongs to one driver: nothing more."""

    @contextmanager
    def alone(self) -> Iterator[None]:
        """There is no other driver."""
        yield

    def take(self, trial: str) -> None:
        """All trials belong to the one driver."""

    def adopt(self, trial: str) -> bool:
        """No other driver is left."""
        return True

    def let_go(self, trial: str) -> None:
        """Nobody else waits for it."""


def study_name(spec: StudySpec, provenance: Mapping[str, Any]) -> str:
    """The name of a study in its store. A journal holds one; a database many, also of the same name
    and spec.
    """
    return spec.name if spec.store is None else f"{spec.name}-{spec.hash}-{provenance['study_id']}"


def trial_lock(study: str, number: int) -> str:
    """The name of the lock on a trial.

    Args:
        study: Name of the study in its store.
        number: The trial's.
    """
    return f"{study} trial {number}"


def _content(storage: JournalStorage, name: str) -> tuple[list[FrozenTrial], Mapping[str, Any]]:
    try:
        study = optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        # The driver writes the spec first, then the study's own entry.
        return [], {}
    return study.get_trials(deepcopy=False), study.user_attrs
