"""Eq. 1: for each anchor i and step k, classify z_{i+k} against negatives, given the context c_i.

L_k = -Σ_i [ log σ(sim(z_{i+k}, h_k(c_i)) / τ) + Σ_{n negatives} log σ(-sim(z̃, h_k(c_i)) / τ) ]

With λ the number of negatives, λ times their mean is their sum. The sum over anchors is taken as a
mean over all anchors i of the batch whose target i + k is a frame of their clip, so that the loss
does not depend on the clips' lengths: each prediction counts alike, those of a longer clip are
more. The losses of all k and of both directions add up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cpc_core.config import ObjectiveConfig
from cpc_core.objective.inner_products import inner_products
from cpc_core.objective.lengths import FULL, Lengths, reverse


@dataclass(frozen=True)
class ObjectiveResult:
    """Loss and accuracies of one batch.

    Attributes:
        loss: Scalar to minimise.
        accuracy: Share of positives and negatives on the right side of σ = 0.5; the constant answer
            "negative" has n/(n+1).
        balanced_accuracy: Mean of the shares among positives and among negatives; a constant answer
            has 0.5.
        ranking_accuracy: Share of positives that score above all of their negatives; chance is
            1/(n+1).
    """

    loss: Tensor
    accuracy: Tensor
    balanced_accuracy: Tensor
    ranking_accuracy: Tensor


def own_clips(embedded: Tensor) -> Tensor:
    """Embedded latents of a worker whose pools are within its own clips: its own."""
    return embedded


class Objective(nn.Module):
    """Predictors h_k, one affine map per direction and step, and the loss over their tasks.

    A direction's maps are the rows of one matrix, so that all of its predictions are one product.

    Args:
        context_channels: Dimensions of a context.
        latent_channels: Dimensions of a latent.
        similarity: Embedding of predictions and latents; its parameters belong to the model.
        config: Loss, temperature and predicted steps.
    """

    def __init__(
        self,
        context_channels: int,
        latent_channels: int,
        similarity: nn.Module,
        config: ObjectiveConfig,
    ) -> None:
        super().__init__()
        self.similarity = similarity
        self.loss, self.temperature, self.steps = config.loss, config.temperature, config.steps
        self.predictors = nn.ModuleList(
            nn.Linear(context_channels, config.n_steps * latent_channels)
            for _ in ("future", "past")
        )

    def forward(
        self,
        contexts: tuple[Tensor, Tensor],
        latents: Tensor,
        negatives: Tensor,
        gather: Callable[[Tensor], Tensor] = own_clips,
        lengths: Lengths = FULL,
    ) -> ObjectiveResult:
        """Computes the loss and the accuracies.

        Args:
            contexts: Past → future `[B, T, C_c]`, and future → past with time reversed `[B, T,
                C_c]`.
            latents: `[B, T, C]`, of the same audio or of its perturbed copy.
            negatives: Flat positions among the gathered clips, `[2, K, B, T, n]`, by target frame.
            gather: Returns the embedded latents `[W·B, T, E]` that negatives index, of this
                worker's `[B, T, E]`.
            lengths: Own frames of the clips.
        """
        embedded = self.similarity(latents)
        gathered = gather(embedded)
        own = gathered is embedded
        mirrored = reverse(embedded, lengths.frames)
        keys = (
            embedded if own else torch.cat((embedded, gathered)),
            mirrored if own else torch.cat((mirrored, reverse(gathered, lengths.gathered))),
        )
        index = self._candidates(negatives, 0 if own else len(embedded))
        products = [
            inner_products(self.predict(direction, context), rows.flatten(0, 1), columns)
            for direction, (context, rows, columns) in enumerate(
                zip(contexts, keys, index, strict=True)
            )
        ]
        logits = torch.stack(products) / self.temperature
        anchors, pairs = lengths.anchors(latents, self.steps)
        losses = self._losses(logits).masked_fill(~anchors, 0).sum((1, 2))
        return ObjectiveResult(
            (losses / pairs.to(losses)).sum(), *_shares(logits.detach(), anchors, pairs)
        )

    def predict(self, direction: int, context: Tensor) -> Tensor:
        """Embedded h_k(c) for every k, `[B, T, K, E]`, from contexts `[B, T, C_c]`."""
        stacked = self.predictors[direction](context).unflatten(-1, (len(self.steps), -1))
        return self.similarity(stacked)  # type: ignore[no-any-return]

    def _candidates(self, negatives: Tensor, first: int) -> Tensor:
        """Rows of each anchor's positive and negatives, `[2, B, T, K, 1 + n]`.

        Args:
            negatives: As in `forward`.
            first: Clips before those that negatives index.
        """
        _, tasks, clips, frames, _ = negatives.shape
        device = negatives.device
        steps = torch.tensor(self.steps, device=device)
        # An anchor whose target is behind the clip's end has some candidates, and no weight.
        target = (torch.arange(frames, device=device).unsqueeze(1) + steps).clamp_max(frames - 1)
        positive = torch.arange(clips, device=device).view(-1, 1, 1) * frames + target
        drawn = negatives.permute(0, 2, 3, 1, 4)[:, :, target, torch.arange(tasks, device=device)]
        return torch.cat(
            (positive.expand(2, -1, -1, -1).unsqueeze(-1), drawn + first * frames), dim=-1
        )

    def _losses(self, logits: Tensor) -> Tensor:
        """Loss of each anchor and task from logits `[…, 1 + n]`, the positive's first."""
        positive, negative = logits[..., 0], logits[..., 1:]
        if self.loss == "infonce":
            return torch.logsumexp(logits, dim=-1) - positive
        return F.softplus(-positive) + F.softplus(negative).sum(-1)


def _shares(logits: Tensor, anchors: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Accuracy, balanced accuracy and ranking accuracy, means over directions and tasks.

    Args:
        logits: `[2, B, T, K, 1 + n]`, the positive's first.
        anchors: Anchors that count, `[B, T, K]`.
        pairs: Number of them for each task, `[K]`.
    """
    positive, negative = logits[..., 0], logits[..., 1:]
    count = negative.shape[-1]
    right = torch.stack((positive > 0, positive > negative.amax(-1)))
    accepted, ranked = ((right & anchors).sum((2, 3)) / pairs).mean((1, 2))
    rejections = (negative <= 0).sum(-1).masked_fill(~anchors, 0).sum((1, 2))
    rejected = (rejections / (count * pairs)).mean()
    return (accepted + count * rejected) / (1 + count), (accepted + rejected) / 2, ranked


def constant_answer_loss(config: ObjectiveConfig, negatives: int) -> float:
    """Loss of the best answer that ignores the input, at which a collapsed model stays.

    Eq. 1 at σ = 1/(n+1) everywhere is (n+1)·H(1/(n+1)) a task, 15.28 for the paper's eight tasks
    and two negatives.
    """
    tasks, candidates = 2 * config.n_steps, negatives + 1
    if config.loss == "infonce":
        return tasks * math.log(candidates)
    return tasks * (math.log(candidates) + negatives * math.log(candidates / negatives))
