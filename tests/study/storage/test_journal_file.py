"""The journal of a driver that has a study for itself."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cpc_core.errors import ConfigError
from study.folders.study_folder import JOURNAL, StudyFolder
from study.results.reader import read_study
from study.storage.backends import driver_of
from study.storage.journal_file import LOCK
from tests.helpers.specs import tiny_spec
from tests.helpers.studies import asked, opened


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file of this process grows beyond that many bytes: a write stops half-way there, as on a
    full disk.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk_does_not_damage_the_journal(tmp_path: Path) -> None:
    spec, journal = tiny_spec(objective={"metric": "dev_accuracy"}), tmp_path / JOURNAL
    with opened(tmp_path, spec) as store:
        first = asked(store)
        whole = journal.read_bytes()
        with room_for(len(whole) + 20), pytest.raises(OSError, match="File too large"):
            store.report(first.number, 10, {"dev_accuracy": 0.5})
        assert journal.read_bytes() == whole
    assert [trial.outcome for trial in read_study(StudyFolder(tmp_path)).trials] == [
        "running",
        "waiting",
    ]
    with opened(tmp_path, spec) as store:
        assert asked(store) == first


def test_folder_without_permissions_is_one_sentence(tmp_path: Path) -> None:
    with opened(tmp_path, tiny_spec()):
        pass
    # Permissions stop no test that runs as root; a folder stops every one.
    (tmp_path / LOCK).unlink()
    (tmp_path / LOCK).mkdir()
    with (
        pytest.raises(
            ConfigError,
            match=rf"{tmp_path} cannot be written \(Is a directory\): choose another one with -o",
        ),
        opened(tmp_path, tiny_spec()),
    ):
        pass
    with pytest.raises(
        ConfigError, match=rf"{tmp_path / LOCK} cannot be read \(Is a directory\): have its owner"
    ):
        driver_of(StudyFolder(tmp_path))
