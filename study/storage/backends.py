"""The storage backend of a study, chosen by its spec's `store`, else by its folder.

| `store` of the spec | folder | trials are kept in       | drivers at a time            |
|---------------------|--------|--------------------------|------------------------------|
| none                | a path | `journal.log`            | one, by a lock on a file     |
| none                | a URI  | objects below `journal/` | one, by a lease on an object |
| a URL               | either | the backend of the URL   | as the backend allows        |
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import cast
from urllib.parse import urlsplit

from cpc_core.errors import CpcError
from study.errors import UnreachableError
from study.folders.study_folder import StudyFolder
from study.spec.stores import BACKENDS
from study.spec.study_spec import StudySpec
from study.storage.base import Storage

JOURNAL_FILE = "study.storage.journal_file:JournalFile"
OBJECT_STORE = "study.storage.object_store:ObjectStore"


def storage_of(folder: StudyFolder, spec: StudySpec | None = None) -> Storage:
    """The storage backend of a study, connected to nothing yet.

    Args:
        folder: The study folder.
        spec: The study's; read from the folder by default.

    Raises:
        ConfigError: The folder holds no study, or the backend's package is not installed.
    """
    spec = spec or folder.spec()
    if spec.store is not None:
        path = BACKENDS[urlsplit(spec.store).scheme]
    else:
        path = JOURNAL_FILE if folder.path.is_local else OBJECT_STORE
    module, _, name = path.partition(":")
    return cast(Storage, getattr(import_module(module), name)(folder, spec))


def driver_of(folder: StudyFolder) -> str | None:
    """The process that runs a study, as text; None without one.

    Raises:
        ConfigError: The folder holds no study, or a damaged one.
        UnreachableError: Its storage does not answer.
    """
    with storage_errors(folder):
        storage = storage_of(folder)
    with storage_errors(folder, storage):
        return storage.driver()


@contextmanager
def storage_errors(folder: StudyFolder, storage: Storage | None = None) -> Iterator[None]:
    """Translates a storage's errors into ones that a user can act on, however they were wrapped.

    Ray Tune wraps every error.

    Args:
        folder: The study folder.
        storage: Its storage backend, unless only the folder is used.

    Raises:
        UnreachableError: The storage does not answer, or ended the connection.
        NotFoundError: There is no such database.
        ConfigError: The storage refuses the user.
    """
    try:
        yield
    except CpcError:
        raise
    except Exception as error:
        for cause in _causes(error):
            readable = _translate(folder, storage, cause)
            if readable is not None:
                raise readable from error
        raise


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()  # Ray raises some errors `from` themselves
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def _translate(
    folder: StudyFolder, storage: Storage | None, error: BaseException
) -> CpcError | None:
    if isinstance(error, CpcError):
        return error
    if not folder.path.is_local and isinstance(error, OSError):
        reason = error.strerror or str(error).partition("\n")[0]
        return UnreachableError(
            f"{folder} cannot be used ({reason}): check the address, the credentials and that the "
            "bucket exists; nothing of a study there is lost"
        )
    return None if storage is None else storage.explain(error)
