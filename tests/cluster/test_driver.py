from __future__ import annotations

from cluster.driver import worker_resources
from study.spec import Resources


def test_workers_reserve_gpus_only_where_asked() -> None:
    assert worker_resources(Resources(cpus_per_worker=0.5)) == {"CPU": 0.5}
    assert worker_resources(Resources(cpus_per_worker=2, gpus_per_worker=1)) == {"CPU": 2, "GPU": 1}
