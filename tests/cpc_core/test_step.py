"""Algorithm 1: what is perturbed, what is reused, and what reaches the weights."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from cpc_core.adversary import CleanPass, Fgsm
from cpc_core.config import OptimizerConfig
from cpc_core.errors import NonFiniteError
from cpc_core.step import TrainState, learning_rate, train_step
from tests.cpc_core.tiny import tiny_batch, tiny_config

CPU = torch.device("cpu")
FGSM = {"kind": "fgsm", "epsilon_db": -30}


class Watched(Fgsm):
    """FGSM that keeps what it saw."""

    def perturb(self, clean: CleanPass) -> Tensor:
        object.__setattr__(self, "clean", clean)
        object.__setattr__(self, "perturbed", super().perturb(clean))
        return self.perturbed  # type: ignore[attr-defined, no-any-return]


def test_the_update_uses_clean_contexts_and_perturbed_latents_with_new_negatives() -> None:
    state = TrainState.create(tiny_config(adversary=FGSM), CPU)
    watched = Watched(0.03)
    state.adversary = watched
    calls: list[tuple[tuple[Tensor, Tensor], Tensor, Tensor]] = []
    state.model.objective.register_forward_pre_hook(lambda module, inputs: calls.append(inputs))
    batch = tiny_batch()
    before = {name: value.clone() for name, value in state.model.state_dict().items()}
    train_step(state, batch)

    (attack_contexts, attack_latents, attack_negatives), (contexts, latents, negatives) = calls
    assert all(mine is theirs for mine, theirs in zip(contexts, attack_contexts, strict=True))
    assert not torch.equal(latents, attack_latents)
    assert not torch.equal(negatives, attack_negatives)
    fresh = TrainState.create(state.config, CPU).model
    fresh.load_state_dict(before)
    with torch.no_grad():
        torch.testing.assert_close(attack_latents, fresh.encoder(batch.audio.detach()))
        torch.testing.assert_close(latents, fresh.encoder(watched.perturbed))  # type: ignore[attr-defined]
        torch.testing.assert_close(contexts, fresh.contextualise(attack_latents))
    delta = watched.perturbed - batch.audio.detach()  # type: ignore[attr-defined]
    assert float(delta.abs().max()) == pytest.approx(0.03, rel=1e-4)


def test_the_gradient_is_that_of_the_perturbed_loss_through_contexts_and_targets() -> None:
    """The sign stops the gradient, so the perturbation is a constant; the clean contexts are not."""
    state = TrainState.create(tiny_config(adversary=FGSM), CPU)
    state.model.double()
    state.adversary = Watched(0.03)
    calls: list[tuple[tuple[Tensor, Tensor], Tensor, Tensor]] = []
    state.model.objective.register_forward_pre_hook(lambda module, inputs: calls.append(inputs))
    batch = tiny_batch(dtype=torch.float64)
    model = TrainState.create(state.config, CPU).model.double()
    train_step(state, batch)
    perturbed: Tensor = state.adversary.perturbed  # type: ignore[attr-defined]
    loss = model.objective(model.contextualise(model.encoder(batch.audio.detach())), model.encoder(perturbed), calls[1][2]).loss
    loss.backward()
    for (name, stepped), expected in zip(state.model.named_parameters(), model.parameters(), strict=True):
        assert stepped.grad is not None
        assert expected.grad is not None
        torch.testing.assert_close(stepped.grad, expected.grad, msg=name)


def test_the_attack_computes_no_weight_gradient() -> None:
    """Only ∂L/∂x is asked for: the clean encoder's first product with a weight gradient would be one more matrix product."""
    state = TrainState.create(tiny_config(adversary=FGSM), CPU)
    seen: list[int] = []

    class Checking(Fgsm):
        def perturb(self, clean: CleanPass) -> Tensor:
            handles = [parameter.register_hook(lambda gradient: seen.append(1)) for parameter in state.model.parameters()]
            perturbed = super().perturb(clean)
            for handle in handles:
                handle.remove()
            return perturbed

    state.adversary = Checking(0.03)
    train_step(state, tiny_batch())
    assert not seen
    assert state.step == 1


@pytest.mark.parametrize("adversary", [{"kind": "none"}, {"kind": "gaussian"}, FGSM, {"kind": "pgd"}])
@pytest.mark.parametrize("similarity", ["dot", "cosine", "nonlinear_cosine"])
def test_one_batch_can_be_learnt(adversary: dict[str, object], similarity: str) -> None:
    config = tiny_config(
        adversary=adversary,
        similarity={"kind": similarity},
        optimizer={"learning_rate": 3e-3, "warmup_steps": 0},
        training={"steps": 60, "report_every": 60},
        objective={"first_step": 3, "n_steps": 2, "temperature": 0.2},
    )
    state = TrainState.create(config, CPU)
    losses = [float(train_step(state, dataclasses.replace(tiny_batch(), step=step)).loss) for step in range(60)]
    assert sum(losses[-10:]) < 0.95 * sum(losses[:10])


def test_the_same_seed_gives_bitwise_the_same_losses() -> None:
    def losses(seed: int) -> list[float]:
        state = TrainState.create(tiny_config(adversary=FGSM, seed=seed), CPU)
        return [float(train_step(state, tiny_batch(step=step)).loss) for step in range(3)]

    assert losses(5) == losses(5)
    assert losses(5) != losses(6)


def test_a_number_that_is_not_finite_stops_before_the_weights_change() -> None:
    state = TrainState.create(tiny_config(), CPU)
    batch = tiny_batch()
    batch.audio[0, 3] = math.nan
    before = {name: value.clone() for name, value in state.model.state_dict().items()}
    with pytest.raises(NonFiniteError, match="loss became nan at step 0"):
        train_step(state, batch)
    assert all(torch.equal(value, before[name]) for name, value in state.model.state_dict().items())


def test_learning_rate_warms_up_and_follows_half_a_cosine() -> None:
    config = OptimizerConfig(learning_rate=1.0, final_learning_rate=0.2, warmup_steps=4)
    rates = [learning_rate(config, step, 12) for step in range(13)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates[8] == pytest.approx(0.6)
    assert rates[12] == pytest.approx(0.2)
    assert learning_rate(OptimizerConfig(learning_rate=1.0, final_learning_rate=0.0, warmup_steps=12), 11, 12) == 1.0
