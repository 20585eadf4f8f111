from __future__ import annotations

import pytest
from ray.exceptions import RpcError

from cluster.jobs import _next_id, jobs
from study.errors import UnreachableError


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([], "cpc-s-1f"),
        (["cpc-s-1f"], "cpc-s-1f-2"),
        (["cpc-s-1f-2"], "cpc-s-1f-3"),
        (["cpc-s-1f-9", "cpc-s-1f-10"], "cpc-s-1f-11"),
    ],
)
def test_a_job_id_is_never_one_that_the_cluster_knows(taken: list[str], expected: str) -> None:
    assert _next_id("cpc-s-1f", taken) == expected


def test_address_where_no_cluster_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(address: str) -> None:
        raise RpcError("Timed out while waiting for GCS to become available.")

    monkeypatch.setattr("cluster.jobs.require_listener", lambda address: None)
    monkeypatch.setattr("cluster.jobs.JobSubmissionClient", unreachable)
    with pytest.raises(UnreachableError, match="no Ray cluster answers at http://nowhere:6379"):
        jobs(address="http://nowhere:6379")
