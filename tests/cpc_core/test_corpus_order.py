from __future__ import annotations

import pickle
from collections import defaultdict
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpc_core.corpus.reading.order import ReadPlan
from cpc_core.corpus.row_groups import WINDOW_ROW_GROUPS, RowGroup
from cpc_core.errors import ConfigError
from cpc_core.storage_path import StoragePath

Clip = tuple[int, int]
"""A clip as (row group, row)."""


def plan_of(sizes: list[int], seed: int, batch_size: int) -> ReadPlan:
    groups = tuple(
        RowGroup(StoragePath(f"train-{index // 5:05d}.parquet"), index, rows)
        for index, rows in enumerate(sizes)
    )
    return ReadPlan(groups, seed, batch_size)


def order(
    plan: ReadPlan, start: int, stop: int, rank: int = 0, world: int = 1
) -> dict[int, list[Clip]]:
    """The clips of each step, in order, from the windows alone."""
    steps: dict[int, list[Clip]] = defaultdict(list)
    for read in plan.windows(start, stop, rank, world):
        clips = [(group.index, row) for group in read.row_groups for row in range(group.rows)]
        for row, step in zip(*read.rows_and_steps(), strict=True):
            steps[int(step)].append(clips[row])
    return dict(steps)


@st.composite
def plans(draw: st.DrawFn) -> ReadPlan:
    sizes = draw(st.lists(st.integers(1, 9), min_size=2, max_size=3 * WINDOW_ROW_GROUPS))
    batch_size = 4 * draw(st.integers(1, 6))
    sizes[0] += batch_size
    return plan_of(sizes, draw(st.integers(0, 2**40)), batch_size)


@given(plans(), st.integers(0, 3))
def test_an_epoch_takes_each_clip_at_most_once(plan: ReadPlan, epoch: int) -> None:
    """Only a tail shorter than a batch is left out."""
    first = epoch * plan.steps_per_epoch
    steps = order(plan, first, first + plan.steps_per_epoch)
    assert list(steps) == list(range(first, first + plan.steps_per_epoch))
    assert {len(clips) for clips in steps.values()} == {plan.batch_size}
    clips = [clip for step in steps.values() for clip in step]
    assert len(set(clips)) == len(clips)
    assert 0 <= plan.rows - len(clips) < plan.batch_size


@given(plans(), st.sampled_from([2, 4]), st.integers(0, 5))
def test_the_workers_shares_joined_are_the_step_of_one_worker(
    plan: ReadPlan, world: int, start: int
) -> None:
    stop = start + 2 * plan.steps_per_epoch + 1
    alone = order(plan, start, stop)
    shares = [order(plan, start, stop, rank, world) for rank in range(world)]
    for step, clips in alone.items():
        assert all(len(share[step]) == plan.batch_size // world for share in shares)
        assert sorted(clip for share in shares for clip in share[step]) == sorted(clips)
        for share in shares:
            assert share[step] == [clip for clip in clips if clip in share[step]]


@pytest.mark.parametrize("world", [2, 4, 8])
def test_workers_share_the_reading(world: int) -> None:
    plan = plan_of([16] * 10 * WINDOW_ROW_GROUPS, seed=0, batch_size=64)
    reads = sum(
        len(
            set(
                np.searchsorted(
                    np.cumsum([group.rows for group in read.row_groups]),
                    read.rows_and_steps()[0],
                    side="right",
                )
            )
        )
        for rank in range(world)
        for read in plan.windows(0, plan.steps_per_epoch, rank, world)
    )
    # Neighbours in rank both read a row group at their border, and a border moves by a few from
    # step to step.
    assert reads < 10 * (WINDOW_ROW_GROUPS + 5 * (world - 1))


def test_a_worker_reads_no_window_of_which_it_takes_nothing() -> None:
    plan = plan_of([16] * 8 * WINDOW_ROW_GROUPS, seed=0, batch_size=1024)
    assert [len(list(plan.windows(0, 2, rank, 4))) for rank in range(4)] == [2] * 4


@given(plans(), st.integers(0, 40), st.integers(1, 40))
def test_reading_may_start_at_any_step(plan: ReadPlan, start: int, length: int) -> None:
    """The order is that of reading from step 0."""
    whole = order(plan, 0, start + length)
    assert order(plan, start, start + length) == {
        step: clips for step, clips in whole.items() if step >= start
    }


@given(plans(), st.integers(0, 40), st.integers(0, 40))
def test_steps_arrive_in_order_and_none_is_missing(plan: ReadPlan, start: int, length: int) -> None:
    steps = [
        int(step)
        for read in plan.windows(start, start + length)
        for step in read.rows_and_steps()[1]
    ]
    assert steps == [step for step in range(start, start + length) for _ in range(plan.batch_size)]


def test_orders_differ_between_epochs_and_seeds() -> None:
    plan = plan_of([16] * 40, seed=3, batch_size=32)
    epochs = [order(plan, first, first + 20) for first in (0, 20)]
    assert list(epochs[0].values()) != list(epochs[1].values())
    assert order(plan, 0, 20) != order(plan_of([16] * 40, seed=4, batch_size=32), 0, 20)


def test_each_epoch_leaves_out_another_tail() -> None:
    plan = plan_of([16] * 3, seed=0, batch_size=40)
    left_out = [
        frozenset((g, r) for g in range(3) for r in range(16))
        - set(order(plan, epoch, epoch + 1)[epoch])
        for epoch in range(5)
    ]
    assert len(set(left_out)) == 5


def test_a_batch_mixes_the_row_groups_of_its_window() -> None:
    plan = plan_of([16] * 160, seed=0, batch_size=64)
    for clips in order(plan, 0, 4).values():
        assert len({group for group, _ in clips}) > WINDOW_ROW_GROUPS // 2


def test_the_order_is_pinned() -> None:
    """It is part of the results of every trial."""
    assert order(plan_of([2, 3, 2], seed=1, batch_size=3), 0, 3) == {
        0: [(0, 0), (1, 0), (1, 1)],
        1: [(2, 0), (1, 2), (0, 1)],
        2: [(1, 1), (1, 2), (2, 1)],
    }


def test_windows_are_lazy_and_small() -> None:
    plan = plan_of([16] * 1000, seed=0, batch_size=256)
    first = list(islice(plan.windows(10**9, 2 * 10**9), 3))
    assert first[0].start_step == 10**9
    assert len(pickle.dumps(first[0])) < 4000
    assert pickle.loads(pickle.dumps(first[0])) == first[0]


def test_a_batch_larger_than_the_split_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"data\.batch_size 21 is larger than the 20 training clips"
    ):
        plan_of([10, 10], seed=0, batch_size=21)


def test_a_batch_that_does_not_divide_is_refused() -> None:
    """Before the first window is read."""
    with pytest.raises(ConfigError, match=r"data\.batch_size 9 does not divide among 2 workers"):
        plan_of([10, 10], seed=0, batch_size=9).windows(0, 1, 0, 2)


def test_a_rank_outside_the_world_is_refused() -> None:
    with pytest.raises(ValueError, match="rank 2 is not one of 2 workers"):
        plan_of([10, 10], seed=0, batch_size=8).windows(0, 1, 2, 2)
