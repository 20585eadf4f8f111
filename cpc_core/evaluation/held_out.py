"""Held-out CPC accuracy, clean and under attack, always on the same clips and negatives."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from cpc_core.adversary.fgsm import Fgsm
from cpc_core.adversary.pgd import Pgd
from cpc_core.clean_pass import CleanPass
from cpc_core.config import CpcConfig
from cpc_core.corpus.corpus import Clips
from cpc_core.errors import ConfigError
from cpc_core.model.cpc_model import CpcModel
from cpc_core.model.precision import precision
from cpc_core.objective.lengths import FULL, Lengths, mean_own, own_frames, pairs, usable_frames
from cpc_core.objective.negatives import Pool, draw_negatives
from cpc_core.objective.objective import ObjectiveResult
from cpc_core.stateless_random import Key, Purpose

HELD_OUT_SEED = 0
"""Seed of the held-out negatives, not the trial's. Replicates differ by their weights, not by their
evaluation.
"""

ATTACK_REACH = 2.5
"""Length of the k-step attack's path as a multiple of ε (Madry et al., 2018). The attack can reach
any point of the ball.
"""


@dataclass(frozen=True)
class HeldOutMetrics:
    """CPC on clean held-out clips.

    Attributes:
        loss: Eq. 1.
        accuracy: Table 1's dev accuracy.
        balanced_accuracy: See `ObjectiveResult`.
        ranking_accuracy: See `ObjectiveResult`.
        latent_spread: Mean over channels of the standard deviation over clips of the time-averaged
            latents. A model that ignores its input loses it.
    """

    loss: float
    accuracy: float
    balanced_accuracy: float
    ranking_accuracy: float
    latent_spread: float


@dataclass(frozen=True)
class AttackedMetrics:
    """CPC accuracy on held-out clips whose targets are attacked.

    The accuracy is that of the objective's own task; see `ObjectiveConfig.accuracy`.

    Attributes:
        clean_accuracy: Without an attack, on the same clips.
        fgsm_accuracy: Under Eq. 3's single step, whose gradient comes through the contexts too,
            although they are of the clean audio.
        one_step_accuracy: Under a single step with the contexts held: the k-step attack at k = 1.
        attack_accuracy: Under `training.attack_steps` projected steps of the same ε, the contexts
            held. Where it is far below `one_step_accuracy`, the latter came from a trivial feature
            of the perturbation ("label leaking", section 4.1).
    """

    clean_accuracy: float
    fgsm_accuracy: float
    one_step_accuracy: float
    attack_accuracy: float


def measurable_clips(config: CpcConfig, clips: Clips, crop_samples: int) -> Clips:
    """Those of the clips whose crops are long enough for a prediction, in full pools.

    Raises:
        ConfigError: There is none, or just one where negatives come from other clips.
    """
    frames = own_frames(config.geometry, clips.num_samples.clamp_max(crop_samples))
    rows = (frames > config.objective.first_step).nonzero().squeeze(1)
    needed = 2 if config.negatives.sampling == "exclusive" else 1
    if len(rows) < needed:
        raise ConfigError(
            f"{len(rows)} held-out clip(s) of {len(clips)} are long enough for a prediction, and "
            f"{needed} are needed: hold out more clips, or longer ones"
        )
    pool = held_out_pool(config, len(rows))
    kept = rows[: len(rows) // pool * pool]
    return clips if len(kept) == len(clips) else clips.select(kept)


def held_out_pool(config: CpcConfig, clips: int) -> int:
    """Clips of a pool on held-out clips: training's number, or all if there are fewer."""
    return min(config.pool_clips, clips)


