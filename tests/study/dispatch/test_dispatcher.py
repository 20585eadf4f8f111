"""A dispatcher with its trials in a journal file.

tests/integration runs the same contract with other storages.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cpc_core.errors import ConfigError, CpcError
from cpc_core.storage_path import StoragePath
from study.dispatch.dispatcher import Dispatcher
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from tests.helpers.dispatcher_contract import DispatcherContract
from tests.helpers.specs import tiny_spec
from tests.helpers.studies import CORPUS, asked, opened


class TestJournal(DispatcherContract):
    @pytest.fixture
    def folder(self, tmp_path: Path) -> StoragePath:
        return StoragePath.of(tmp_path)


def test_second_driver_is_refused_by_the_first_ones_number(tmp_path: Path) -> None:
    with (
        opened(tmp_path, tiny_spec()),
        pytest.raises(CpcError, match=f"is being run by process {os.getpid()}"),
    ):
        Dispatcher.create_or_open(StudyFolder(tmp_path), tiny_spec(), CORPUS, "")


def test_kill_while_the_journal_is_written_does_no_harm(tmp_path: Path) -> None:
    with opened(tmp_path, tiny_spec()) as store:
        first = asked(store)
    journal = tmp_path / "journal.log"
    with journal.open("ab") as file:
        file.write(b'{"op_code": 8, "worker')
    (tmp_path / "journal.log.lock").symlink_to(journal)
    assert len(read_study(StudyFolder(tmp_path)).trials) == 2
    with opened(tmp_path, tiny_spec()) as store:
        assert asked(store) == first
        store.tell(first.number, "complete", {"dev_map": 0.5})
    assert read_study(StudyFolder(tmp_path)).trials[0].outcome == "complete"


def test_unmakeable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        Dispatcher.create_or_open(StudyFolder(tmp_path / "file" / "study"), tiny_spec(), CORPUS, "")
