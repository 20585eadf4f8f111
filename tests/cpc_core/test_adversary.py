from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from cpc_core.adversary import CleanPass, Fgsm, Gaussian, Pgd
from cpc_core.draws import Key, Purpose
from cpc_core.model import CpcModel
from cpc_core.negatives import draw_negatives
from tests.cpc_core.tiny import noise, tiny_config

CLIPS, SAMPLES = 2, 44


def clean_pass(model: CpcModel, audio: Tensor) -> CleanPass:
    config = tiny_config()
    latents = model.encoder(audio)
    contexts = model.contextualise(latents)
    ids = torch.arange(CLIPS)
    drawn = draw_negatives(Key(0, 0, Purpose.NEGATIVES), ids, "local", latents.shape[1], config.objective.steps, 2)
    return CleanPass(audio, latents, model.encoder, lambda z: model.objective(contexts, z, drawn).loss, ids, seed=0, step=0)


def loss_of(model: CpcModel, audio: Tensor) -> float:
    clean = clean_pass(model, audio)
    return float(clean.loss(clean.latents).detach())


def test_fgsm_is_the_sign_of_the_finite_difference_gradient() -> None:
    model = CpcModel(tiny_config()).double()
    audio = noise(CLIPS, SAMPLES).double()
    perturbed = Fgsm(0.01).perturb(clean_pass(model, audio.clone().requires_grad_()))
    delta = perturbed - audio
    assert float(delta.abs().max()) == pytest.approx(0.01, rel=1e-12)
    width, checked = 1e-6, 0
    with torch.no_grad():
        for clip in range(CLIPS):
            for sample in range(0, SAMPLES, 3):
                nudge = torch.zeros_like(audio)
                nudge[clip, sample] = width
                slope = (loss_of(model, audio + nudge) - loss_of(model, audio - nudge)) / (2 * width)
                if abs(slope) > 1e-6:
                    checked += 1
                    assert torch.sign(delta[clip, sample]) == (1 if slope > 0 else -1)
    assert checked > 20


def test_fgsm_raises_the_loss_more_than_noise_of_the_same_size() -> None:
    model = CpcModel(tiny_config()).double()
    audio = noise(CLIPS, SAMPLES).double().requires_grad_()
    clean = clean_pass(model, audio)
    base = loss_of(model, audio)
    adversarial = loss_of(model, Fgsm(0.003).perturb(clean)) - base
    random = [loss_of(model, Gaussian(0.003).perturb(dataclasses.replace(clean, step=step))) - base for step in range(10)]
    assert adversarial > 3 * max(abs(change) for change in random)


def test_gaussian_noise_has_the_size_of_epsilon() -> None:
    clean = CleanPass(torch.zeros(4, 50_000), torch.empty(0), lambda x: x, lambda z: z, torch.arange(4), seed=1, step=2)
    perturbation = Gaussian(0.02).perturb(clean)
    assert float(perturbation.std()) == pytest.approx(0.02, rel=0.01)
    assert float(perturbation.mean()) == pytest.approx(0.0, abs=2e-4)
    assert not torch.equal(perturbation, Gaussian(0.02).perturb(dataclasses.replace(clean, step=3)))


@pytest.mark.parametrize("random_start", [False, True])
def test_pgd_stays_in_the_ball_and_beats_one_step_of_its_size(random_start: bool) -> None:
    model = CpcModel(tiny_config()).double()
    audio = noise(CLIPS, SAMPLES).double().requires_grad_()
    clean = clean_pass(model, audio)
    short = Pgd(epsilon=0.02, attack_steps=1, relative_step=0.25, random_start=False).perturb(clean)
    long = Pgd(epsilon=0.02, attack_steps=8, relative_step=0.25, random_start=random_start).perturb(clean)
    assert float((long - audio).abs().max().detach()) <= 0.02 + 1e-12
    assert clean.loss(model.encoder(long)) > clean.loss(model.encoder(short))


def test_the_perturbation_grows_over_its_warm_up() -> None:
    ramp = Fgsm(0.5, warmup_steps=4)
    assert [ramp.size(step) for step in (0, 1, 4, 100)] == [0.1, 0.2, 0.5, 0.5]
    assert Fgsm(0.5).size(0) == 0.5
