"""The same step computed in other ways: accumulated, recomputed, in bfloat16, compiled."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import Any

import pytest
import torch

from cpc_core.config import ComputeConfig, CpcConfig
from cpc_core.model.cpc_model import CpcModel
from cpc_core.model.initialise import initialise
from cpc_core.model.precision import chosen_precision
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


@pytest.mark.parametrize("preset", ["printed", "patches_40ms"])
def test_bfloat16_reads_a_perturbation_of_every_sample(preset: str) -> None:
    """−75 dB of full scale, one sample at a time, on a level that the weights cancel."""
    config = CpcConfig.model_validate({"encoder": {"preset": preset, "width": 16}})
    layer = CpcModel(config).encoder.layers[0]
    convolution = layer.get_submodule("conv")
    with torch.no_grad():
        weight = convolution.get_parameter("conv.weight")
        weight.copy_(torch.tensor([0.5, -0.5]).repeat(weight.shape[-1] // 2).expand_as(weight))
    samples = range(1000, 1500)
    audio = torch.full((len(samples), 4000, 1), 0.3)
    audio[range(len(samples)), samples] += 10 ** (-75 / 20)
    audio.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = convolution(audio)
    precise = convolution(audio)
    assert rounded.dtype == torch.bfloat16
    assert precise.flatten(1).abs().amax(1).min() > 0.4 * 10 ** (-75 / 20)
    torch.testing.assert_close(rounded.float(), precise, rtol=0.02, atol=1e-6)
    # Rounded: how much of the gradient that is depends on no processor.
    direction = torch.randn_like(precise, generator=torch.Generator().manual_seed(0)).bfloat16()
    given, expected = (
        torch.autograd.grad(output, audio, direction.to(output))[0] for output in (rounded, precise)
    )
    # Where a processor has no instructions for it, the gradients of the two blocks that read a
    # sample are each rounded to eight bits before they are added, and the sum is rounded again.
    block = 0.5 * float(direction.float().abs().sum(-1).max())
    torch.testing.assert_close(given, expected, rtol=2**-8, atol=3 * 2**-9 * block)


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        ({"avx2": True}, "float32"),
        ({"avx2": True, "avx512_bf16": True}, "bfloat16"),
        ({"amx_bf16": True}, "bfloat16"),
        ({"amx_bf16": False, "avx512_bf16": False}, "float32"),
        ({"bf16": True}, "bfloat16"),
    ],
)
def test_auto_is_bfloat16_where_a_processor_computes_it(
    instructions: dict[str, bool], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    assert chosen_precision(ComputeConfig(), CPU) == expected
    assert chosen_precision(ComputeConfig(precision="float32"), CPU) == "float32"
    assert chosen_precision(ComputeConfig(precision="bfloat16"), CPU) == "bfloat16"


@pytest.mark.parametrize("allowed", [False, True])
def test_tf32_is_as_configured(allowed: bool) -> None:
    TrainState.create(tiny_config(compute={"tf32": allowed}), CPU)
    assert torch.backends.cuda.matmul.allow_tf32 is allowed
    assert torch.backends.cudnn.allow_tf32 is allowed


COMPILED = pytest.mark.skipif(
    shutil.which("g++") is None,
    reason="torch.compile needs a C++ compiler on a CPU, and there is no g++ here",
)
CLEAN_AND_ATTACKED: list[dict[str, Any]] = [
    {"adversary": {"kind": kind}, "context": {"kernels": [2, 3]}} for kind in ("none", "fgsm")
]


# The compiler looks at gradients of tensors that are no leaves.
@COMPILED
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_compiled_networks_give_the_same_losses() -> None:
    """Clean training first: an attack goes backward twice through the same compiled code."""
    for changes in CLEAN_AND_ATTACKED:
        eager, _ = stepped(dtype=torch.float32, **changes)
        compiled, state = stepped(dtype=torch.float32, compute={"compile": True}, **changes)
        assert state.model.encoder._compiled_call_impl is not None
        for ours, theirs in zip(compiled, eager, strict=True):
            assert float(ours.loss) == pytest.approx(float(theirs.loss), rel=1e-3)


@COMPILED
def test_an_attack_compiles_after_another_process_trained() -> None:
    """PyTorch keeps compiled code on disk, so that what one process compiled another one runs."""
    for changes in CLEAN_AND_ATTACKED:
        eager, _ = stepped(dtype=torch.float32, **changes)
        steps = subprocess.run(
            [sys.executable, "-m", "tests.helpers.compiled_steps", changes["adversary"]["kind"]],
            check=False,
            capture_output=True,
            text=True,
        )
        assert steps.returncode == 0, steps.stderr
        losses = [float(line) for line in steps.stdout.splitlines()]
        assert losses == pytest.approx([float(each.loss) for each in eager], rel=1e-3)


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
