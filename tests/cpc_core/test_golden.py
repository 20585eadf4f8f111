"""Fifty steps of a small model must go as they went when the file beside this one was written.

After a change that is meant to change numbers: `python -m tests.cpc_core.test_golden`, and say why
in the commit.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cpc_core.config import CpcConfig
from cpc_core.corpus.reading.batches import Batch
from cpc_core.model.initialise import initialise
from cpc_core.step import TrainState, train_step

GOLDEN = Path(__file__).with_name("golden_losses.json")
STEPS, CLIPS, SAMPLES = 50, 4, 6000

CASES: dict[str, dict[str, Any]] = {
    "fgsm nonlinear_cosine cross": {
        "adversary": {"kind": "fgsm"},
        "similarity": {"kind": "nonlinear_cosine", "hidden": 32},
    },
    "none dot local": {
        "similarity": {"kind": "dot"},
        "negatives": {"sampling": "local"},
        "objective": {"temperature": 1.0},
    },
    "plain": {"initialisation": {"kind": "plain"}},
    "standardised": {"initialisation": {"kind": "standardised"}},
}


def tones(step: int) -> Tensor:
    """Chirps `[CLIPS, SAMPLES]` whose pitches follow from the step and the clip, in a little
    noise.
    """
    time = torch.arange(SAMPLES, dtype=torch.float64) / 16_000
    clip = torch.arange(CLIPS, dtype=torch.float64)[:, None]
    pitch_hz = 200 + 150 * ((7 * step + 5 * clip) % 13)
    noise = torch.randn(
        CLIPS, SAMPLES, generator=torch.Generator().manual_seed(step), dtype=torch.float64
    )
    return (
        0.3 * torch.sin(2 * math.pi * (pitch_hz * time + 300 * time**2 * (clip - 1))) + 0.01 * noise
    )


def losses(case: str) -> list[float]:
    """The loss of every step."""
    config = CpcConfig.model_validate(
        {
            "data": {"batch_size": CLIPS},
            "encoder": {"width": 12},
            "initialisation": {"kind": "regression"},
            "optimizer": {"learning_rate": 1e-3, "warmup_steps": 20},
            "training": {"steps": STEPS, "report_every": STEPS},
            "compute": {"precision": "float32"},
            **CASES[case],
        }
    )
    state = TrainState.create(config, torch.device("cpu"))
    # In float32 another order of a sum flips a sign of the attack: curves differ after 20 steps.
    state.model.double()
    curve = []
    for step in range(STEPS):
        batch = Batch(step, (torch.arange(CLIPS) + CLIPS * step) % 13, tones(step))
        if step == 0:
            initialise(state.model, batch.audio, config.initialisation, config.negatives.count)
        curve.append(float(train_step(state, batch).loss))
    return curve


@pytest.mark.parametrize("case", CASES)
def test_the_loss_curve_is_the_golden_one(case: str) -> None:
    assert losses(case) == pytest.approx(json.loads(GOLDEN.read_text())[case], rel=1e-5)


def test_the_same_seed_gives_bitwise_the_same_curve() -> None:
    case = "fgsm nonlinear_cosine cross"
    assert losses(case) == losses(case)


if __name__ == "__main__":
    torch.set_num_threads(1)
    GOLDEN.write_text(
        json.dumps({case: [round(loss, 6) for loss in losses(case)] for case in CASES}, indent=1)
        + "\n"
    )
