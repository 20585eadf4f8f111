from __future__ import annotations

from pathlib import Path

import pytest

from cluster.driver import drop_torn_snapshot, worker_resources
from study.spec import Resources


@pytest.mark.parametrize(("content", "kept"), [('{"checkpoint_results": []}', True), ("", False), ('{"checkpoint_res', False)])
def test_snapshot_torn_by_a_kill_is_dropped(tmp_path: Path, content: str, kept: bool) -> None:
    snapshot = tmp_path / "snapshot.json"
    snapshot.write_text(content)
    drop_torn_snapshot(snapshot)
    assert snapshot.exists() == kept


def test_missing_snapshot_is_no_problem(tmp_path: Path) -> None:
    drop_torn_snapshot(tmp_path / "snapshot.json")


def test_workers_reserve_gpus_only_where_asked() -> None:
    assert worker_resources(Resources(cpus_per_worker=0.5)) == {"CPU": 0.5}
    assert worker_resources(Resources(cpus_per_worker=2, gpus_per_worker=1)) == {"CPU": 2, "GPU": 1}
