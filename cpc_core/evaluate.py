"""Held-out CPC accuracy: clean clips, the same ones in the same batches with the same negatives every time."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from cpc_core.config import CpcConfig
from cpc_core.corpus.corpus import Clips
from cpc_core.draws import Key, Purpose
from cpc_core.model import CpcModel
from cpc_core.negatives import draw_negatives

HELD_OUT_SEED = 0
"""Held-out negatives do not follow the trial's seed: replicates differ by their weights, not by their exam."""


@dataclass(frozen=True)
class HeldOutMetrics:
    """CPC on clean held-out clips.

    Attributes:
        loss: Eq. 1.
        accuracy: Table 1's dev accuracy.
        balanced_accuracy: See `ObjectiveResult`.
        ranking_accuracy: See `ObjectiveResult`.
        latent_spread: Mean over channels of the standard deviation over clips of the time-averaged latents. A model that
            answers without listening loses it.
        pool_clips: Clips that a negative may come from; accuracies over other pools are not comparable.
    """

    loss: float
    accuracy: float
    balanced_accuracy: float
    ranking_accuracy: float
    latent_spread: float
    pool_clips: int


@torch.no_grad()
def evaluate(model: CpcModel, config: CpcConfig, clips: Clips, crop_samples: int) -> HeldOutMetrics:
    """Measures a model on held-out clips, cut in their middle to the length of the training crops.

    Batches have the training batch's size; a last one of a single clip, which has no other clip to be told from, is left out.

    Args:
        model: In any mode: nothing in it depends on one.
        config: The trial.
        clips: At least two held-out clips.
        crop_samples: Samples of a crop.
    """
    device = next(model.parameters()).device
    begin = (clips.audio.shape[1] - crop_samples) // 2
    audio = clips.audio[:, begin : begin + crop_samples]
    pool = max(2, min(config.data.batch_size, len(clips)))
    rows, means, weights = [], [], []
    for first in range(0, len(clips) - 1, pool):
        part = slice(first, first + pool)
        clip_ids = clips.clip_ids[part].to(device)
        latents = model.encoder(audio[part].to(device))
        key = Key(HELD_OUT_SEED, 0, Purpose.DEV_NEGATIVES)
        drawn = draw_negatives(key, clip_ids, config.negatives.sampling, latents.shape[1], config.objective.steps, config.negatives.count)
        result = model.objective(model.contextualise(latents), latents, drawn)
        rows.append(torch.stack((result.loss.double(), result.accuracy, result.balanced_accuracy, result.ranking_accuracy)))
        means.append(latents.mean(dim=1))
        weights.append(len(clip_ids))
    weight = torch.tensor(weights, dtype=torch.float64, device=device)
    loss, accuracy, balanced, ranking = ((torch.stack(rows) * weight[:, None]).sum(0) / weight.sum()).tolist()
    spread = torch.cat(means).std(dim=0).mean().item()
    return HeldOutMetrics(loss, accuracy, balanced, ranking, spread, pool)
