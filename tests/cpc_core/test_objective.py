"""Eq. 1 against a plain loop over its own indices, and against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cpc_core.config import NegativesConfig, ObjectiveConfig
from cpc_core.model.cpc_model import CpcModel
from cpc_core.objective.embedding import Dot
from cpc_core.objective.negatives import Pool, Sampling, draw_negatives
from cpc_core.objective.objective import Objective, constant_answer_loss
from cpc_core.stateless_random import Key, Purpose
from tests.helpers.configs import noise, tiny_config
from tests.helpers.plain_objective import LoneClip, plain_objective


@pytest.mark.parametrize("similarity", ["dot", "cosine", "nonlinear_cosine"])
@pytest.mark.parametrize("sampling", ["local", "cross", "exclusive"])
@pytest.mark.parametrize("loss", ["bce", "infonce"])
@pytest.mark.parametrize("share_over_k", [False, True])
def test_loss_and_accuracies_equal_the_plain_loop(
    similarity: str, sampling: Sampling, loss: str, share_over_k: bool
) -> None:
    config = tiny_config(
        similarity={"kind": similarity},
        objective={"first_step": 3, "n_steps": 2, "temperature": 0.3, "loss": loss},
        negatives={"sampling": sampling, "count": 3, "share_over_k": share_over_k},
    )
    model = CpcModel(config).double()
    audio = noise(3, 60).double()
    latents = model.encode(audio)
    contexts = model.contextualise(latents)
    clips = [LoneClip.of(model, clip) for clip in audio]
    key = Key(0, 0, Purpose.NEGATIVES)
    drawn = draw_negatives(
        key, torch.arange(3), Pool(3), latents.shape[1], config.objective.n_steps, config.negatives
    )
    with torch.no_grad():
        result = model.objective(contexts, latents, drawn)
        expected = plain_objective(model, loss, clips, drawn)
    for name, value in expected.items():
        assert float(getattr(result, name)) == pytest.approx(value, rel=1e-9), name


@torch.no_grad()
def orthogonal_case(scale: float) -> tuple[Objective, tuple[Tensor, Tensor], Tensor, Tensor]:
    """Every latent its own axis, and each context equal to the latent one step on."""
    frames = 6
    latents = torch.eye(frames, dtype=torch.float64).unsqueeze(0) * scale
    objective = Objective(
        frames, frames, Dot(), ObjectiveConfig(temperature=1.0, first_step=1, n_steps=1)
    ).double()
    for predictor in objective.predictors:
        torch.nn.init.eye_(predictor.weight)  # type: ignore[arg-type]
        torch.nn.init.zeros_(predictor.bias)  # type: ignore[arg-type]
    contexts = latents.roll(-1, dims=1), latents.flip(1).roll(-1, dims=1)
    negatives = draw_negatives(
        Key(0, 0, Purpose.NEGATIVES),
        torch.arange(1),
        Pool(1),
        frames,
        1,
        NegativesConfig(sampling="local"),
    )
    return objective, contexts, latents, negatives


@torch.no_grad()
def test_orthogonal_latents_predicted_exactly() -> None:
    objective, contexts, latents, negatives = orthogonal_case(3.0)
    result = objective(contexts, latents, negatives)
    softplus = math.log1p(math.exp(-9.0))
    assert float(result.loss) == pytest.approx(2 * (softplus + 2 * math.log(2)))
    assert float(result.accuracy) == 1.0
    assert float(result.ranking_accuracy) == 1.0


@torch.no_grad()
def test_identical_latents_leave_only_the_constant_answer() -> None:
    objective = Objective(
        4, 4, Dot(), ObjectiveConfig(temperature=1.0, first_step=1, n_steps=4)
    ).double()
    latents = torch.ones(2, 12, 4, dtype=torch.float64)
    for predictor in objective.predictors:
        torch.nn.init.zeros_(predictor.weight)  # type: ignore[arg-type]
        torch.nn.init.constant_(predictor.bias, -math.log(2) / 4)  # type: ignore[arg-type]
    negatives = draw_negatives(
        Key(0, 0, Purpose.NEGATIVES), torch.arange(2), Pool(2), 12, 4, NegativesConfig()
    )
    result = objective((latents, latents), latents, negatives)
    assert float(result.loss) == pytest.approx(constant_answer_loss(ObjectiveConfig(), negatives=2))
    assert float(result.loss) == pytest.approx(15.276, abs=1e-3)
    assert float(result.accuracy) == pytest.approx(2 / 3)
    assert float(result.balanced_accuracy) == 0.5
    assert float(result.ranking_accuracy) == 0.0


def test_constant_answer_of_infonce_is_uniform() -> None:
    assert constant_answer_loss(ObjectiveConfig(loss="infonce"), negatives=2) == pytest.approx(
        8 * math.log(3)
    )
