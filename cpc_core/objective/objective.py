"""Eq. 1: for each anchor i and step k, classify z_{i+k} against negatives, given the context c_i.

L_k = -Σ_i [ log σ(sim(z_{i+k}, h_k(c_i)) / τ) + Σ_{n negatives} log σ(-sim(z̃, h_k(c_i)) / τ) ]

With λ the number of negatives, λ times their mean is their sum. The sum over anchors is taken as a
mean over all anchors i of the batch whose target i + k is a frame of their clip, so that the loss
does not depend on the clips' lengths: each prediction counts alike, those of a longer clip are
more. The losses of all k and of both directions add up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
        mirrored = reverse(embedded, lengths.frames)
        orders = (
            (embedded, gathered),
            (
                mirrored,
                mirrored if gathered is embedded else reverse(gathered, lengths.gathered),
            ),
        )
        losses, tallies = [], []
        for direction, (context, (targets, candidates)) in enumerate(
            zip(contexts, orders, strict=True)
        ):
            predictions, keys = self.predict(direction, context), candidates.flatten(0, 1)
            for task, step in enumerate(self.steps):
                anchored = predictions[task][:, :-step]
                positive = (anchored * targets[:, step:]).sum(-1) / self.temperature
                negative = (
                    inner_products(anchored, keys, negatives[direction, task, :, step:])
                    / self.temperature
                )
                weights = lengths.weights(context.shape[1], task, step)
                losses.append(self._loss(positive, negative, weights))
                tallies.append(_tally(positive.detach(), negative.detach(), weights))
        accuracy, balanced, ranking = torch.stack(tallies).mean(0)
        return ObjectiveResult(torch.stack(losses).sum(), accuracy, balanced, ranking)

    def predict(self, direction: int, context: Tensor) -> Sequence[Tensor]:
        """Embedded h_k(c) for every k: K tensors `[B, T, E]` from contexts `[B, T, C_c]`."""
        stacked = self.predictors[direction](context).unflatten(-1, (len(self.steps), -1))
        return self.similarity(stacked).unbind(2)  # type: ignore[no-any-return]

    def _loss(self, positive: Tensor, negative: Tensor, weights: Tensor | None) -> Tensor:
        """Loss of one task from logits `[B, A]` and `[B, A, n]`."""
        if self.loss == "infonce":
            logits = torch.cat((positive.unsqueeze(-1), negative), dim=-1)
            return _mean(torch.logsumexp(logits, dim=-1) - positive, weights)
        accepted, rejected = F.softplus(-positive), F.softplus(negative).sum(-1)
        return _mean(accepted, weights) + _mean(rejected, weights)


def _tally(positive: Tensor, negative: Tensor, weights: Tensor | None) -> Tensor:
    """Accuracy, balanced accuracy and ranking accuracy of one task, `[3]`."""
    accepted = _mean((positive > 0).double(), weights)
    rejected = _mean((negative <= 0).double().mean(-1), weights)
    count = negative.shape[-1]
    ranked = _mean((positive > negative.amax(-1)).double(), weights)
    return torch.stack(
        ((accepted + count * rejected) / (1 + count), (accepted + rejected) / 2, ranked)
    )


def _mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """Sum of values `[B, A]` by their weights; None: their mean."""
    return values.mean() if weights is None else (values * weights.to(values)).sum()


def constant_answer_loss(config: ObjectiveConfig, negatives: int) -> float:
    """Loss of the best answer that ignores the input, at which a collapsed model stays.

    Eq. 1 at σ = 1/(n+1) everywhere is (n+1)·H(1/(n+1)) a task, 15.28 for the paper's eight tasks
    and two negatives.
    """
    tasks, candidates = 2 * config.n_steps, negatives + 1
    if config.loss == "infonce":
        return tasks * math.log(candidates)
    return tasks * (math.log(candidates) + negatives * math.log(candidates / negatives))
