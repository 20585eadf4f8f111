from __future__ import annotations

import pytest

from cluster.jobs import _next_id


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
