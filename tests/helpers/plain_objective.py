"""Eq. 1 by plain loops over clips that are alone, each at its own length, in float64."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from cpc_core.model.cpc_model import CpcModel


@dataclass(frozen=True)
class LoneClip:
    """Latents `[n, C]` and contexts of one clip, both in the order of their direction."""

    latents: tuple[Tensor, Tensor]
    contexts: tuple[Tensor, Tensor]

    @classmethod
    @torch.no_grad()
    def of(cls, model: CpcModel, audio: Tensor) -> LoneClip:
        """The clip `audio` `[n]` in a batch of its own, without any length."""
        latents = model.encode(audio.unsqueeze(0))
        future, past = model.contextualise(latents)
        return cls((latents[0], latents[0].flip(0)), (future[0], past[0]))

    def __len__(self) -> int:
        return len(self.latents[0])


@torch.no_grad()
def plain_objective(
    model: CpcModel, kind: str, clips: list[LoneClip], negatives: Tensor, first: int = 0
) -> dict[str, float]:
    """Loss with one Python float at a time, and the three accuracies by counting.

    Args:
        model: Similarity and predictors.
        kind: `bce` or `infonce`.
        clips: All clips that negatives index.
        negatives: Flat positions `[2, K, B, T, n]` of the clips from the first on.
        first: Position of the first clip with anchors.
    """
    similarity, objective = model.objective.similarity, model.objective
    total, hits, balanced, ranked = 0.0, [], [], []
    frames, width = negatives.shape[3], clips[0].latents[0].shape[1]
    for direction in range(2):
        predictor = objective.predictors[direction]
        for task, step in enumerate(objective.steps):
            weight = predictor.weight[task * width : (task + 1) * width]  # type: ignore[index]
            bias = predictor.bias[task * width : (task + 1) * width]  # type: ignore[index]
            terms, right_positive, right_negative, best = [], [], [], []
            for row, own in enumerate(clips[first : first + negatives.shape[2]]):
                for anchor in range(len(own) - step):
                    guess = similarity(weight @ own.contexts[direction][anchor] + bias)

                    def logit(
                        clip: LoneClip,
                        frame: int,
                        guess: Tensor = guess,
                        direction: int = direction,
                    ) -> float:
                        latent = clip.latents[direction][frame]
                        return float(similarity(latent) @ guess) / objective.temperature

                    positive = logit(own, anchor + step)
                    drawn = negatives[direction, task, row, anchor + step].tolist()
                    others = [logit(clips[flat // frames], flat % frames) for flat in drawn]
                    if kind == "bce":
                        terms.append(_softplus(-positive) + sum(map(_softplus, others)))
                    else:
                        scores = [math.exp(score) for score in (positive, *others)]
                        terms.append(-math.log(scores[0] / sum(scores)))
                    right_positive.append(positive > 0)
                    right_negative += [other <= 0 for other in others]
                    best.append(positive > max(others))
            if terms:
                total += fmean(terms)
            hits.append(_share(right_positive + right_negative))
            balanced.append((_share(right_positive) + _share(right_negative)) / 2)
            ranked.append(_share(best))
    return {
        "loss": total,
        "accuracy": fmean(hits),
        "balanced_accuracy": fmean(balanced),
        "ranking_accuracy": fmean(ranked),
    }


def _softplus(logit: float) -> float:
    return -math.log(1 / (1 + math.exp(logit)))


def _share(right: list[bool]) -> float:
    return sum(right) / max(1, len(right))