@torch.no_grad()
def evaluate(model: CpcModel, config: CpcConfig, clips: Clips, crop_samples: int) -> HeldOutMetrics:
    """Measures a model on held-out clips, cut in their middle to the length of the training crops.

    Batches have the training batch's size, and negatives come from pools of the same size. Clips
    that are too short for a prediction, and those after the last full pool, are left out.

    Args:
        model: In training or evaluation mode: no layer depends on the mode.
        config: The trial.
        clips: Held-out clips.
        crop_samples: Samples of a crop.

    Raises:
        ConfigError: Too few clips are long enough, as in `measurable_clips`.
    """
    rows, means, weights = [], [], []
    with precision(config.compute, _device(model)):
        for clean in _clean_passes(model, config, clips, len(clips), crop_samples):
            result = clean.result
            rows.append(
                torch.stack(
                    (
                        result.loss.double(),
                        result.accuracy,
                        result.balanced_accuracy,
                        result.ranking_accuracy,
                    )
                )
            )
            own = clean.lengths.frames
            means.append(mean_own(clean.latents.float(), own))
            weights.append(len(clean.clip_ids))
    loss, accuracy, balanced, ranking = _weighted(rows, weights)
    of_clips = torch.cat(means)
    spread = of_clips.std(dim=0).mean().item() if len(of_clips) > 1 else math.nan
    return HeldOutMetrics(loss, accuracy, balanced, ranking, spread)


def evaluate_attacked(
    model: CpcModel, config: CpcConfig, clips: Clips, crop_samples: int
) -> AttackedMetrics:
    """Measures a model on `training.attacked_clips` held-out clips, clean and under attack.

    Arguments are those of `evaluate`; the number of clips is rounded up to full pools.
    """
    training = config.training
    epsilon_db, steps = training.attack_epsilon_db, training.attack_steps
    attacks = (
        Fgsm(epsilon_db=epsilon_db),
        Pgd(epsilon_db=epsilon_db, attack_steps=1, relative_step=1.0, random_start=False),
        Pgd(epsilon_db=epsilon_db, attack_steps=steps, relative_step=ATTACK_REACH / steps),
    )

    rows, weights = [], []
    with precision(config.compute, _device(model)):
        for clean in _clean_passes(model, config, clips, training.attacked_clips, crop_samples):
            results = [clean.result, *(_attacked(clean, each.perturb(clean)) for each in attacks)]
            accuracies = [getattr(result, config.objective.accuracy) for result in results]
            rows.append(torch.stack(accuracies))
            weights.append(len(clean.clip_ids))
    return AttackedMetrics(*_weighted(rows, weights))


def _clean_passes(
    model: CpcModel, config: CpcConfig, clips: Clips, count: int, crop_samples: int
) -> Iterator[CleanPass]:
    """Clean passes of the pools that hold the first `count` clips, batch by batch.

    The audio requires a gradient where gradients are enabled.
    """
    clips = measurable_clips(config, clips, crop_samples)
    pool = held_out_pool(config, len(clips))
    count = min(-(-count // pool) * pool, len(clips))
    begin = (clips.num_samples[:count] - crop_samples).clamp_min(0) // 2
    crops = clips.audio[:count].unfold(1, crop_samples, 1)[torch.arange(count), begin]
    samples = clips.num_samples[:count].clamp_max(crop_samples)
    frames = usable_frames(config, samples)
    device = _device(model)
    for first in range(0, count, config.data.batch_size):
        batch = slice(first, first + config.data.batch_size)
        ids = clips.clip_ids[:count][batch].to(device)
        lengths = FULL
        if (samples < crop_samples).any():
            share = len(ids) / count
            lengths = Lengths(
                samples[batch], frames[batch], frames[batch], pairs(config, frames) * share
            ).to(device)
        drawn = draw_negatives(
            Key(HELD_OUT_SEED, 0, Purpose.DEV_NEGATIVES),
            ids,
            Pool(pool, frames=lengths.gathered),
            config.geometry.frames(crop_samples),
            config.objective.n_steps,
            config.negatives,
        )
        x = crops[batch].to(device, copy=True).requires_grad_(torch.is_grad_enabled())
        yield CleanPass.compute(model, x, drawn, ids, seed=HELD_OUT_SEED, step=0, lengths=lengths)


@torch.no_grad()
def _attacked(clean: CleanPass, perturbed: Tensor) -> ObjectiveResult:
    """The objective with targets from the audio `perturbed`."""
    return clean.objective(*clean.views(perturbed, "future"), clean.negatives)


def _device(model: CpcModel) -> torch.device:
    return next(model.parameters()).device


def _weighted(rows: list[Tensor], weights: list[int]) -> list[float]:
    """Means of the columns of rows of `weights` clips each."""
    weight = torch.tensor(weights, dtype=torch.float64, device=rows[0].device)
    return ((torch.stack(rows) * weight[:, None]).sum(0) / weight.sum()).tolist()
