"""Batches with silent and constant clips: every metric stays a number."""

from __future__ import annotations

import math
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cpc_core.corpus.corpus import Clips
from cpc_core.corpus.reading.batches import Batch
from cpc_core.evaluation.held_out import evaluate, evaluate_attacked
from cpc_core.model.initialise import initialise
from cpc_core.step import TrainState, train_step
from tests.helpers.configs import noise, tiny_config

SAMPLES = 80


def audio_of(contents: list[str]) -> Tensor:
    """Clips `[len(contents), SAMPLES]`: noise, silence or a constant."""
    audio = noise(len(contents), SAMPLES)
    for clip, content in enumerate(contents):
        if content != "noise":
            audio[clip] = {"silence": 0.0, "constant": 0.25}[content]
    return audio


@settings(deadline=None, max_examples=40)
@given(
    contents=st.lists(st.sampled_from(["noise", "silence", "constant"]), min_size=4, max_size=4),
    adversary=st.sampled_from(
        [
            {"kind": "none"},
            {"kind": "fgsm", "epsilon_reference": "clip_rms"},
            {"kind": "pgd", "branch": "both"},
            {"kind": "gaussian"},
        ]
    ),
    similarity=st.sampled_from(["dot", "cosine", "nonlinear_cosine"]),
    loss=st.sampled_from(["bce", "infonce"]),
    precision=st.sampled_from(["float32", "bfloat16"]),
)
def test_every_metric_is_a_number(
    contents: list[str], adversary: dict[str, Any], similarity: str, loss: str, precision: str
) -> None:
    config = tiny_config(
        adversary=adversary,
        similarity={"kind": similarity},
        objective={"first_step": 3, "n_steps": 2, "loss": loss},
        compute={"precision": precision},
    )
    state = TrainState.create(config, torch.device("cpu"))
    audio, ids = audio_of(contents), torch.arange(4)
    initialise(state.model, audio, config.initialisation, config.negatives.count)
    for step in range(2):
        measured = train_step(state, Batch(step, ids, audio))
        for name, value in vars(measured).items():
            ratio_exists = "noise" in contents and adversary["kind"] != "none"
            if name.startswith("snr_db") and not ratio_exists:
                assert not math.isinf(value), name
            else:
                assert math.isfinite(value), name
    empty = ("",) * 4
    clips = Clips(audio, ids, torch.full((4,), SAMPLES), empty, ((),) * 4, empty, empty, ())
    for metrics in (
        evaluate(state.model, config, clips, SAMPLES),
        evaluate_attacked(state.model, config, clips, SAMPLES),
    ):
        assert all(map(math.isfinite, vars(metrics).values()))
    assert all(parameter.isfinite().all() for parameter in state.model.parameters())


def test_a_silent_clip_moves_no_ratio_of_the_others() -> None:
    audio, ids = audio_of(["noise", "noise", "noise", "silence"]), torch.arange(4)

    def quantiles(clips: int) -> list[Tensor]:
        config = tiny_config(
            adversary={"kind": "gaussian", "epsilon_db": -30}, data={"batch_size": clips}
        )
        state = TrainState.create(config, torch.device("cpu"))
        measured = train_step(state, Batch(0, ids[:clips], audio[:clips]))
        return [measured.snr_db_p05, measured.snr_db, measured.snr_db_p95]

    torch.testing.assert_close(quantiles(4), quantiles(3))
