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


def loop_loss(
    model: CpcModel, kind: str, contexts: tuple[Tensor, Tensor], latents: Tensor, negatives: Tensor
) -> dict[str, float]:
    """Eq. 1 with one Python float at a time, and the three accuracies by counting."""
    similarity, objective = model.objective.similarity, model.objective
    total, hits, balanced, ranked = 0.0, [], [], []
    clips, frames, width = latents.shape
    for direction in range(2):
        ordered = latents if direction == 0 else latents.flip(1)
        predictor = objective.predictors[direction]
        for task, step in enumerate(objective.steps):
            weight = predictor.weight[task * width : (task + 1) * width]  # type: ignore[index]
            bias = predictor.bias[task * width : (task + 1) * width]  # type: ignore[index]
            terms, right_positive, right_negative, first = [], [], [], []
            for clip in range(clips):
                for anchor in range(frames - step):
                    guess = similarity(weight @ contexts[direction][clip, anchor] + bias)

                    def logit(
                        position: tuple[int, int], guess: Tensor = guess, ordered: Tensor = ordered
                    ) -> float:
                        return float(similarity(ordered[position]) @ guess) / objective.temperature

                    positive = logit((clip, anchor + step))
                    drawn = [
                        divmod(int(flat), frames)
                        for flat in negatives[direction, task, clip, anchor + step]
                    ]
                    others = [logit(position) for position in drawn]
                    if kind == "bce":
                        rejected = sum(math.log(1 / (1 + math.exp(other))) for other in others)
                        terms.append(-math.log(1 / (1 + math.exp(-positive))) - rejected)
                    else:
                        terms.append(
                            -math.log(
                                math.exp(positive)
                                / sum(math.exp(score) for score in (positive, *others))
                            )
                        )
                    right_positive.append(positive > 0)
                    right_negative += [other <= 0 for other in others]
                    first.append(positive > max(others))
            total += sum(terms) / len(terms)
            hits.append(
                (sum(right_positive) + sum(right_negative))
                / (len(right_positive) + len(right_negative))
            )
            balanced.append(
                (
                    sum(right_positive) / len(right_positive)
                    + sum(right_negative) / len(right_negative)
                )
                / 2
            )
            ranked.append(sum(first) / len(first))
    mean = lambda values: sum(values) / len(values)  # noqa: E731
    return {
        "loss": total,
        "accuracy": mean(hits),
        "balanced_accuracy": mean(balanced),
        "ranking_accuracy": mean(ranked),
    }


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
    latents = model.encoder(noise(3, 60).double())
    contexts = model.contextualise(latents)
    key = Key(0, 0, Purpose.NEGATIVES)
    drawn = draw_negatives(
        key, torch.arange(3), Pool(3), latents.shape[1], config.objective.n_steps, config.negatives
    )
    with torch.no_grad():
        result = model.objective(contexts, latents, drawn)
        expected = loop_loss(model, loss, contexts, latents, drawn)
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
