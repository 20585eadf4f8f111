"""Errors of Ray Data's tasks, which must be results: Ray would wrap and retry them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cluster.data.importing import part_task
from cluster.data.window_reader import raise_if_damaged, read
from cpc_core.corpus.importing.workspace import Workspace
from cpc_core.errors import CorpusError, PathError
from cpc_core.storage_path import StoragePath


@pytest.fixture
def no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node without the package of the store, which each task reads itself."""

    def fail(*arguments: Any) -> None:
        raise PathError("gs://corpora is in no store")

    monkeypatch.setattr("cluster.data.window_reader.read_window", fail)
    monkeypatch.setattr("cluster.data.importing.import_part", fail)


@pytest.mark.usefixtures("no_store")
def test_window_of_an_unusable_store_is_an_error_of_the_corpus() -> None:
    with pytest.raises(CorpusError, match="gs://corpora is in no store"):
        raise_if_damaged(read({"window": [None]}))


@pytest.mark.usefixtures("no_store")
def test_part_of_an_unusable_store_has_an_error(tmp_path: Path) -> None:
    work = Workspace(StoragePath.of(tmp_path / "corpus"))
    assert part_task(work, {"part": ["a"]}).to_pylist() == [
        {"recordings": 0, "error": "gs://corpora is in no store"}
    ]
