"""Conditional writes of a driver in an object store, against a store in memory."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from obstore.store import MemoryStore

from cpc_core.errors import CpcError
from study.errors import UnreachableError
from study.folders.study_folder import StudyFolder
from study.storage import object_store
from study.storage.object_store import LEASE, ChangedError, ObjectStore, VersionedObject
from tests.helpers.specs import tiny_spec


def lease_of(process: int, *, renewals: int = 1) -> bytes:
    """Lease of a driver on another machine."""
    lease = {"process": process, "machine": "far", "renewals": renewals, "released": False}
    return json.dumps(lease).encode()


class ContestedStore:
    """Store in which another driver writes just before the first replacement of an object."""

    def __init__(self, objects: MemoryStore, rival: Callable[[], object]) -> None:
        self._objects, self._rival, self._contested = objects, rival, False

    def get(self, path: str) -> Any:
        return self._objects.get(path)

    def put(self, path: str, content: bytes, *, mode: Any) -> Any:
        if mode != "create" and not self._contested:
            self._contested = True
            self._rival()
        return self._objects.put(path, content, mode=mode)


def backend_in(objects: object, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """The backend of a study in that store."""
    monkeypatch.setattr(object_store, "objects_of", lambda folder: objects)
    return ObjectStore(StudyFolder("s3://bucket/tiny"), tiny_spec())


def test_writer_that_was_followed_never_writes_again() -> None:
    objects = MemoryStore()
    mine, other = (VersionedObject(objects, "object") for _ in range(2))
    mine.write(b"mine")
    other.read()
    other.write(b"the other's")
    for _ in range(2):
        with pytest.raises(ChangedError):
            mine.write(b"mine again")
    assert other.read() == b"the other's"


def test_driver_that_was_followed_leaves_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """It finds out at its next renewal, and releases its own lease only."""
    monkeypatch.setattr(object_store, "RENEW_S", 0.05)
    objects = MemoryStore()
    backend = backend_in(objects, monkeypatch)
    with backend.exclusive():
        objects.put(LEASE, lease_of(2))
        with pytest.raises(UnreachableError):
            for _ in range(200):
                backend.check()
                time.sleep(0.05)
    backend.close()
    assert bytes(objects.get(LEASE).bytes()) == lease_of(2)


def test_driver_that_comes_second_to_a_stale_lease_gives_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(object_store, "RENEW_S", 0.05)
    monkeypatch.setattr(object_store, "LEASE_S", 0.2)
    objects = MemoryStore()
    objects.put(LEASE, lease_of(1))
    contested = ContestedStore(objects, lambda: objects.put(LEASE, lease_of(2)))
    backend = backend_in(contested, monkeypatch)
    with pytest.raises(CpcError, match="is being run by process 2 on far"), backend.exclusive():
        pass
    backend.close()
    assert bytes(objects.get(LEASE).bytes()) == lease_of(2)
