from __future__ import annotations

import pytest
from pydantic import ValidationError

from cluster.kinds.capacity import Capacity, ClusterError
from cluster.kinds.local import LocalRay
from study.spec.resources import Resources


@pytest.mark.parametrize(
    ("cpus", "concurrent", "workers", "cpus_per_worker", "inline", "fits"),
    [
        # An inline trial reads its batches itself.
        (2, 2, 1, 1.0, None, True),
        (2, 2, 1, 1.01, None, False),
        (1, 2, 1, 0.5, True, True),
        (2, 2, 1, 0.5, False, True),
        (2, 1, 1, 1.0, False, True),
        (2, 2, 1, 0.51, False, False),
        (1.99, 2, 1, 0.5, False, False),
        (7, 2, 2, 1.5, None, True),
        (6.99, 2, 2, 1.5, None, False),
        # Eight workers' streams need two CPUs: one task of a quarter each.
        (10, 4, 2, 1.0, None, True),
        (9.5, 4, 2, 1.0, None, False),
    ],
)
def test_accepts_exactly_what_fits(
    cpus: float,
    concurrent: int,
    workers: int,
    cpus_per_worker: float,
    inline: bool | None,
    fits: bool,
) -> None:
    resources = Resources(
        concurrent_trials=concurrent,
        workers=workers,
        cpus_per_worker=cpus_per_worker,
        inline=inline,
    )
    capacity = Capacity(cpus, gpus=0)
    if fits:
        capacity.require(resources)
    else:
        with pytest.raises(ClusterError, match=f"the cluster has {cpus:g}"):
            capacity.require(resources)


def test_refusal_names_both_numbers_and_what_to_change() -> None:
    with pytest.raises(ClusterError) as refused:
        Capacity(2, 0).require(Resources(concurrent_trials=1, workers=8, cpus_per_worker=1))
    assert str(refused.value) == (
        "the study asks for 1 concurrent trial × 8 workers × 1 CPU + 2 for data = 10 CPUs, "
        "the cluster has 2: lower resources.concurrent_trials, resources.workers or "
        "resources.cpus_per_worker"
    )


def test_inline_trials_ask_for_no_data_cpus() -> None:
    with pytest.raises(
        ClusterError, match=r"3 concurrent trials × 1 worker × 1 CPU = 3 CPUs, the cluster has 2"
    ):
        Capacity(2, 0).require(Resources(concurrent_trials=3, cpus_per_worker=1))


def test_one_worker_is_inline_unless_ray_train_is_asked_for() -> None:
    assert Resources().trains_inline
    assert not Resources(inline=False).trains_inline
    assert not Resources(workers=2).trains_inline
    with pytest.raises(ValidationError, match=r"inline is for one worker, workers is 2"):
        Resources(workers=2, inline=True)


def test_gpus_are_counted_over_all_trials() -> None:
    resources = Resources(concurrent_trials=2, workers=2, gpus_per_worker=1)
    Capacity(64, 4).require(resources)
    with pytest.raises(
        ClusterError, match=r"4 GPUs at the same time, the cluster has 3: .*gpus_per_worker"
    ):
        Capacity(64, 3).require(resources)


def test_this_machine_has_a_cpu() -> None:
    assert LocalRay().capacity().cpus >= 1
