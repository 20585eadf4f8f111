from __future__ import annotations

import pytest
import torch

from cpc_core.config import CpcConfig, InitialisationConfig
from cpc_core.initialise import initialise
from cpc_core.layers import LayerNorm
from cpc_core.model import CpcModel
from cpc_core.similarity import NonlinearCosine
from tests.cpc_core.tiny import noise

DEFAULT = InitialisationConfig()


def model_of(similarity: str, temperature: float) -> CpcModel:
    return CpcModel(
        CpcConfig.model_validate({"encoder": {"width": 16}, "similarity": {"kind": similarity}, "objective": {"temperature": temperature}})
    )


@torch.no_grad()
def test_every_normalised_channel_has_mean_zero_and_variance_one_on_the_batch() -> None:
    model, audio = model_of("dot", 1.0), noise(8, 8000)
    initialise(model, audio, DEFAULT)
    seen: list[torch.Tensor] = []
    for norm in (module for module in model.modules() if isinstance(module, LayerNorm)):
        norm.register_forward_hook(lambda module, inputs, output: seen.append(output))
    model(audio)
    assert len(seen) == 9 + 2 * 12
    for output in seen:
        torch.testing.assert_close(output.mean(dim=(0, 1)), torch.zeros(16), atol=1e-3, rtol=0)
        torch.testing.assert_close(output.var(dim=(0, 1), correction=0), torch.ones(16), atol=2e-3, rtol=0)


@pytest.mark.parametrize("temperature", [1.0, 0.05])
@torch.no_grad()
def test_dot_logits_start_at_the_asked_deviation_whatever_the_temperature(temperature: float) -> None:
    model, audio = model_of("dot", temperature), noise(8, 8000)
    initialise(model, audio, DEFAULT)
    latents = model.encoder(audio)
    for direction, context in enumerate(model.contextualise(latents)):
        predictions = model.objective.predict(direction, context)
        logits = torch.stack([(predicted * latents.roll(1, dims=0)).sum(-1) / temperature for predicted in predictions])
        assert float(logits.std()) == pytest.approx(DEFAULT.logit_deviation, rel=0.02)


@torch.no_grad()
def test_projected_latents_are_white_in_every_direction_that_the_batch_tells_of() -> None:
    model, audio = model_of("nonlinear_cosine", 0.05), noise(8, 8000)
    initialise(model, audio, DEFAULT)
    similarity = model.objective.similarity
    assert isinstance(similarity, NonlinearCosine)
    projected = similarity.project(model.encoder(audio)).flatten(0, 1).double()
    torch.testing.assert_close(projected.mean(dim=0), torch.zeros(512, dtype=torch.float64), atol=1e-4, rtol=0)
    variances = torch.linalg.eigvalsh(torch.cov(projected.T)).flip(0)
    torch.testing.assert_close(variances[:12] / variances[0], torch.ones(12, dtype=torch.float64), atol=1e-2, rtol=0)


def test_it_can_be_switched_off() -> None:
    model, audio = model_of("dot", 1.0), noise(8, 8000)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    initialise(model, audio, InitialisationConfig(data_dependent=False))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
