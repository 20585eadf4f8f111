"""Who sees which samples, asserted by gradient, for the paper's geometry at small width."""

from __future__ import annotations

import torch
from torch import Tensor

from cpc_core.config import CpcConfig
from cpc_core.model import CpcModel
from tests.cpc_core.tiny import noise, tiny_config

PAPER = CpcConfig.model_validate({"encoder": {"width": 8}, "similarity": {"kind": "dot"}, "seed": 3})


def seen_samples(output: Tensor, audio: Tensor) -> list[int]:
    """Positions of the audio that an output depends on."""
    (gradient,) = torch.autograd.grad(output.sum(), audio, retain_graph=True)
    return torch.nonzero(gradient[0]).flatten().tolist()


def test_latents_and_contexts_see_what_the_geometry_says() -> None:
    geometry = PAPER.geometry
    model = CpcModel(PAPER).double()
    audio = noise(1, geometry.samples(100)).double().requires_grad_()
    latents = model.encoder(audio)
    future, past = model.contextualise(latents)
    assert latents.shape == (1, 100, 8)
    for frame in (0, 40):
        seen = seen_samples(latents[0, frame], audio)
        assert (seen[0], seen[-1] + 1) == (frame * 320, frame * 320 + 955)
    seen = seen_samples(future[0, 90], audio)
    assert (seen[0], seen[-1] + 1) == (12 * 320, 90 * 320 + 955)
    assert seen[-1] + 1 - seen[0] == 25_915
    reversed_frame = 99 - 9
    seen = seen_samples(past[0, reversed_frame], audio)
    assert (seen[0], seen[-1] + 1) == (9 * 320, 87 * 320 + 955)


def test_the_first_predicted_latent_shares_no_sample_with_its_context() -> None:
    model = CpcModel(PAPER).double()
    audio = noise(1, PAPER.geometry.samples(30)).double().requires_grad_()
    latents = model.encoder(audio)
    future, past = model.contextualise(latents)
    step = PAPER.geometry.first_safe_step
    for context, ordered in ((future, latents), (past, latents.flip(1))):
        own = set(seen_samples(context[0, 10], audio))
        assert own.isdisjoint(seen_samples(ordered[0, 10 + step], audio))
        assert not own.isdisjoint(seen_samples(ordered[0, 10 + step - 1], audio))


def test_reversing_the_audio_swaps_the_two_directions() -> None:
    config = tiny_config(encoder={"width": 6, "kernels": [1], "strides": [1]}, objective={"first_step": 3, "n_steps": 2})
    model = CpcModel(config)
    model.past_context.load_state_dict(model.future_context.state_dict())
    audio = noise(2, 30)
    future, past = model.contextualise(model.encoder(audio))
    future_of_reversed, past_of_reversed = model.contextualise(model.encoder(audio.flip(1)))
    torch.testing.assert_close(future, past_of_reversed)
    torch.testing.assert_close(past, future_of_reversed)


def test_clips_do_not_see_each_other() -> None:
    model = CpcModel(tiny_config()).double()
    audio = noise(3, 80).double()
    together = model(audio).contexts
    torch.testing.assert_close(together[1:2], model(audio[1:2]).contexts)


def test_parameter_counts_of_the_paper() -> None:
    with torch.device("meta"):
        model = CpcModel(CpcConfig())
    contexts = [parameter.numel() for network in (model.future_context, model.past_context) for parameter in network.parameters()]
    assert sum(contexts) == 2 * (90 * 512**2 + 12 * 3 * 512)
    assert round(sum(contexts) / 1e6, 1) == 47.2
    assert round(sum(parameter.numel() for parameter in model.parameters()) / 1e6, 1) == 56.7


def test_replicates_of_two_cells_share_the_weights_that_both_have() -> None:
    dot, nonlinear = CpcModel(tiny_config(similarity={"kind": "dot"})), CpcModel(tiny_config())
    shared = set(dot.state_dict()) & set(nonlinear.state_dict())
    assert {"objective.predictors.0.weight", "encoder.layers.0.conv.weight", "past_context.layers.2.conv.conv.weight"} <= shared
    for name in shared:
        assert torch.equal(dot.state_dict()[name], nonlinear.state_dict()[name]), name
    assert not torch.equal(dot.encoder.layers[0].conv.weight, CpcModel(tiny_config(seed=1)).encoder.layers[0].conv.weight)  # type: ignore[union-attr, arg-type]
