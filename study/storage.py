"""Where a study's trials are remembered: in the journal in its folder, or in the database that its spec names.

| folder          | spec's store | journal                     | drivers                                   |
|-----------------|--------------|-----------------------------|-------------------------------------------|
| a path          | none         | `journal.log`               | one, by a lock on `driver.lock`           |
| a URI           | none         | objects below `journal/`    | one, by a lease below `drivers/`          |
| either          | postgresql:… | rows of a table             | many, by a lock of the server each trial  |
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from cpc_core.corpus.location import Location
from cpc_core.errors import ConfigError
from study.lease import Lease
from study.lock import JOURNAL, FolderLock, Tenure
from study.object_journal import ObjectJournal
from study.spec import StudySpec


def tenure(folder: Location, spec: StudySpec, corpus_hash: str) -> Tenure:
    """What lets a driver work on the study in `folder`.

    Raises:
        CpcError: Another driver holds the whole study.
        ConfigError: The folder cannot be written.
        psycopg.Error: The database does not answer, or refuses; `reaching` says it readably.
        OSError: The object store does not answer; the same.
    """
    if spec.store is not None:
        from study.postgres_locks import PostgresLocks

        return PostgresLocks(spec.store, f"turn of {spec.hash} {corpus_hash}")
    return FolderLock(Path(folder)) if folder.is_local else Lease(folder)


def opened(held: Tenure, spec: StudySpec, provenance: Mapping[str, Any]) -> optuna.Study:
    """The Optuna study of a folder, made where it is missing.

    Args:
        held: What this driver holds; it is alone.
        spec: What is asked.
        provenance: The folder's; its `study_id` tells studies in a database apart that have the same name and spec.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    name = study_name(spec, provenance)
    directions = [objective.direction for objective in spec.objectives]
    return optuna.create_study(study_name=name, storage=held.storage(name), directions=directions, load_if_exists=True)


def known(folder: Location, spec: StudySpec, provenance: Mapping[str, Any]) -> tuple[list[FrozenTrial], Mapping[str, Any]]:
    """The trials in the store, and what it remembers of the study itself. Changes nothing.

    Raises:
        ConfigError: The journal is damaged.
    """
    name = study_name(spec, provenance)
    if spec.store is not None:
        from study.postgres import PostgresJournal, connect

        with closing(connect(spec.store)) as connection:
            journal = PostgresJournal(connection, name)
            return _content(JournalStorage(journal), name) if journal.length else ([], {})
    if not folder.is_local:
        return _content(JournalStorage(ObjectJournal(folder)), name)
    file = Path(folder) / JOURNAL
    if not file.exists():
        return [], {}
    try:
        return _content(JournalStorage(JournalFileBackend(str(file))), name)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} is damaged ({error}): restore it from a copy, or start the study again in another folder") from error


def database_revision(spec: StudySpec, provenance: Mapping[str, Any]) -> str:
    """Changes whenever the database of a study does; empty for a study with a journal in its folder."""
    if spec.store is None:
        return ""
    from study.postgres import PostgresJournal, connect

    with closing(connect(spec.store)) as connection:
        return str(PostgresJournal(connection, study_name(spec, provenance)).length)


def study_name(spec: StudySpec, provenance: Mapping[str, Any]) -> str:
    """The name of a study in its store. A journal holds one; a database many, also of the same name and spec."""
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
