"""Each adversary against its definition, in float64 on a net small enough for finite
differences.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from cpc_core.adversary.base import Branch, Perturbation
from cpc_core.adversary.fgsm import Fgsm
from cpc_core.adversary.free import Free
from cpc_core.clean_pass import CleanPass
from cpc_core.config import CpcConfig
from cpc_core.model.cpc_model import CpcModel
from tests.helpers.configs import noise, tiny_clean_pass, tiny_config

CLIPS, SAMPLES = 2, 46
CONFIG = tiny_config(negatives={"sampling": "local"})


def adversary_of(kind: str, **settings: Any) -> Perturbation:
    adversary = tiny_config(adversary={"kind": kind, **settings}).adversary.start()
    assert adversary is not None
    return adversary


def perturb(adversary: Perturbation, clean: CleanPass) -> Tensor:
    return adversary.perturb(clean).detach()


@pytest.fixture
def model() -> CpcModel:
    return CpcModel(CONFIG).double()


@pytest.fixture
def audio() -> Tensor:
    return noise(CLIPS, SAMPLES).double()


def clean_pass(model: CpcModel, audio: Tensor) -> CleanPass:
    return tiny_clean_pass(CONFIG, model, audio.clone().requires_grad_())


def test_fgsm_is_the_sign_of_the_finite_difference_gradient(model: CpcModel, audio: Tensor) -> None:
    delta = perturb(adversary_of("fgsm", epsilon_db=-40), clean_pass(model, audio)) - audio
    torch.testing.assert_close(delta.abs(), torch.full_like(delta, 0.01), rtol=1e-12, atol=0)
    width, checked = 1e-6, 0
    with torch.no_grad():
        for clip in range(CLIPS):
            for sample in range(0, SAMPLES, 3):
                nudge = torch.zeros_like(audio)
                nudge[clip, sample] = width
                up, down = (
                    float(tiny_clean_pass(CONFIG, model, audio + sign * nudge).result.loss)
                    for sign in (1, -1)
                )
                if abs(slope := (up - down) / (2 * width)) > 1e-6:
                    checked += 1
                    assert torch.sign(delta[clip, sample]) == (1 if slope > 0 else -1)
    assert checked > 20


@pytest.mark.parametrize("branch", ["future", "past", "both"])
def test_the_gradient_at_a_point_is_that_of_the_branch(
    model: CpcModel, audio: Tensor, branch: Branch
) -> None:
    clean, point = clean_pass(model, audio), audio + 0.01 * noise(CLIPS, SAMPLES, seed=1).double()
    gradient = clean.gradient_at(point, branch)

    def loss(at: Tensor) -> Tensor:
        return clean.objective(*clean.views(at, branch), clean.negatives).loss.detach()

    direction = noise(CLIPS, SAMPLES, seed=2).double()
    slope = (loss(point + 1e-6 * direction) - loss(point - 1e-6 * direction)) / 2e-6
    torch.testing.assert_close((gradient * direction).sum(), slope, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    ("branch", "contexts_move", "latents_move"),
    [("future", False, True), ("past", True, False), ("both", True, True)],
)
def test_the_other_branch_is_bitwise_the_clean_one(
    model: CpcModel, audio: Tensor, branch: Branch, contexts_move: bool, latents_move: bool
) -> None:
    clean = clean_pass(model, audio)
    contexts, latents = clean.views(audio + 0.01, branch)
    assert torch.equal(latents, clean.latents) != latents_move
    for moved, clean_context in zip(contexts, clean.contexts, strict=True):
        assert torch.equal(moved, clean_context) != contexts_move


def test_fgsm_raises_the_loss_more_than_noise_of_the_same_size(
    model: CpcModel, audio: Tensor
) -> None:
    clean = clean_pass(model, audio)

    def rise(perturbed: Tensor) -> float:
        with torch.no_grad():
            return float(tiny_clean_pass(CONFIG, model, perturbed).result.loss - clean.result.loss)

    adversarial = rise(perturb(adversary_of("fgsm", epsilon_db=-50), clean))
    gaussian = adversary_of("gaussian", epsilon_db=-50)
    random = [rise(perturb(gaussian, dataclasses.replace(clean, step=step))) for step in range(10)]
    assert adversarial > 3 * max(abs(change) for change in random)


def test_gaussian_noise_has_the_size_of_epsilon(model: CpcModel) -> None:
    clean = tiny_clean_pass(CONFIG, model, torch.zeros(4, 50_000, dtype=torch.float64))
    gaussian = adversary_of("gaussian", epsilon_db=-34)
    perturbation = perturb(gaussian, clean)
    assert float(perturbation.std()) == pytest.approx(10 ** (-34 / 20), rel=0.01)
    assert float(perturbation.mean()) == pytest.approx(0.0, abs=2e-4)
    assert not torch.equal(perturbation, perturb(gaussian, dataclasses.replace(clean, step=3)))


@pytest.mark.parametrize("random_start", [False, True])
@pytest.mark.parametrize("branch", ["future", "both"])
def test_pgd_stays_in_the_ball_and_beats_one_step_of_its_size(
    model: CpcModel, audio: Tensor, random_start: bool, branch: Branch
) -> None:
    clean = clean_pass(model, audio)
    shared = {"epsilon_db": -34, "relative_step": 0.25, "branch": branch}
    short = perturb(adversary_of("pgd", attack_steps=1, random_start=False, **shared), clean)
    long = perturb(adversary_of("pgd", attack_steps=8, random_start=random_start, **shared), clean)
    assert float((long - audio).abs().max()) <= 10 ** (-34 / 20) + 1e-12
    losses = [
        clean.objective(*clean.views(point, branch), clean.negatives).loss
        for point in (short, long)
    ]
    assert losses[1] > losses[0]


def test_random_start_fgsm_ends_mostly_on_the_surface(model: CpcModel) -> None:
    """A step of 1.25 ε from a random start is clipped to the surface five times out of eight."""
    clean = tiny_clean_pass(CONFIG, model, noise(CLIPS, 4002).double())
    delta = (perturb(adversary_of("rs_fgsm", epsilon_db=-40), clean) - clean.audio) / 0.01
    assert float(delta.abs().max()) <= 1 + 1e-9
    assert float((delta.abs() > 1 - 1e-9).double().mean()) == pytest.approx(0.625, abs=0.02)


def test_the_perturbation_grows_over_its_warm_up(model: CpcModel, audio: Tensor) -> None:
    adversary = adversary_of("fgsm", epsilon_db=-20, warmup_steps=4)
    clean = clean_pass(model, audio)
    sizes = [
        float((perturb(adversary, dataclasses.replace(clean, step=step)) - audio).abs().max())
        for step in (0, 1, 4, 100)
    ]
    assert sizes == pytest.approx([0.02, 0.04, 0.1, 0.1])


@pytest.mark.parametrize("reference", ["full_scale", "clip_peak", "clip_rms"])
def test_epsilon_is_relative_to_its_reference(model: CpcModel, reference: str) -> None:
    audio = torch.stack((noise(1, SAMPLES)[0], 0.1 * noise(1, SAMPLES, seed=1)[0])).double()
    expected = {
        "full_scale": torch.ones(2),
        "clip_peak": audio.abs().amax(1),
        "clip_rms": audio.square().mean(1).sqrt(),
    }[reference]
    delta = (
        perturb(
            adversary_of("fgsm", epsilon_db=-40, epsilon_reference=reference),
            clean_pass(model, audio),
        )
        - audio
    )
    torch.testing.assert_close(delta.abs().amax(1), 0.01 * expected.double())
    torch.testing.assert_close(delta.abs().amin(1), 0.01 * expected.double())


def test_a_silent_clip_has_no_peak_to_be_relative_to(model: CpcModel) -> None:
    silent = tiny_clean_pass(CONFIG, model, torch.zeros(1, SAMPLES, dtype=torch.float64))
    assert not silent.amplitude("clip_peak").any()


def test_free_begins_clean_and_follows_the_last_updates_gradient(
    model: CpcModel, audio: Tensor
) -> None:
    free = Free(epsilon_db=-40, replays=3).start()
    expected = torch.zeros_like(audio)
    for step in range(7):
        now = tiny_clean_pass(CONFIG, model, audio, step)
        if step % 3 == 0:
            expected = torch.zeros_like(audio)
        perturbed = free.perturb(now)
        torch.testing.assert_close(perturbed.detach(), audio + expected)
        now.objective(*now.views(perturbed, "future"), now.negatives).loss.backward()
        assert perturbed.grad is not None
        expected = (expected + 0.01 * perturbed.grad.sign()).clamp(-0.01, 0.01)
        free.after_update(perturbed)


def test_the_smallest_fraction_of_full_scale_is_a_decibel_value() -> None:
    assert Fgsm(epsilon_db=-55).epsilon == pytest.approx(1.78e-3, rel=2e-3)
    assert CpcConfig.model_validate(
        {"adversary": {"kind": "fgsm", "epsilon_db": 0}}
    ).adversary == Fgsm(epsilon_db=0)
