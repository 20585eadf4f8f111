"""One training step: Algorithm 1 of the paper, in its order."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cpc_core.adversary.base import Perturbation
from cpc_core.clean_pass import CleanPass
from cpc_core.config import CpcConfig, OptimizerConfig
from cpc_core.corpus.reading.batches import Batch
from cpc_core.distributed import average_gradients, gather_clips, world
from cpc_core.errors import NonFiniteError
from cpc_core.model.cpc_model import CpcModel
from cpc_core.model.precision import compile_networks, precision, set_tf32
from cpc_core.objective.lengths import FULL, Lengths, mean_own, own_mask, pairs, usable_frames
from cpc_core.objective.negatives import Pool, draw_negatives
from cpc_core.objective.objective import own_clips
from cpc_core.stateless_random import Key, Purpose

SNR_QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class StepMetrics:
    """Measurements of one step, as scalars still on the device.

    Attributes:
        loss: Eq. 1 on the batch that was trained on (perturbed, where there is an adversary).
        accuracy: CPC accuracy on it; see `ObjectiveResult`.
        balanced_accuracy: Likewise.
        ranking_accuracy: Likewise.
        gradient_norm: Length of the whole gradient.
        latent_spread: Standard deviation of the clean latents over the batch's frames, by their
            root mean square.
        skipped_clips: Share of the clips that are too short for a prediction.
        snr_db_p05: 5 % quantile over clips of the audio's power over the perturbation's, in
            decibels; NaN where no clip has both.
        snr_db: Its median.
        snr_db_p95: Its 95 % quantile.
    """

    loss: Tensor
    accuracy: Tensor
    balanced_accuracy: Tensor
    ranking_accuracy: Tensor
    gradient_norm: Tensor
    latent_spread: Tensor
    skipped_clips: Tensor
    snr_db_p05: Tensor
    snr_db: Tensor
    snr_db_p95: Tensor


@dataclass
class TrainState:
    """State that a step changes.

    Attributes:
        config: The trial.
        model: On its device.
        optimizer: Adam over the model's parameters.
        adversary: The configured one, None to train on the clean audio.
        step: Optimizer steps taken.
    """

    config: CpcConfig
    model: CpcModel
    optimizer: torch.optim.Adam
    adversary: Perturbation | None
    step: int = 0

    @classmethod
    def create(cls, config: CpcConfig, device: torch.device) -> TrainState:
        """Fresh model and optimizer on `device`; sets this process's precision of products."""
        set_tf32(config.compute)
        model = CpcModel(config).to(device)
        if config.compute.compile:
            compile_networks(model)
        optimizer = torch.optim.Adam(
            model.parameters(),
            lr=config.optimizer.learning_rate,
            betas=config.optimizer.betas,
            fused=True,
        )
        return cls(config, model, optimizer, config.adversary.start())


def train_step(state: TrainState, batch: Batch) -> StepMetrics:
    """Takes one optimizer step on a batch: Algorithm 1.

    The contexts c of the clean audio serve both the perturbation and the update. The first backward
    pass computes ∂L/∂x alone. The update takes latents of the perturbed audio, and new negatives.

    Raises:
        NonFiniteError: The audio, the loss or the gradient is not finite; no weight was changed.
        ConfigError: There is no negative to draw in a batch of this size.
    """
    model, adversary = state.model, state.adversary

    with precision(state.config.compute, batch.audio.device):
        clean = clean_pass(state, batch)
        if adversary is None:
            perturbed, result, loss = clean.audio, clean.result, clean.result.loss
        else:
            perturbed = adversary.perturb(clean)
            contexts, latents = clean.views(perturbed, adversary.branch)
            drawn = step_negatives(state, batch, Purpose.PERTURBED_NEGATIVES, clean.lengths)
            result = clean.objective(contexts, latents, drawn)
            loss = result.loss
            if adversary.clean_weight:
                loss = torch.lerp(loss, clean.result.loss, adversary.clean_weight)

    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    average_gradients(model.parameters())
    gradient_norm = torch.nn.utils.get_total_norm(
        [p.grad for p in model.parameters() if p.grad is not None]
    )
    _require_finite(state.step, audio=batch.audio.detach().sum(), loss=loss, gradient=gradient_norm)
    if adversary is not None:
        adversary.after_update(perturbed)

    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(state.config.optimizer, state.step, state.config.decay_steps)
    state.optimizer.step()
    state.step += 1
    snr_db = _snr_db(
        clean.audio.detach(),
        perturbed.detach() if adversary is not None and adversary.additive else None,
        clean.lengths.samples,
    )
    return StepMetrics(
        loss.detach(),
        result.accuracy,
        result.balanced_accuracy,
        result.ranking_accuracy,
        gradient_norm.detach(),
        relative_spread(clean.latents.detach(), clean.lengths.frames),
        skipped(clean),
        *snr_db,
    )


