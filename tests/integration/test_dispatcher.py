"""A dispatcher with its trials in a database, and with its study in an object store."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpc_core.storage_path import StoragePath
from study.storage import object_store
from study.storage import postgres as backend
from tests.helpers import specs
from tests.helpers.dispatcher_contract import DispatcherContract
from tests.helpers.postgres import Server


class TestPostgres(DispatcherContract):
    @pytest.fixture
    def folder(
        self, tmp_path: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch
    ) -> StoragePath:
        monkeypatch.setattr(specs, "STORE", postgres.url())
        monkeypatch.setattr(backend, "GRACE_S", 0)
        return StoragePath.of(tmp_path)


class TestObjectStore(DispatcherContract):
    @pytest.fixture
    def folder(self, bucket: str, monkeypatch: pytest.MonkeyPatch) -> StoragePath:
        monkeypatch.setattr(object_store, "ENTRIES", 7)
        return StoragePath.of(f"{bucket}/study")
