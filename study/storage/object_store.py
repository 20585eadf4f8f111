"""Trials of a study in an object store: a journal in objects, and a lease of one driver at a time.

Both rest on conditional writes, which replace an object only as long as no other process has: a
driver that was suspended while another one took over can write neither. No clocks are compared.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, lru_cache
from threading import Event, Thread
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import ObjectStore as Objects
from obstore.store import S3Store, from_url
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial
from pyarrow import fs

from cpc_core.errors import ConfigError, CpcError
from cpc_core.storage_path import StoragePath
from study.errors import UnreachableError
from study.folders.json_file import damaged, parse_as
from study.folders.study_folder import StudyFolder
from study.spec.study_spec import StudySpec
from study.storage.base import SingleDriver, content, replaying

LEASE_S, RENEW_S = 30.0, 6.0
"""Seconds without a change after which a lease has run out, and between two renewals of it."""

LEASE, JOURNAL = "drivers/driver.json", "journal"

ENTRIES = 500
"""Of a full journal object: few objects for a thousand trials, and little to write per entry."""


@dataclass(frozen=True)
class _Lease:
    """The driver that has the study, or had it."""

    process: int
    machine: str
    released: bool


class ObjectStore(SingleDriver):
    """Objects below the study folder: `journal/` and the lease `drivers/driver.json`.

    Args:
        folder: The study folder, in S3, Google Cloud Storage or Azure.
        spec: The study's.
    """

    def __init__(self, folder: StudyFolder, spec: StudySpec) -> None:
        super().__init__()
        self._folder, self.name = folder, spec.name
        self._holder = {"process": os.getpid(), "machine": socket.gethostname()}
        self._renewals, self._renewed_s, self._lost = 0, 0.0, False
        self._replayed: JournalStorage | None = None
        self._closing, self._thread = Event(), Thread(target=self._renew, daemon=True)

    @cached_property
    def _objects(self) -> Objects:
        return objects_of(self._folder.path)

    def read(self) -> tuple[list[FrozenTrial], Mapping[str, Any]]:
        replayed, self._replayed = self._replayed, None
        with replaying(self._folder.path / JOURNAL):
            replayed = replayed or JournalStorage(ObjectJournal(self._objects))
            found = content(replayed, self.name)
        self._replayed = replayed
        return found

    def revision(self) -> str:
        listed = [meta for chunk in self._objects.list(JOURNAL) for meta in chunk]
        return " ".join(sorted(f"{meta['path']} {meta['e_tag']}" for meta in listed))

    def driver(self) -> str | None:
        with suppress(FileNotFoundError):
            found = self._objects.get(LEASE)
            holder = self._read_lease(bytes(found.bytes()))
            # Shown to users only: no lock depends on the two clocks.
            age_s = time.time() - found.meta["last_modified"].timestamp()
            return None if holder.released or age_s > LEASE_S else _words(holder)
        return None

    def lock(self) -> None:
        """Takes the lease, or takes it over once it has run out.

        Raises:
            CpcError: Another driver renews it.
        """
        # A version from an earlier call would take over a lease without watching it.
        self._lease = VersionedObject(self._objects, LEASE)
        try:
            self._write_lease()
        except ChangedError:
            self._take_over()
        self._thread.start()

    def _take_over(self) -> None:
        holder, watched_s = self._read_lease(self._lease.read()), time.monotonic()
        while True:
            if holder.released or time.monotonic() - watched_s > LEASE_S:
                with suppress(ChangedError):
                    self._write_lease()
                    return
            else:
                time.sleep(RENEW_S / 6)
            version, holder = self._lease.version, self._read_lease(self._lease.read())
            if self._lease.version != version:
                raise CpcError(
                    f"{self._folder} is being run by {_words(holder)}: wait for it, or stop it and "
                    "resume; for drivers at the same time the spec's store must be a PostgreSQL "
                    "database"
                )

    def open(self) -> BaseStorage:
        with replaying(self._folder.path / JOURNAL):
            return JournalStorage(ObjectJournal(self._objects, self))

    def check(self) -> None:
        if self._lost or time.monotonic() - self._renewed_s > LEASE_S:
            raise UnreachableError(
                f"{self._folder} could not be reached for {LEASE_S:g} s, or this process was "
                "suspended: another driver may be running the study now; nothing of it is lost, "
                "`cpc study resume` continues once there is none"
            )

    def explain(self, error: BaseException) -> CpcError | None:
        if not isinstance(error, BaseError):
            return None
        reason = str(error).partition("\n")[0]
        return UnreachableError(
            f"{self._folder} cannot be used ({reason}): check the address and the credentials; "
            "nothing of a study there is lost"
        )

    def close(self) -> None:
        if self._thread.ident is not None:
            self._closing.set()
            self._thread.join()
            with suppress(ChangedError, OSError, BaseError):
                # Not deleted: no store deletes an object only as long as it is one's own.
                self._write_lease(released=True)

    def _read_lease(self, lease: bytes) -> _Lease:
        try:
            return parse_as(lease, _Lease)
        except ValueError as error:
            raise damaged(self._folder.path / LEASE, error) from error

    def _write_lease(self, *, released: bool = False) -> None:
        began_s = time.monotonic()
        # Counted, because objects of the same content have the same version.
        self._renewals += 1
        lease = {**self._holder, "renewals": self._renewals, "released": released}
        self._lease.write(json.dumps(lease | {"nonce": uuid.uuid4().hex}).encode())
        self._renewed_s = began_s

    def _renew(self) -> None:
        while not self._closing.wait(RENEW_S):
            try:
                self._write_lease()
            except (ChangedError, FileNotFoundError):
                self._lost = True
                return
            except (OSError, BaseError):
                continue  # The next turn tries again; `check` reads when the last one succeeded.


class ObjectJournal(BaseJournalBackend):
    """The journal of a study in numbered objects. One process writes, any number read.

    Args:
        objects: Below the study folder.
        writer: The backend that has the lease; None to read.
    """

    def __init__(self, objects: Objects, writer: ObjectStore | None = None) -> None:
        self._objects, self._writer = objects, writer
        self._begin = max(self._begins(), default=0) if writer else 0
        self._last, self._tail = self._object(self._begin), list[bytes]()
        if writer is not None:
            with suppress(FileNotFoundError):
                self._tail = self._last.read().splitlines()

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Entries from a number on; the writer has the latest ones in memory."""
        if self._writer is not None and log_number_from >= self._begin:
            yield from map(json.loads, self._tail[log_number_from - self._begin :])
            return
        begins = self._begins()
        for begin, following in zip(begins, [*begins[1:], None], strict=True):
            if following is None or following > log_number_from:
                lines = self._object(begin).read().splitlines()
                yield from map(json.loads, lines[max(0, log_number_from - begin) :])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Appends entries to the last object, or begins the next one.

        Raises:
            UnreachableError: Another driver may be running the study.
            ChangedError: Another driver has written the journal.
        """
        if self._writer is not None:
            self._writer.check()
        if len(self._tail) >= ENTRIES:
            self._begin, self._tail = self._begin + len(self._tail), []
            self._last = self._object(self._begin)
        tail = [*self._tail, *(json.dumps(entry).encode() for entry in logs)]
        self._last.write(b"".join(line + b"\n" for line in tail))
        self._tail = tail

    def _begins(self) -> list[int]:
        listed = [meta["path"] for chunk in self._objects.list(JOURNAL) for meta in chunk]
        return sorted(int(path.rpartition("/")[2].partition(".")[0]) for path in listed)

    def _object(self, begin: int) -> VersionedObject:
        return VersionedObject(self._objects, f"{JOURNAL}/{begin:012d}.jsonl")


class ChangedError(UnreachableError):
    """An object that another driver has written: this one may write no more."""


class VersionedObject:
    """An object that is written only as long as it has the version that was last read or written.

    Attributes:
        version: The store's identifier of it; None for an object to be created.
    """

    def __init__(self, objects: Objects, path: str) -> None:
        self._objects, self._path, self.version = objects, path, cast(Any, None)
        self._unconfirmed: list[bytes] = []

    def read(self) -> bytes:
        """The content.

        Raises:
            FileNotFoundError: There is no such object.
        """
        found = self._objects.get(self._path)
        self.version = _version(found.meta)
        return bytes(found.bytes())

    def write(self, content: bytes) -> None:
        """Replaces the content.

        Raises:
            ChangedError: Another driver has written the object.
        """
        # A write may have succeeded although the store's answer was lost.
        self._unconfirmed.append(content)
        version, stored = self.version, b""
        while stored != content:
            try:
                put = self._objects.put(self._path, content, mode=version or "create")
            except (AlreadyExistsError, PreconditionError) as error:
                found = self._objects.get(self._path)
                version, stored = _version(found.meta), bytes(found.bytes())
                if stored not in self._unconfirmed:
                    # The version stays, so that each later write fails, too.
                    raise ChangedError(
                        f"another driver has written {self._path}: nothing of the study is lost, "
                        "`cpc study resume` continues once that driver has ended"
                    ) from error
            else:
                version, stored = _version(put), content
        self.version = version
        self._unconfirmed.clear()


def _version(meta: Mapping[str, Any]) -> dict[str, str]:
    # S3 and Azure have e-tags, Google Cloud Storage numbers its versions.
    return {name: meta[name] for name in ("e_tag", "version") if meta[name] is not None}


@lru_cache(maxsize=16)
def objects_of(folder: StoragePath) -> Objects:
    """The objects below a folder, found with the credentials that the store's own tools use.

    Raises:
        ConfigError: The folder's store has no conditional writes.
        UnreachableError: There are no credentials for it.
    """
    parts, options = urlsplit(folder.text), parse_qs(urlsplit(folder.text).query)
    retries = {"max_retries": 3, "retry_timeout": timedelta(seconds=RENEW_S)}
    client: Any = {"client_options": {"allow_http": True}, "retry_config": retries}
    if isinstance(files := folder.filesystem, fs.S3FileSystem):
        from obstore.auth.boto3 import Boto3CredentialProvider

        try:
            client["credential_provider"] = Boto3CredentialProvider()
        except ValueError as error:
            raise UnreachableError(
                f"{folder} cannot be used (no credentials): set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or name a profile of ~/.aws in AWS_PROFILE"
            ) from error
        if endpoint := options.get("endpoint_override", [""])[0]:
            scheme = "" if "://" in endpoint else f"{options.get('scheme', ['https'])[0]}://"
            client["endpoint"] = scheme + endpoint
        prefix = parts.path.strip("/")
        return S3Store(parts.netloc, prefix=prefix, region=files.region, **client)
    try:
        return from_url(parts._replace(query="").geturl(), **client)
    except BaseError as error:
        raise ConfigError(
            f"{folder} cannot keep trials: one driver at a time needs S3, Google Cloud Storage or "
            "Azure; choose a folder there, or name a PostgreSQL database as the spec's store"
        ) from error


def _words(holder: _Lease) -> str:
    return f"process {holder.process} on {holder.machine}"
