"""One training step: Algorithm 1 of the paper, in its order."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cpc_core.adversary import Adversary, CleanPass, build_adversary
from cpc_core.config import CpcConfig, OptimizerConfig
from cpc_core.corpus.stream import Batch
from cpc_core.distributed import average_gradients
from cpc_core.draws import Key, Purpose
from cpc_core.errors import NonFiniteError
from cpc_core.model import CpcModel
from cpc_core.negatives import draw_negatives


@dataclass(frozen=True)
class StepMetrics:
    """What one step measured, as scalars still on the device.

    Attributes:
        loss: Eq. 1 on the batch that was trained on (perturbed, where there is an adversary).
        accuracy: CPC accuracy on it; see `ObjectiveResult`.
        balanced_accuracy: Likewise.
        ranking_accuracy: Likewise.
        snr_db: Median over clips of the audio's power over the perturbation's, infinite without one.
        gradient_norm: Length of the whole gradient.
    """

    loss: Tensor
    accuracy: Tensor
    balanced_accuracy: Tensor
    ranking_accuracy: Tensor
    snr_db: Tensor
    gradient_norm: Tensor


@dataclass
class TrainState:
    """Everything that a step changes.

    Attributes:
        config: The trial.
        model: On its device.
        optimizer: Adam over the model's parameters.
        adversary: The configured one.
        step: Optimizer steps taken.
    """

    config: CpcConfig
    model: CpcModel
    optimizer: torch.optim.Adam
    adversary: Adversary
    step: int = 0

    @classmethod
    def create(cls, config: CpcConfig, device: torch.device) -> TrainState:
        """A fresh model and optimizer on `device`."""
        model = CpcModel(config).to(device)
        optimizer = torch.optim.Adam(model.parameters(), lr=config.optimizer.learning_rate, betas=config.optimizer.betas)
        return cls(config, model, optimizer, build_adversary(config.adversary))


def train_step(state: TrainState, batch: Batch) -> StepMetrics:
    """Takes one optimizer step on a batch, as Algorithm 1 has it.

    The contexts c of the clean audio serve both the perturbation and the update. The first backward pass computes ∂L/∂x
    alone. Latents and negatives of the update come from the perturbed audio, with negatives drawn anew.

    Raises:
        NonFiniteError: The loss or the gradient is not finite; no weight was changed.
    """
    model, config = state.model, state.config
    audio = batch.audio.requires_grad_(state.adversary.needs_gradient)

    latents = model.encoder(audio)
    contexts = model.contextualise(latents)
    drawn = _negatives(state, batch, Purpose.NEGATIVES, latents.shape[1])

    clean = CleanPass(
        audio, latents, model.encoder, lambda z: model.objective(contexts, z, drawn).loss, batch.clip_ids, config.seed, state.step
    )
    perturbed = state.adversary.perturb(clean)
    if perturbed is None:
        result = model.objective(contexts, latents, drawn)
    else:
        redrawn = _negatives(state, batch, Purpose.PERTURBED_NEGATIVES, latents.shape[1])
        result = model.objective(contexts, model.encoder(perturbed), redrawn)

    state.optimizer.zero_grad(set_to_none=True)
    result.loss.backward()
    average_gradients(model.parameters())
    gradient_norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    _require_finite(state.step, loss=result.loss, gradient=gradient_norm)

    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(config.optimizer, state.step, config.training.steps)
    state.optimizer.step()
    state.step += 1
    snr_db = _median_snr_db(batch.audio.detach(), perturbed)
    return StepMetrics(
        result.loss.detach(), result.accuracy, result.balanced_accuracy, result.ranking_accuracy, snr_db, gradient_norm.detach()
    )


def learning_rate(config: OptimizerConfig, step: int, steps: int) -> float:
    """Learning rate of step `step` (from 0) of `steps`: linear warm-up, then half a cosine down to the final rate."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    return config.final_learning_rate + (config.learning_rate - config.final_learning_rate) * (1 + math.cos(math.pi * progress)) / 2


def _negatives(state: TrainState, batch: Batch, purpose: Purpose, frames: int) -> Tensor:
    config = state.config
    key = Key(config.seed, state.step, purpose)
    return draw_negatives(key, batch.clip_ids, config.negatives.sampling, frames, config.objective.steps, config.negatives.count)


def _require_finite(step: int, **terms: Tensor) -> None:
    for term, value in terms.items():
        if not math.isfinite(number := value.item()):
            raise NonFiniteError(step, term, number)


def _median_snr_db(audio: Tensor, perturbed: Tensor | None) -> Tensor:
    """Median over clips of 10·log10(power of the audio / power of the perturbation)."""
    if perturbed is None:
        return audio.new_tensor(math.inf)
    noise = (perturbed - audio).square().mean(dim=1)
    return (10 * torch.log10(audio.square().mean(dim=1) / noise)).median()
