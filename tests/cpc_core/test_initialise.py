from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from cpc_core.config import CpcConfig, InitialisationConfig, NegativesConfig
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.reading.batches import batches_in_process, crop
from cpc_core.corpus.sample import SAMPLE_NAME, open_corpus
from cpc_core.evaluation.held_out import evaluate
from cpc_core.model.cpc_model import CpcModel
from cpc_core.model.initialise import initialise
from cpc_core.model.layers import LayerNorm
from cpc_core.model.standardise import whiten
from cpc_core.objective.embedding import NonlinearCosine
from cpc_core.objective.negatives import Pool, draw_negatives
from cpc_core.stateless_random import Key, Purpose
from tests.helpers.configs import noise

REGRESSION = InitialisationConfig(kind="regression")


def coloured(clips: int, samples: int, seed: int = 0) -> Tensor:
    """A tone of its own in each clip, in noise: what a clip sounds like says what it will sound
    like.
    """
    pitch_hz = (
        100 * torch.randperm(60, generator=torch.Generator().manual_seed(seed))[:clips, None] + 150
    )
    return 0.1 * torch.sin(2 * math.pi * pitch_hz * torch.arange(samples) / 16_000) + 0.3 * noise(
        clips, samples, seed
    )


def config_of(similarity: str, temperature: float, width: int = 16, **changes: Any) -> CpcConfig:
    return CpcConfig.model_validate(
        {
            "encoder": {"width": width},
            "similarity": {"kind": similarity},
            "objective": {"temperature": temperature},
            **changes,
        }
    )


def model_of(similarity: str, temperature: float, width: int = 16) -> CpcModel:
    return CpcModel(config_of(similarity, temperature, width))


def initialised(config: CpcConfig, audio: Tensor) -> CpcModel:
    model = CpcModel(config)
    initialise(model, audio, config.initialisation, config.negatives.count)
    return model


@pytest.mark.parametrize("kind", ["standardised", "regression"])
@torch.no_grad()
def test_every_channel_has_mean_zero_and_variance_one(kind: str) -> None:
    model, audio = model_of("dot", 1.0), noise(8, 8000)
    initialise(model, audio, InitialisationConfig(kind=kind), negatives=2)  # type: ignore[arg-type]
    seen: list[torch.Tensor] = []
    for norm in (module for module in model.modules() if isinstance(module, LayerNorm)):
        norm.register_forward_hook(lambda module, inputs, output: seen.append(output))
    model(audio)
    assert len(seen) == 9 + 2 * 12
    for output in seen:
        torch.testing.assert_close(output.mean(dim=(0, 1)), torch.zeros(16), atol=1e-3, rtol=0)
        torch.testing.assert_close(
            output.var(dim=(0, 1), correction=0), torch.ones(16), atol=2e-3, rtol=0
        )


def first_logits(model: CpcModel, audio: Tensor) -> Tensor:
    """Logits of every direction, step and frame with the same frame of another clip."""
    latents = model.encode(audio)
    rows = []
    for direction, context in enumerate(model.contextualise(latents)):
        targets = model.objective.similarity(latents if direction == 0 else latents.flip(1))
        for predicted in model.objective.predict(direction, context).unbind(2):
            rows.append((predicted * targets.roll(1, dims=0)).sum(-1) / model.objective.temperature)
    return torch.stack(rows)


@pytest.mark.parametrize("temperature", [1.0, 0.05])
@pytest.mark.parametrize("similarity", ["dot", "cosine", "nonlinear_cosine"])
@torch.no_grad()
def test_logits_start_near_the_constant_answer(similarity: str, temperature: float) -> None:
    """Whatever τ is. A cosine at τ = 1 cannot vary that much, and reaches down to -0.69 only in
    part; without a projection, predictions of length 1 must point somewhere, and at τ = 0.05 vary
    more, but less than in 16 dimensions at random (5).
    """
    model, audio = model_of(similarity, temperature), coloured(8, 16_000)
    initialise(model, audio, REGRESSION, negatives=2)
    logits = first_logits(model, audio)
    if similarity != "dot" and temperature == 1.0:
        assert -0.75 < float(logits.mean()) < -0.3
        assert float(logits.std()) < 0.5
    else:
        assert float(logits.mean()) == pytest.approx(-math.log(2), abs=0.25)
        assert (
            float(logits.std()) < 2.2
            if similarity == "cosine"
            else float(logits.std()) == pytest.approx(0.5, rel=0.3)
        )


