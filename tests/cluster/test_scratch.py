from __future__ import annotations

from pathlib import Path

import pytest

from cluster.stop_flag import StopFlag
from cluster.tune.scratch import scratch_folder
from cpc_core.storage_path import StoragePath


def test_flag_in_a_folder_that_cannot_be_removed_stops_no_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of the earlier run may still have a file there open, or write one."""

    def in_use(path: StoragePath) -> None:
        raise OSError(39, "Directory not empty")

    study = StoragePath.of(tmp_path)
    with monkeypatch.context() as busy:
        busy.setattr(StoragePath, "remove", in_use)
        with scratch_folder(study, shared=False) as scratch:
            StopFlag(scratch, 0, attempt=0).set()
        with scratch_folder(study, shared=False) as scratch:
            assert not StopFlag(scratch, 0, attempt=0).is_set()
    with scratch_folder(study, shared=False) as scratch:
        assert not StopFlag(scratch, 0, attempt=0).is_set()
