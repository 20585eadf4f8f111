"""Stores that do not answer, in one sentence: the database that a spec names, or the object store that a study folder is in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cpc_core.corpus.location import Location
from cpc_core.errors import ConfigError, CpcError
from study.errors import UnreachableError
from study.files import Place


@contextmanager
def reached(folder: Place, store: str | None) -> Iterator[None]:
    """Says readably that a store cannot be reached, whatever the block's libraries have wrapped that in: Ray Tune wraps everything.

    Args:
        folder: The study folder.
        store: The spec's.

    Raises:
        UnreachableError: The store does not answer, or ended the connection.
        NotFoundError: There is no such database.
        ConfigError: The database refuses the user, or the package that speaks to it is not installed.
    """
    _require_driver(store)
    try:
        yield
    except CpcError:
        raise
    except Exception as error:
        readable = next((said for cause in _causes(error) if (said := _said(Location.of(folder), store, cause)) is not None), None)
        if readable is None:
            raise
        raise readable from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    following: BaseException | None = error
    while following is not None:
        yield following
        following = following.__cause__ or following.__context__


def _said(folder: Location, store: str | None, cause: BaseException) -> CpcError | None:
    if isinstance(cause, CpcError):
        return cause
    if not folder.is_local and isinstance(cause, OSError):
        return UnreachableError(
            f"{folder} cannot be used ({cause.strerror or cause}): check the address, the credentials and that the bucket exists; "
            "nothing of a study there is lost"
        )
    if store is None:
        return None
    import psycopg

    from study.postgres import readable

    return readable(store, cause) if isinstance(cause, psycopg.Error) else None


def _require_driver(store: str | None) -> None:
    if store is None:
        return
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"a study in PostgreSQL needs the package psycopg ({error}): pip install 'cpc-study[postgres]'") from error