@pytest.mark.parametrize(
    ("similarity", "least"), [("dot", 0.45), ("cosine", 0.37), ("nonlinear_cosine", 0.345)]
)
@torch.no_grad()
def test_first_predictions_rank_above_chance_elsewhere(similarity: str, least: float) -> None:
    """Chance is 1/3, give or take 0.006 for the 5 760 positives."""
    model = model_of(similarity, 0.05, width=32)
    initialise(model, coloured(16, 16_000), REGRESSION, negatives=2)
    other = coloured(16, 16_000, seed=1)
    latents = model.encode(other)
    config = NegativesConfig(sampling="cross")
    drawn = draw_negatives(
        Key(0, 0, Purpose.NEGATIVES), torch.arange(16), Pool(16), latents.shape[1], 4, config
    )
    assert (
        float(model.objective(model.contextualise(latents), latents, drawn).ranking_accuracy)
        > least
    )


@torch.no_grad()
def test_predictors_are_the_ridge_regression() -> None:
    model, audio = model_of("dot", 1.0), coloured(8, 16_000)
    initialise(model, audio, REGRESSION, negatives=2)
    latents = model.encode(audio).double()
    context = model.contextualise(model.encode(audio))[0].double()
    step, centred = 4, context - context.mean((0, 1))
    x, y = (
        centred[:, :-step].flatten(0, 1),
        (latents - latents.mean((0, 1)))[:, step:].flatten(0, 1),
    )
    penalty = REGRESSION.ridge * x.square().mean(0).mean() * len(x)
    expected = torch.linalg.lstsq(
        torch.cat((x, penalty.sqrt() * torch.eye(16))), torch.cat((y, torch.zeros(16, 16)))
    ).solution.T
    weight = model.objective.predictors[0].weight[:16].double()  # type: ignore[index]
    cosine = (weight * expected).sum() / weight.norm() / expected.norm()
    assert float(cosine) == pytest.approx(1.0, abs=1e-4)


@torch.no_grad()
def test_projected_latents_are_white_where_the_batch_varies() -> None:
    model, audio = model_of("nonlinear_cosine", 0.05), noise(8, 8000)
    initialise(model, audio, REGRESSION, negatives=2)
    similarity = model.objective.similarity
    assert isinstance(similarity, NonlinearCosine)
    projected = similarity.project(model.encode(audio)).flatten(0, 1).double()[:, 1:]
    torch.testing.assert_close(
        projected.mean(dim=0), torch.zeros(511, dtype=torch.float64), atol=1e-3, rtol=0
    )
    variances = torch.linalg.eigvalsh(torch.cov(projected.T)).flip(0)
    torch.testing.assert_close(
        variances[:12] / variances[0], torch.ones(12, dtype=torch.float64), atol=2e-2, rtol=0
    )


@pytest.mark.parametrize("kind", ["plain", "pytorch"])
def test_kinds_without_data_are_left_as_they_are(kind: str) -> None:
    config = config_of("dot", 1.0, initialisation={"kind": kind})
    fresh, model = CpcModel(config).state_dict(), initialised(config, noise(8, 8000))
    assert all(torch.equal(value, fresh[name]) for name, value in model.state_dict().items())


def test_plain_weights_are_cut_normal_with_variance_by_fan_in() -> None:
    """A normal distribution cut at two deviations has a variance of 0.774."""
    model = CpcModel(config_of("nonlinear_cosine", 1.0, 64, initialisation={"kind": "plain"}))
    seen = 0
    for name, value in model.named_parameters():
        if name.endswith("norm.weight"):
            assert torch.equal(value, torch.ones_like(value))
        elif name.endswith("bias"):
            assert not value.any()
        else:
            scaled = value.detach().double() * math.sqrt(value[0].numel())
            assert float(scaled.abs().max()) <= 2
            assert float(scaled.mean()) == pytest.approx(0, abs=5 / math.sqrt(value.numel()))
            assert float(scaled.var()) == pytest.approx(0.774, abs=5 / math.sqrt(value.numel()))
            seen += 1
    assert seen == 9 + 2 * 12 + 2 + 2


