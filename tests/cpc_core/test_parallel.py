"""Data parallelism with real processes: two workers take the step that one worker takes."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from cpc_core.corpus.reading.batches import Batch
from cpc_core.distributed import gather_clips
from cpc_core.model.initialise import initialise
from cpc_core.step import TrainState, train_step
from tests.helpers.configs import tiny_batch, tiny_config

CPU = torch.device("cpu")
STEPS = 3


def shared_of(batch: Batch, rank: int, world: int) -> Batch:
    """A worker's consecutive share."""
    share = len(batch.clip_ids) // world
    part = slice(rank * share, (rank + 1) * share)
    lengths = None if batch.num_samples is None else batch.num_samples[part]
    return Batch(batch.step, batch.clip_ids[part], batch.audio[part], lengths)


def trained(
    changes: dict[str, Any], rank: int, world: int, lengths: list[int] | None = None
) -> tuple[dict[str, torch.Tensor], list[float], int]:
    """Weights, losses and the number of collective sums of the steps, on one worker."""
    state = TrainState.create(tiny_config(**{"data": {"batch_size": 8}, **changes}), CPU)
    state.model.double()
    sums = 0
    all_reduce = dist.all_reduce

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal sums
        sums += 1
        return all_reduce(*args, **kwargs)

    losses = []
    for step in range(STEPS):
        whole = tiny_batch(clips=8, step=step, dtype=torch.float64)
        if lengths is not None:
            whole = replace(whole, num_samples=torch.tensor(lengths))
        batch = shared_of(whole, rank, world)
        if step == 0:
            initialise(
                state.model,
                batch.audio,
                state.config.initialisation,
                state.config.negatives.count,
                batch.num_samples,
            )
            dist.all_reduce = counted
        losses.append(float(train_step(state, batch).loss))
    dist.all_reduce = all_reduce
    return state.model.state_dict(), losses, sums


def worker(
    rank: int, folder: Path, changes: dict[str, Any], lengths: list[int] | None = None
) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    torch.save(trained(changes, rank, 2, lengths), folder / f"{rank}.pt")
    dist.destroy_process_group()


# Each worker is a fork of a process that has imported torch, and what an optimizer imports at its
# first step.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["cpc_core.step", "torch._dynamo"])


def on_two_workers(target: Any, *arguments: Any) -> None:
    processes = [CONTEXT.Process(target=target, args=(rank, *arguments)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"negatives": {"sampling": "local"}, "adversary": {"kind": "fgsm", "epsilon_db": -40}},
        {
            "negatives": {"sampling": "cross", "pool_clips": 8},
            "adversary": {"kind": "fgsm", "epsilon_db": -40},
        },
        {
            "negatives": {"sampling": "exclusive", "pool_clips": 8},
            "adversary": {"kind": "pgd", "branch": "both"},
        },
        {"negatives": {"sampling": "cross", "pool_clips": 4}},
        {"negatives": {"sampling": "exclusive", "pool_clips": 2}},
    ],
    ids=["local", "cross-gathered", "exclusive-gathered", "cross-own", "exclusive-own"],
)
@pytest.mark.parametrize("lengths", [None, [80, 80, 80, 80, 41, 80, 15, 60]], ids=["full", "own"])
def test_two_workers_take_the_same_step_as_one(
    tmp_path: Path, changes: dict[str, Any], lengths: list[int] | None
) -> None:
    """Also where the clips of one worker alone are padded."""
    on_two_workers(worker, tmp_path, changes, lengths)
    expected, losses, _ = trained(changes, 0, 1, lengths)
    shares = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for mine, (one, other) in zip(
        losses, zip(shares[0][1], shares[1][1], strict=True), strict=True
    ):
        assert (one + other) / 2 == pytest.approx(mine, rel=1e-9)
    for weights, _, _ in shares:
        for name, value in expected.items():
            torch.testing.assert_close(weights[name], value, rtol=1e-7, atol=1e-10, msg=name)


def test_the_attack_averages_no_gradient(tmp_path: Path) -> None:
    """One sum over the workers a step, that of the update, however many gradients the attack
    takes: pools of a worker's own clips are not gathered.
    """
    changes = {"negatives": {"pool_clips": 4}, "adversary": {"kind": "pgd", "attack_steps": 4}}
    on_two_workers(worker, tmp_path, changes)
    assert torch.load(tmp_path / "0.pt")[2] == STEPS


def gathering(rank: int, folder: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    own = (torch.arange(6.0).view(2, 3) + 10 * rank).requires_grad_()
    gathered = gather_clips(own)
    weight = torch.arange(12.0).view(4, 3) + 100 * rank
    (gathered * weight).sum().backward()
    torch.save((gathered.detach(), own.grad), folder / f"{rank}.pt")
    dist.destroy_process_group()


def test_gathered_clips_are_in_order_with_gradients(tmp_path: Path) -> None:
    on_two_workers(gathering, tmp_path)
    summed = 2 * torch.arange(12.0).view(4, 3) + 100
    for rank in range(2):
        gathered, gradient = torch.load(tmp_path / f"{rank}.pt")
        assert torch.equal(
            gathered, torch.cat((torch.arange(6.0).view(2, 3), torch.arange(6.0).view(2, 3) + 10))
        )
        assert torch.equal(gradient, summed[2 * rank : 2 * rank + 2])


def test_one_worker_gathers_itself() -> None:
    own = torch.ones(2, 3)
    assert gather_clips(own) is own
