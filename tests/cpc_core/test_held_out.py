"""Held-out metrics, clean and under attack."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from cpc_core.clean_pass import CleanPass
from cpc_core.config import CpcConfig
from cpc_core.corpus.corpus import Clips
from cpc_core.corpus.reading.batches import Batch
from cpc_core.evaluation.held_out import evaluate, evaluate_attacked
from cpc_core.model.cpc_model import CpcModel
from cpc_core.model.initialise import initialise
from cpc_core.objective.negatives import Pool, draw_negatives
from cpc_core.stateless_random import Key, Purpose
from cpc_core.step import TrainState, train_step
from tests.helpers.configs import noise, tiny_config

SAMPLES = 120


def held_out(count: int) -> Clips:
    empty = ("",) * count
    lengths = torch.full((count,), SAMPLES)
    return Clips(
        noise(count, SAMPLES), torch.arange(count), lengths, empty, ((),) * count, empty, empty, ()
    )


@pytest.fixture(scope="module")
def trained() -> tuple[CpcConfig, CpcModel]:
    """A model that is overfitted to the held-out clips."""
    config = tiny_config(
        encoder={"width": 16, "kernels": [4, 4, 1], "strides": [2, 2, 1]},
        similarity={"kind": "dot"},
        data={"batch_size": 8},
        optimizer={"learning_rate": 5e-3, "warmup_steps": 5},
        training={"steps": 150, "report_every": 150, "attack_epsilon_db": -26, "attacked_clips": 8},
        objective={"first_step": 3, "n_steps": 2, "temperature": 1.0},
    )
    state = TrainState.create(config, torch.device("cpu"))
    clips = held_out(8)
    initialise(state.model, clips.audio, config.initialisation, config.negatives.count)
    for step in range(150):
        train_step(state, Batch(step, clips.clip_ids, clips.audio))
    return config, state.model


def changed(config: CpcConfig, **training: Any) -> CpcConfig:
    return config.model_copy(update={"training": config.training.model_copy(update=training)})


def test_the_exam_is_the_same_every_time(trained: tuple[CpcConfig, CpcModel]) -> None:
    config, model = trained
    assert evaluate(model, config, held_out(8), SAMPLES) == evaluate(
        model, config, held_out(8), SAMPLES
    )


@pytest.mark.filterwarnings("error")
def test_one_clip_has_an_accuracy_and_no_spread(trained: tuple[CpcConfig, CpcModel]) -> None:
    measured = evaluate(trained[1], trained[0], held_out(1), SAMPLES)
    assert 0 <= measured.accuracy <= 1
    assert math.isnan(measured.latent_spread)


@pytest.mark.parametrize("sampling", ["local", "cross", "exclusive"])
def test_pools_are_the_same_in_batches_of_any_size(
    trained: tuple[CpcConfig, CpcModel], sampling: str
) -> None:
    """And clips after the last full pool take no part."""
    _, model = trained
    sizes = [
        evaluate(
            model,
            tiny_config(
                data={"batch_size": batch},
                negatives={"sampling": sampling, "pool_clips": 4},
                objective={"first_step": 3, "n_steps": 2, "temperature": 1.0},
            ),
            held_out(count),
            SAMPLES,
        )
        for batch, count in ((4, 12), (8, 12), (12, 15))
    ]
    for size in sizes[1:]:
        assert vars(size) == pytest.approx(vars(sizes[0]))


def test_attacks_cost_accuracy_and_more_steps_cost_more(
    trained: tuple[CpcConfig, CpcModel],
) -> None:
    config, model = trained
    measured = evaluate_attacked(model, config, held_out(8), SAMPLES)
    assert measured.clean_accuracy == pytest.approx(
        evaluate(model, config, held_out(8), SAMPLES).accuracy
    )
    assert measured.clean_accuracy > 0.7
    assert measured.attack_accuracy < measured.one_step_accuracy < measured.clean_accuracy


def test_one_step_moves_targets_against_contexts_that_are_held(
    trained: tuple[CpcConfig, CpcModel],
) -> None:
    """Eq. 3 with the derivative through the latents alone, and through the contexts as well."""
    config, model = trained
    clips = held_out(8)
    audio = clips.audio.clone().requires_grad_()
    drawn = draw_negatives(
        Key(0, 0, Purpose.DEV_NEGATIVES),
        clips.clip_ids,
        Pool(8),
        config.geometry.frames(SAMPLES),
        config.objective.n_steps,
        config.negatives,
    )
    clean = CleanPass.compute(model, audio, drawn, clips.clip_ids, seed=0, step=0)
    future, past = clean.contexts
    held = future.detach(), past.detach()
    epsilon = 10 ** (config.training.attack_epsilon_db / 20)
    expected = []
    for contexts in (clean.contexts, held):
        loss = clean.objective(contexts, clean.latents, clean.negatives).loss
        (gradient,) = torch.autograd.grad(loss, audio, retain_graph=True)
        with torch.no_grad():
            moved = model.encode(audio + epsilon * gradient.sign())
            expected.append(float(clean.objective(held, moved, clean.negatives).accuracy))
    measured = evaluate_attacked(model, config, clips, SAMPLES)
    assert [measured.fgsm_accuracy, measured.one_step_accuracy] == pytest.approx(expected)
    assert measured.fgsm_accuracy != measured.one_step_accuracy


def test_under_infonce_attacks_are_judged_by_ranking(
    trained: tuple[CpcConfig, CpcModel],
) -> None:
    config, model = trained
    infonce = config.objective.model_copy(update={"loss": "infonce"})
    ranked = config.model_copy(update={"objective": infonce})
    clean = evaluate(model, ranked, held_out(8), SAMPLES)
    measured = evaluate_attacked(model, ranked, held_out(8), SAMPLES)
    assert measured.clean_accuracy == pytest.approx(clean.ranking_accuracy)
    assert measured.clean_accuracy != pytest.approx(clean.accuracy)


def test_a_small_attack_costs_little(trained: tuple[CpcConfig, CpcModel]) -> None:
    config, model = trained
    measured = evaluate_attacked(
        model, changed(config, attack_epsilon_db=-120.0), held_out(8), SAMPLES
    )
    assert measured.attack_accuracy == pytest.approx(measured.clean_accuracy, abs=0.01)


def test_the_exam_leaves_no_gradient_on_the_weights(trained: tuple[CpcConfig, CpcModel]) -> None:
    config, model = trained
    model.zero_grad(set_to_none=True)
    evaluate_attacked(model, config, held_out(8), SAMPLES)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_only_the_first_clips_are_attacked(trained: tuple[CpcConfig, CpcModel]) -> None:
    config, model = trained
    few = changed(config, attacked_clips=8)
    assert evaluate_attacked(model, few, held_out(8), SAMPLES) == evaluate_attacked(
        model, few, held_out(24), SAMPLES
    )
