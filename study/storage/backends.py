"""Where a study's trials are remembered: in the journal in its folder, or in the database that its
spec names.

| folder          | spec's store | journal                     | drivers                                   |
|-----------------|--------------|-----------------------------|-------------------------------------------|
| a path          | none         | `journal.log`               | one, by a lock on `driver.lock`           |
| a URI           | none         | objects below `journal/`    | one, by a lease below `drivers/`          |
| either          | postgresql:… | rows of a table             | many, by a lock of the server each trial  |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from cpc_core.errors import ConfigError, CpcError
from study.errors import UnreachableError
from study.folders.study_folder import StudyFolder
from study.spec.study_spec import StudySpec
from study.storage.base import Tenure, _content, study_name
from study.storage.journal_file import JOURNAL, FolderLock, _of_lock
from study.storage.object_store import Lease, ObjectJournal, _of_lease


def tenure(folder: StudyFolder, spec: StudySpec, corpus_hash: str) -> Tenure:
    """What lets a driver work on the study in `folder`.

    Raises:
        CpcError: Another driver holds the whole study.
        ConfigError: The folder cannot be written.
        psycopg.Error: The database does not answer, or refuses; `reaching` says it readably.
        OSError: The object store does not answer; the same.
    """
    if spec.store is not None:
        from study.storage.postgres import PostgresLocks

        return PostgresLocks(spec.store, f"turn of {spec.hash} {corpus_hash}")
    return FolderLock(Path(folder.path)) if folder.path.is_local else Lease(folder.path)


def opened(held: Tenure, spec: StudySpec, provenance: Mapping[str, Any]) -> optuna.Study:
    """The Optuna study of a folder, made where it is missing.

    Args:
        held: What this driver holds; it is alone.
        spec: What is asked.
        provenance: The folder's; its `study_id` tells studies in a database apart that have the
            same name and spec.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    name = study_name(spec, provenance)
    directions = [objective.direction for objective in spec.objectives]
    return optuna.create_study(
        study_name=name, storage=held.storage(name), directions=directions, load_if_exists=True
    )


def stored_trials(
    folder: StudyFolder, spec: StudySpec, provenance: Mapping[str, Any]
) -> tuple[list[FrozenTrial], Mapping[str, Any]]:
    """The trials in the store, and what it remembers of the study itself. Changes nothing.

    Raises:
        ConfigError: The journal is damaged.
    """
    name = study_name(spec, provenance)
    if spec.store is not None:
        from study.storage.postgres import PostgresJournal, connect

        with closing(connect(spec.store)) as connection:
            journal = PostgresJournal(connection, name)
            return _content(JournalStorage(journal), name) if journal.length else ([], {})
    if not folder.path.is_local:
        return _content(JournalStorage(ObjectJournal(folder.path)), name)
    file = Path(folder.path) / JOURNAL
    if not file.exists():
        return [], {}
    try:
        return _content(JournalStorage(JournalFileBackend(str(file))), name)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{file} is damaged ({error}): restore it from a copy, or start the study again in another folder"
        ) from error


def database_revision(spec: StudySpec, provenance: Mapping[str, Any]) -> str:
    """Changes whenever the database of a study does; empty for a study with a journal in its
    folder.
    """
    if spec.store is None:
        return ""
    from study.storage.postgres import PostgresJournal, connect

    with closing(connect(spec.store)) as connection:
        return str(PostgresJournal(connection, study_name(spec, provenance)).length)


def driver_of(folder: StudyFolder) -> str | None:
    """The process that is running a study, in words; None while nobody is.

    Of drivers that share a database only those are seen that are training a trial. Below a URI a
    driver of another machine that was killed is seen for `LEASE_S` more.

    Raises:
        ConfigError: The folder holds no study, or one that is damaged or not to be read.
        UnreachableError: Its store does not answer.
    """
    spec = folder.spec()
    with storage_errors(folder, spec.store):
        if spec.store is not None:
            from study.storage.postgres import _in_database

            return _in_database(folder, spec, spec.store)
        return _of_lock(Path(folder.path)) if folder.path.is_local else _of_lease(folder.path)


@contextmanager
def storage_errors(folder: StudyFolder, store: str | None) -> Iterator[None]:
    """Says readably that a store cannot be reached, whatever the block's libraries have wrapped
    that in: Ray Tune wraps everything.

    Args:
        folder: The study folder.
        store: The spec's.

    Raises:
        UnreachableError: The store does not answer, or ended the connection.
        NotFoundError: There is no such database.
        ConfigError: The database refuses the user, or the package that speaks to it is not
            installed.
    """
    _require_driver(store)
    try:
        yield
    except CpcError:
        raise
    except Exception as error:
        readable = next(
            (
                said
                for cause in _causes(error)
                if (said := translate(folder, store, cause)) is not None
            ),
            None,
        )
        if readable is None:
            raise
        raise readable from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    following: BaseException | None = error
    while following is not None:
        yield following
        following = following.__cause__ or following.__context__


def translate(folder: StudyFolder, store: str | None, cause: BaseException) -> CpcError | None:
    """The error of ours that says what `cause` means for a user; None for one that is no storage's."""
    if isinstance(cause, CpcError):
        return cause
    if not folder.path.is_local and isinstance(cause, OSError):
        return UnreachableError(
            f"{folder} cannot be used ({cause.strerror or cause}): check the address, the credentials and that the bucket exists; "
            "nothing of a study there is lost"
        )
    if store is None:
        return None
    import psycopg

    from study.storage.postgres import explain

    return explain(store, cause) if isinstance(cause, psycopg.Error) else None


def _require_driver(store: str | None) -> None:
    if store is None:
        return
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"a study in PostgreSQL needs the package psycopg ({error}): pip install 'cpc-study[postgres]'"
        ) from error
