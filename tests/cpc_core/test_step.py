"""Algorithm 1: what is perturbed, what is reused, and what reaches the weights."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from cpc_core.adversary.fgsm import Fgsm
from cpc_core.clean_pass import CleanPass
from cpc_core.config import OptimizerConfig
from cpc_core.errors import NonFiniteError
from cpc_core.step import TrainState, learning_rate, relative_spread, train_step
from tests.helpers.configs import tiny_batch, tiny_config

CPU = torch.device("cpu")
FGSM = {"kind": "fgsm", "epsilon_db": -30}
EPSILON = 10 ** (-30 / 20)


class Watched(Fgsm):
    """FGSM that keeps the perturbed audio of every step."""

    epsilon_db: float = -30
    history: list[Any] = []  # noqa: RUF012  pydantic copies it for each object

    def perturb(self, clean: CleanPass) -> Tensor:
        perturbed = super().perturb(clean)
        self.history.append(perturbed)
        return perturbed


def test_the_update_uses_clean_contexts_and_perturbed_latents() -> None:
    state = TrainState.create(tiny_config(adversary=FGSM), CPU)
    state.adversary = watched = Watched()
    calls: list[tuple[Any, ...]] = []
    state.model.objective.register_forward_pre_hook(lambda module, inputs: calls.append(inputs[:3]))
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
        torch.testing.assert_close(latents, fresh.encoder(watched.history[0]))
        torch.testing.assert_close(contexts, fresh.contextualise(attack_latents))
    delta = watched.history[0] - batch.audio
    assert float(delta.abs().max()) == pytest.approx(EPSILON, rel=1e-4)


def test_the_gradient_is_that_of_the_perturbed_loss() -> None:
    """The sign stops the gradient: the perturbation is a constant, the clean contexts are not."""
    state = TrainState.create(tiny_config(adversary=FGSM), CPU)
    state.model.double()
    state.adversary = watched = Watched()
    calls: list[tuple[Any, ...]] = []
    state.model.objective.register_forward_pre_hook(lambda module, inputs: calls.append(inputs[:3]))
    batch = tiny_batch(dtype=torch.float64)
    model = TrainState.create(state.config, CPU).model.double()
    train_step(state, batch)
    latents = model.encoder(watched.history[0])
    loss = model.objective(
        model.contextualise(model.encoder(batch.audio)), latents, calls[1][2]
    ).loss
    loss.backward()
    for (name, stepped), expected in zip(
        state.model.named_parameters(), model.parameters(), strict=True
    ):
        assert stepped.grad is not None
        assert expected.grad is not None
        torch.testing.assert_close(stepped.grad, expected.grad, msg=name)


def test_the_attack_computes_no_weight_gradient() -> None:
    """Backward passes of convolutions in the attack compute the gradient of their input alone."""
    state = TrainState.create(tiny_config(adversary=FGSM), CPU)
    masks: list[tuple[bool, bool, bool]] = []

    class Masks(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if func is torch.ops.aten.convolution_backward.default:
                masks.append(tuple(args[-1]))
            return func(*args, **(kwargs or {}))

    class Checking(Watched):
        def perturb(self, clean: CleanPass) -> Tensor:
            with Masks():
                return super().perturb(clean)

    state.adversary = Checking()
    train_step(state, tiny_batch())
    layers = len(state.config.encoder.kernels) + 2 * len(state.config.context.kernels)
    assert masks == [(True, False, False)] * layers
    assert state.step == 1


def test_the_clean_loss_takes_its_share() -> None:
    def loss(weight: float) -> float:
        state = TrainState.create(tiny_config(adversary={**FGSM, "clean_weight": weight}), CPU)
        return float(train_step(state, tiny_batch()).loss)

    adversarial = loss(0.0)
    clean_loss = float(train_step(TrainState.create(tiny_config(), CPU), tiny_batch()).loss)
    assert loss(0.25) == pytest.approx(0.75 * adversarial + 0.25 * clean_loss, rel=1e-5)


def test_quantiles_of_the_ratio_are_those_of_the_clips() -> None:
    state = TrainState.create(tiny_config(adversary=FGSM), CPU)
    batch = tiny_batch(
        samples=78
    )  # no sample beyond the last latent: one without a gradient is not perturbed
    batch.audio.mul_(torch.tensor([1.0, 0.1, 0.01, 0.001])[:, None])
    measured = train_step(state, batch)
    ratios = 20 * torch.log10(batch.audio.square().mean(1).sqrt() / EPSILON)
    low, middle, high = (
        float(value) for value in (measured.snr_db_p05, measured.snr_db, measured.snr_db_p95)
    )
    assert (low, middle, high) == pytest.approx(
        tuple(torch.quantile(ratios, torch.tensor([0.05, 0.5, 0.95])).tolist()), rel=1e-3
    )


def test_there_is_no_ratio_without_a_perturbation() -> None:
    assert math.isnan(float(train_step(TrainState.create(tiny_config(), CPU), tiny_batch()).snr_db))


def test_identical_latents_have_no_spread() -> None:
    assert float(relative_spread(torch.ones(2, 5, 3))) == 0
    assert float(
        relative_spread(torch.randn(8, 500, 16, generator=torch.Generator().manual_seed(0)))
    ) == pytest.approx(1, abs=0.01)


LEARNABLE = [
    {"kind": "none"},
    {"kind": "gaussian"},
    FGSM,
    {"kind": "pgd"},
    {"kind": "rs_fgsm"},
    {"kind": "free", "replays": 2},
]


@pytest.mark.parametrize("adversary", LEARNABLE)
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
    losses = [
        float(train_step(state, dataclasses.replace(tiny_batch(), step=step)).loss)
        for step in range(60)
    ]
    assert sum(losses[-10:]) < 0.95 * sum(losses[:10])


def test_the_same_seed_gives_bitwise_the_same_losses() -> None:
    def losses(seed: int) -> list[float]:
        state = TrainState.create(tiny_config(adversary=FGSM, seed=seed), CPU)
        return [float(train_step(state, tiny_batch(step=step)).loss) for step in range(3)]

    assert losses(5) == losses(5)
    assert losses(5) != losses(6)


def test_a_number_that_is_not_finite_changes_no_weights() -> None:
    state = TrainState.create(tiny_config(), CPU)
    batch = tiny_batch()
    batch.audio[0, 3] = math.nan
    before = {name: value.clone() for name, value in state.model.state_dict().items()}
    with pytest.raises(
        NonFiniteError,
        match="audio became nan after 0 steps: the corpus holds samples that are no numbers",
    ):
        train_step(state, batch)
    assert all(torch.equal(value, before[name]) for name, value in state.model.state_dict().items())


def test_a_loss_that_is_not_finite_names_itself() -> None:
    state = TrainState.create(tiny_config(similarity={"kind": "dot"}), CPU)
    with torch.no_grad():
        state.model.objective.predictors[0].weight.fill_(math.inf)  # type: ignore[operator]
    with pytest.raises(NonFiniteError, match="loss became nan after 0 steps: lower optimizer"):
        train_step(state, tiny_batch())


def test_learning_rate_warms_up_and_follows_half_a_cosine() -> None:
    config = OptimizerConfig(learning_rate=1.0, final_learning_rate=0.2, warmup_steps=4)
    rates = [learning_rate(config, step, 12) for step in range(13)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates[8] == pytest.approx(0.6)
    assert rates[12] == pytest.approx(0.2)
    assert (
        learning_rate(
            OptimizerConfig(learning_rate=1.0, final_learning_rate=0.0, warmup_steps=12), 11, 12
        )
        == 1.0
    )


def test_the_learning_rate_stays_at_its_final_value() -> None:
    config = OptimizerConfig(learning_rate=1.0, final_learning_rate=0.2, warmup_steps=4)
    assert {learning_rate(config, step, 12) for step in (12, 13, 500)} == {0.2}
