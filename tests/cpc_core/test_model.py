"""Receptive fields by gradient, for every preset at small width, and numbers of parameters."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from cpc_core.config import CpcConfig
from cpc_core.model.cpc_model import CpcModel
from tests.helpers.configs import noise, tiny_config

PRESETS = ("printed", "ten_layers", "patches_40ms")
CONNECTIONS = ("none", "residual", "dense", "dense_concat", "dense_concat_bottleneck")


def paper(**changes: Any) -> CpcConfig:
    return CpcConfig.model_validate({"similarity": {"kind": "dot"}, "seed": 3, **changes})


def seen_samples(output: Tensor, audio: Tensor) -> list[int]:
    """Positions of the audio that an output depends on."""
    (gradient,) = torch.autograd.grad(output.sum(), audio, retain_graph=True)
    return torch.nonzero(gradient[0]).flatten().tolist()


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("connections", CONNECTIONS)
def test_latents_and_contexts_see_what_the_geometry_says(preset: str, connections: str) -> None:
    config = paper(encoder={"preset": preset, "width": 6}, context={"connections": connections})
    geometry = config.geometry
    model = CpcModel(config).double()
    audio = noise(1, geometry.samples(100)).double().requires_grad_()
    latents = model.encode(audio)
    future, past = model.contextualise(latents)
    assert latents.shape == (1, 100, 6)
    for frame in (1, 40):
        begin = frame * 320 - geometry.lead_samples
        seen = seen_samples(latents[0, frame], audio)
        assert (seen[0], seen[-1] + 1) == (begin, begin + geometry.patch_samples)
    end = 90 * 320 - geometry.lead_samples + geometry.patch_samples
    seen = seen_samples(future[0, 90], audio)
    assert (seen[0], seen[-1] + 1) == (end - geometry.context_samples, end)
    begin = 9 * 320 - geometry.lead_samples
    seen = seen_samples(past[0, 99 - 9], audio)
    assert (seen[0], seen[-1] + 1) == (begin, begin + geometry.context_samples)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_first_safe_latent_shares_no_sample_with_its_context(
    preset: str,
) -> None:
    config = paper(encoder={"preset": preset, "width": 6})
    model = CpcModel(config).double()
    audio = noise(1, config.geometry.samples(30)).double().requires_grad_()
    latents = model.encode(audio)
    step = config.geometry.first_safe_step
    for context, ordered in zip(
        model.contextualise(latents), (latents, latents.flip(1)), strict=True
    ):
        own = set(seen_samples(context[0, 10], audio))
        assert own.isdisjoint(seen_samples(ordered[0, 10 + step], audio))
        assert not own.isdisjoint(seen_samples(ordered[0, 10 + step - 1], audio))


def test_a_norm_over_time_leaks() -> None:
    config = paper(encoder={"width": 6, "norm": "channels_and_time"})
    audio = noise(1, config.geometry.samples(30)).double().requires_grad_()
    future, _ = CpcModel(config).double().contextualise(CpcModel(config).double().encode(audio))
    assert seen_samples(future[0, 10], audio)[-1] == audio.shape[1] - 1


@pytest.mark.parametrize("connections", CONNECTIONS)
def test_reversing_the_audio_swaps_the_two_directions(connections: str) -> None:
    config = tiny_config(
        encoder={"width": 6, "kernels": [1], "strides": [1]},
        context={"kernels": [2, 3], "connections": connections},
    )
    model = CpcModel(config)
    model.past_context.load_state_dict(model.future_context.state_dict())
    audio = noise(2, 30)
    future, past = model.contextualise(model.encode(audio))
    future_of_reversed, past_of_reversed = model.contextualise(model.encode(audio.flip(1)))
    torch.testing.assert_close(future, past_of_reversed)
    torch.testing.assert_close(past, future_of_reversed)


@pytest.mark.parametrize(
    ("connections", "millions"),
    [
        ("none", 47.2),
        ("residual", 47.2),
        ("dense", 47.2),
        ("dense_concat", 381.7),
        ("dense_concat_bottleneck", 88.2),
    ],
)
def test_parameters_of_the_contexts_at_the_papers_width(connections: str, millions: float) -> None:
    with torch.device("meta"):
        model = CpcModel(paper(context={"connections": connections}))
    count = sum(
        parameter.numel()
        for network in (model.future_context, model.past_context)
        for parameter in network.parameters()
    )
    assert round(count / 1e6, 1) == millions


def test_parameters_of_the_default_model() -> None:
    with torch.device("meta"):
        model = CpcModel(CpcConfig())
    encoder = sum(parameter.numel() for parameter in model.encoder.parameters())
    assert encoder == 10 * 512 + 6 * 4 * 512**2 + 2 * 512**2 + 9 * 3 * 512
    assert round(sum(parameter.numel() for parameter in model.parameters()) / 1e6, 1) == 56.7


def test_a_growth_rate_is_the_width_of_the_contexts() -> None:
    config = paper(encoder={"width": 6}, context={"connections": "dense_concat", "growth": 4})
    features = CpcModel(config)(noise(2, config.geometry.samples(20)))
    assert features.contexts.shape == (2, 20, 8)


def test_replicates_of_two_cells_share_common_weights() -> None:
    dot, nonlinear = CpcModel(tiny_config(similarity={"kind": "dot"})), CpcModel(tiny_config())
    shared = set(dot.state_dict()) & set(nonlinear.state_dict())
    assert {
        "objective.predictors.0.weight",
        "encoder.layers.0.conv.conv.weight",
        "past_context.layers.2.conv.conv.weight",
    } <= shared
    for name in shared:
        assert torch.equal(dot.state_dict()[name], nonlinear.state_dict()[name]), name
    name = "encoder.layers.0.conv.conv.weight"
    assert not torch.equal(dot.state_dict()[name], CpcModel(tiny_config(seed=1)).state_dict()[name])
