"""The same step computed in other ways: accumulated, recomputed, in bfloat16, compiled."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
import torch

from cpc_core.model.initialise import initialise
from cpc_core.step import StepMetrics, TrainState, train_step
from tests.helpers.configs import tiny_batch, tiny_config

CPU = torch.device("cpu")


def stepped(
    steps: int = 3, dtype: torch.dtype = torch.float64, **changes: Any
) -> tuple[list[StepMetrics], TrainState]:
    """Metrics and state after a few steps on one batch."""
    state = TrainState.create(tiny_config(**changes), CPU)
    state.model.to(dtype)
    batch = tiny_batch(dtype=dtype)
    initialise(state.model, batch.audio, state.config.initialisation, state.config.negatives.count)
    return [train_step(state, batch) for _ in range(steps)], state


@pytest.mark.parametrize(
    "compute",
    [
        {"clips_per_pass": 1},
        {"clips_per_pass": 3},
        {"checkpoint_layers": True},
        {"clips_per_pass": 2, "checkpoint_layers": True},
    ],
)
@pytest.mark.parametrize(
    "adversary",
    [
        {"kind": "none"},
        {"kind": "fgsm"},
        {"kind": "pgd", "branch": "both"},
        {"kind": "free", "replays": 2},
    ],
)
@pytest.mark.parametrize("sampling", ["local", "exclusive"])
def test_how_much_is_held_at_a_time_changes_no_update(
    compute: dict[str, Any], adversary: dict[str, Any], sampling: str
) -> None:
    """Exclusive sampling with one clip a pass has other clips all the same: the pool is the whole
    batch.
    """
    changes: dict[str, Any] = {"adversary": adversary, "negatives": {"sampling": sampling}}
    plain, expected = stepped(**changes)
    accumulated, state = stepped(compute=compute, **changes)
    for ours, theirs in zip(accumulated, plain, strict=True):
        torch.testing.assert_close(ours.loss, theirs.loss)
    for (name, weight), other in zip(
        state.model.named_parameters(), expected.model.parameters(), strict=True
    ):
        torch.testing.assert_close(weight, other, msg=name)


def test_bfloat16_stays_near_float32_and_keeps_float32_weights() -> None:
    changes: dict[str, Any] = {
        "adversary": {"kind": "fgsm", "epsilon_db": -40},
        "similarity": {"kind": "dot"},
    }
    precise, _ = stepped(dtype=torch.float32, **changes)
    rounded, state = stepped(dtype=torch.float32, compute={"precision": "bfloat16"}, **changes)
    assert all(parameter.dtype == torch.float32 for parameter in state.model.parameters())
    for ours, theirs in zip(rounded, precise, strict=True):
        assert ours.loss.dtype == torch.float32
        assert float(ours.loss) != float(theirs.loss)
        assert float(ours.loss) == pytest.approx(float(theirs.loss), rel=0.02)


# The compiler looks at gradients of tensors that are no leaves.
@pytest.mark.skipif(
    shutil.which("g++") is None,
    reason="torch.compile needs a C++ compiler on a CPU, and there is no g++ here",
)
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_compiled_networks_give_the_same_losses() -> None:
    changes: dict[str, Any] = {
        "adversary": {"kind": "fgsm", "epsilon_db": -40},
        "context": {"kernels": [2, 3]},
    }
    eager, _ = stepped(dtype=torch.float32, **changes)
    compiled, state = stepped(dtype=torch.float32, compute={"compile": True}, **changes)
    assert state.model.encoder._compiled_call_impl is not None
    for ours, theirs in zip(compiled, eager, strict=True):
        assert float(ours.loss) == pytest.approx(float(theirs.loss), rel=1e-3)


def test_fused_adam_is_adam() -> None:
    _, state = stepped(steps=4, dtype=torch.float32)
    assert state.optimizer.defaults["fused"]
    reference = TrainState.create(tiny_config(), CPU)
    reference.optimizer = torch.optim.Adam(reference.model.parameters(), foreach=False)
    batch = tiny_batch()
    initialise(
        reference.model,
        batch.audio,
        reference.config.initialisation,
        reference.config.negatives.count,
    )
    for _ in range(4):
        train_step(reference, batch)
    for weight, other in zip(state.model.parameters(), reference.model.parameters(), strict=True):
        torch.testing.assert_close(weight, other, rtol=1e-4, atol=1e-6)