def clean_pass(state: TrainState, batch: Batch) -> CleanPass:
    """Computes z = f(x), c = g(z) and z̃ ~ z."""
    audio = batch.audio.detach().requires_grad_(state.config.adversary.needs_gradient)
    lengths = step_lengths(state.config, batch)
    return CleanPass.compute(
        state.model,
        audio,
        step_negatives(state, batch, Purpose.NEGATIVES, lengths),
        batch.clip_ids,
        seed=state.config.seed,
        step=state.step,
        gather=own_clips if _owns_its_pools(state.config, batch) else gather_clips,
        lengths=lengths,
    )


def learning_rate(config: OptimizerConfig, step: int, decay_steps: int) -> float:
    """Learning rate of step `step`, from 0: linear warm-up, half a cosine, then the final rate."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    progress = min(1.0, (step - config.warmup_steps) / max(1, decay_steps - config.warmup_steps))
    return (
        config.final_learning_rate
        + (config.learning_rate - config.final_learning_rate)
        * (1 + math.cos(math.pi * progress))
        / 2
    )


def relative_spread(latents: Tensor, frames: Tensor | None = None) -> Tensor:
    """Standard deviation of latents `[B, T, C]` over own frames, by their root mean square."""
    rows = latents.float()
    rows = rows.flatten(0, 1) if frames is None else rows[own_mask(frames, rows.shape[1])]
    if not len(rows):
        return rows.new_zeros(())
    centred = rows - rows.mean(dim=0)
    return (centred.square().mean() / rows.square().mean().clamp_min(1e-12)).sqrt()


def step_lengths(config: CpcConfig, batch: Batch) -> Lengths:
    """Own samples and frames of a step's clips; `FULL` where those of all workers are."""
    if batch.num_samples is None:
        return FULL
    rank, workers = world()
    own = slice(rank * len(batch.clip_ids), (rank + 1) * len(batch.clip_ids))
    device = batch.audio.device
    samples = batch.num_samples
    if workers > 1:
        samples = gather_clips(samples.to(device)).cpu()
    if bool((samples >= batch.audio.shape[1]).all()):
        return FULL
    frames = usable_frames(config, samples)
    return Lengths(
        samples[own],
        frames[own],
        frames[own] if _owns_its_pools(config, batch) else frames,
        pairs(config, frames) / workers,
    ).to(device)


def step_negatives(
    state: TrainState, batch: Batch, purpose: Purpose, lengths: Lengths = FULL
) -> Tensor:
    """Negatives of the next step's clean pass or update; see `draw_negatives`."""
    config = state.config
    first = 0 if _owns_its_pools(config, batch) else world()[0] * len(batch.clip_ids)
    return draw_negatives(
        Key(config.seed, state.step, purpose),
        batch.clip_ids,
        Pool(config.pool_clips, first, lengths.gathered),
        config.geometry.frames(batch.audio.shape[1]),
        config.objective.n_steps,
        config.negatives,
    )


def _owns_its_pools(config: CpcConfig, batch: Batch) -> bool:
    """True if every pool of a worker's clips is within them, so that none is gathered."""
    return len(batch.clip_ids) % config.pool_clips == 0


def skipped(clean: CleanPass) -> Tensor:
    """Share of the clips that take no part in the objective."""
    frames = clean.lengths.frames
    return clean.audio.new_zeros(()) if frames is None else (frames == 0).double().mean()


def _require_finite(step: int, **terms: Tensor) -> None:
    """Waits for the device once, whatever the number of terms."""
    for term, value in zip(
        terms,
        torch.stack([term.detach().double() for term in terms.values()]).tolist(),
        strict=True,
    ):
        if not math.isfinite(value):
            raise NonFiniteError(step, term, value)


def _snr_db(audio: Tensor, perturbed: Tensor | None, samples: Tensor | None) -> tuple[Tensor, ...]:
    """Quantiles over clips of 10·log10(power of the audio / power of the perturbation).

    A silent or an unperturbed clip has no finite ratio, and is left out.
    """
    if perturbed is None:
        return tuple(audio.new_full((len(SNR_QUANTILES),), math.nan))
    noise = mean_own((perturbed - audio).square(), samples)
    ratio_db = (10 * torch.log10(mean_own(audio.square(), samples) / noise)).float()
    finite = ratio_db.where(ratio_db.isfinite(), math.nan)
    return tuple(torch.nanquantile(finite, finite.new_tensor(SNR_QUANTILES)))