@pytest.mark.parametrize("kind", ["plain", "pytorch", "standardised"])
def test_cells_share_the_weights_that_they_have_in_common(kind: str) -> None:
    """Whatever the similarity, τ and the sampling."""
    audio = coloured(8, 8000)
    models = [
        initialised(
            config_of(
                similarity,
                temperature,
                negatives={"sampling": sampling},
                initialisation={"kind": kind},
            ),
            audio,
        ).state_dict()
        for similarity, temperature, sampling in product(
            ("dot", "cosine", "nonlinear_cosine"), (0.05, 1.0), ("local", "cross", "exclusive")
        )
    ]
    for weights in models:
        assert all(torch.equal(weights[name], value) for name, value in models[0].items())
    for weights in models[-6:]:
        assert all(torch.equal(weights[name], value) for name, value in models[-1].items())
    other = initialised(config_of("dot", 1.0, seed=1, initialisation={"kind": kind}), audio)
    name = "encoder.layers.3.conv.conv.weight"
    assert not torch.equal(other.get_parameter(name), models[0][name])


@pytest.mark.parametrize("similarity", ["dot", "cosine", "nonlinear_cosine"])
@torch.no_grad()
def test_standardised_logits_lie_around_zero(similarity: str) -> None:
    config = config_of(similarity, 1.0, initialisation={"kind": "standardised"})
    audio = coloured(8, 16_000)
    logits = first_logits(initialised(config, audio), audio)
    assert abs(float(logits.mean())) < 0.1 * float(logits.std())


def first_rankings(kind: str, similarity: str, corpus: Corpus) -> Tensor:
    """Ranking accuracy on the held-out clips before any step, for each of eight seeds."""
    clips, rankings = corpus.draw_clips("dev", 32), []
    for seed in range(8):
        config = config_of(
            similarity,
            0.05,
            seed=seed,
            initialisation={"kind": kind},
            data={"batch_size": 16, "crop_s": 0.64},
        )
        (whole,) = batches_in_process(corpus, seed, 16, 0, 1)
        batch = crop(whole, 10_240, seed)
        model = CpcModel(config)
        initialise(model, batch.audio, config.initialisation, 2, batch.num_samples)
        rankings.append(evaluate(model, config, clips, 10_240).ranking_accuracy)
    return torch.tensor(rankings)


@pytest.mark.parametrize("similarity", ["dot", "cosine", "nonlinear_cosine"])
@pytest.mark.parametrize("kind", ["plain", "pytorch", "standardised"])
def test_ranking_is_at_chance_before_the_first_step(kind: str, similarity: str) -> None:
    """On real audio, within the error between seeds: no cell starts with a part of the answer."""
    rankings = first_rankings(kind, similarity, open_corpus(SAMPLE_NAME))
    error = float(rankings.std()) / math.sqrt(len(rankings))
    assert float(rankings.mean()) == pytest.approx(1 / 3, abs=3 * error)


def test_regression_starts_with_a_part_of_the_answer() -> None:
    rankings = first_rankings("regression", "dot", open_corpus(SAMPLE_NAME))
    error = float(rankings.std()) / math.sqrt(len(rankings))
    assert float(rankings.mean()) > 1 / 3 + 3 * error


@pytest.mark.parametrize(("hidden", "output"), [(20, 20), (20, 8), (8, 20)])
def test_whitening_does_not_depend_on_the_signs_of_axes(
    hidden: int, output: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor on the axes of equal variances: each LAPACK chooses its own."""
    latents = torch.randn(50, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    latents = torch.cat((latents, latents.roll(1, 1)))
    eigh = torch.linalg.eigh

    def whitened(signs: Tensor) -> Tensor:
        torch.manual_seed(1)
        projection = NonlinearCosine(6, hidden, output).double()
        monkeypatch.setattr(
            torch.linalg, "eigh", lambda matrix: (eigh(matrix)[0], eigh(matrix)[1] * signs)
        )
        with torch.no_grad():
            whiten(projection, latents)
        return projection.output.weight.detach()

    plain = whitened(torch.ones(hidden, dtype=torch.float64))
    flipped = whitened((-1.0) ** torch.arange(hidden, dtype=torch.float64))
    assert torch.allclose(flipped, plain, atol=1e-9)
