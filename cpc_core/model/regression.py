"""First weights by regression on the first batch: the model predicts before its first step.

1. The projection's output layer is set so that projected latents are white: cosines then spread
   around 0 no wider than their dimensions allow.
2. The predictors h_k are the ridge regression of z_{t+k} on c_t: logits carry information.
3. The logits' mean is set to the best constant answer (σ = 1/(n+1) for Eq. 1), so that nothing
   pushes all latents one way; and the logits' deviation, the same for every similarity and every τ
   where a cosine can reach it.

Similarities start from different answers, and τ cancels from the dot product's first logits. A
similarity that is not named here gets the regression alone: nothing is known of how its logits
follow from its vectors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cpc_core.config import InitialisationConfig
from cpc_core.model.moments import Moments, mean_product, row_mean
from cpc_core.model.standardise import FLOOR, whiten
from cpc_core.objective.embedding import Cosine, Dot, NonlinearCosine, normalise
from cpc_core.objective.lengths import own_mask
from cpc_core.objective.objective import Objective

LONGEST_STRETCH = 1.5
"""Largest stretch of the regression's predictions, which vary less than their targets."""


def fit_predictions(
    objective: Objective,
    latents: tuple[Tensor, Tensor],
    contexts: tuple[Tensor, Tensor],
    frames: Tensor,
    config: InitialisationConfig,
    negatives: int,
) -> None:
    """Sets predictors and projection, in place.

    Args:
        objective: Of the model.
        latents: z `[B, T, C]`, and with time reversed.
        contexts: Of both directions, `[B, T, C_c]`, the second with time reversed.
        frames: Own frames of each clip, `[B]`.
        config: Penalty of the regression, and deviation of the logits.
        negatives: n, candidates per anchor beside the positive.
    """
    fits = [
        _RidgeFit.of(c, z, frames, objective.steps, config.ridge)
        for c, z in zip(contexts, latents, strict=True)
    ]
    own = own_mask(frames, latents[0].shape[1])
    z, contexts = latents[0][own], (contexts[0][own], contexts[1][own])
    level = -math.log(negatives) * objective.temperature if objective.loss == "bce" else 0.0
    deviation = config.logit_deviation * objective.temperature
    match objective.similarity:
        case NonlinearCosine() as projection:
            means = _separate_predictions(projection, fits, z)
        case Dot() | Cosine() as similarity:
            calibrate = _calibrate_dot if isinstance(similarity, Dot) else _calibrate_cosine
            embedded = Moments.of(similarity(z))
            means = [calibrate(fit, embedded, level, deviation) for fit in fits]
        case _:
            means = [row_mean(z.double()) for _ in fits]
    for predictor, fit, mean in zip(objective.predictors, fits, means, strict=True):
        fit.write(predictor, mean)
    if isinstance(objective.similarity, NonlinearCosine):
        predictions = torch.cat(
            [predictor(c) for predictor, c in zip(objective.predictors, contexts, strict=True)]
        )
        _calibrate_projection(
            objective.similarity,
            z,
            predictions.unflatten(-1, (len(objective.steps), -1)),
            level,
            deviation,
        )


@dataclass
class _RidgeFit:
    """Regression of latents on contexts, of one direction.

    Attributes:
        weight: `[K, C, C_c]`, from a centred context to a centred prediction.
        context_mean: `[C_c]`.
        predictions: Moments of the centred predictions of all steps together.
    """

    weight: Tensor
    context_mean: Tensor
    predictions: Moments

    @classmethod
    def of(
        cls, context: Tensor, latents: Tensor, frames: Tensor, steps: Sequence[int], ridge: float
    ) -> _RidgeFit:
        own = own_mask(frames, latents.shape[1])
        x, z = row_mean(context[own].double()), row_mean(latents[own].double())
        weights = []
        for step in steps:
            inputs, targets = (
                (context[:, :-step] - x)[own[:, step:]].double(),
                (latents[:, step:] - z)[own[:, step:]].double(),
            )
            gram = mean_product(inputs, inputs)
            gram = gram + (ridge * gram.diagonal().mean() + 1e-9) * torch.eye(len(gram)).to(gram)
            weights.append(torch.linalg.solve(gram, mean_product(inputs, targets)).T)
        weight = torch.stack(weights)
        predicted = torch.einsum("td,kcd->tkc", context[own].double() - x, weight)
        return cls(weight, x, Moments.of(predicted))

    def scale(self, factor: Tensor | float) -> None:
        """Stretches the predictions around their mean."""
        self.weight = self.weight * factor
        self.predictions = Moments(
            self.predictions.mean * factor, self.predictions.second * factor**2
        )

    def write(self, predictor: nn.Module, mean: Tensor) -> None:
        """Writes the regression into `predictor`, with predictions around `mean` `[C]`."""
        predictor.get_parameter("weight").copy_(self.weight.flatten(0, 1))
        predictor.get_parameter("bias").copy_((mean - self.weight @ self.context_mean).flatten())


def _calibrate_dot(fit: _RidgeFit, latents: Moments, level: float, deviation: float) -> Tensor:
    """Mean prediction whose product with every latent is nearest to `level`.

    The logits around it are scaled to `deviation`.
    """
    fit.scale(deviation / fit.predictions.products_deviation(latents))
    ridged = latents.second + FLOOR * latents.second.diagonal().mean() * torch.eye(
        len(latents.mean)
    ).to(latents.second)
    mean: Tensor = level * torch.linalg.solve(ridged, latents.mean)
    return mean


def _calibrate_cosine(
    fit: _RidgeFit, directions: Moments, level: float, deviation: float
) -> Tensor:
    """Mean prediction as in `_calibrate_dot`, for predictions of length 1.

    The rest of the length points where the latents' directions do not vary.
    """
    calibrated = _calibrate_dot(fit, directions, level, deviation)
    mean = calibrated * (0.95 / calibrated.norm()).clamp_max(1)
    left = 1 - mean.square().sum()
    spread = fit.predictions.second.trace()
    fit.scale((left / spread.clamp_min(1e-24)).sqrt().clamp_max(1))
    still = torch.linalg.eigh(directions.second)[1][:, 0]
    whole: Tensor = mean + (left - spread).clamp_min(0).sqrt() * still
    return whole


def _separate_predictions(
    projection: NonlinearCosine, fits: list[_RidgeFit], latents: Tensor
) -> list[Tensor]:
    """Whitens the projection, and adds a component to predictions.

    The projection's first hidden unit alone detects the component, which lies where latents vary
    least, beyond all of them, so that the unit is silent on latents. Returns the mean predictions
    of both directions.
    """
    moments = Moments.of(latents)
    variances, axes = torch.linalg.eigh(moments.covariance)
    axis, typical = axes[:, 0], variances.clamp_min(0).mean().sqrt()
    centre = moments.mean @ axis
    threshold = centre + 4 * variances[0].clamp_min(0).sqrt()
    projection.hidden.weight[0] = axis
    projection.hidden.bias[0] = -threshold
    whiten(projection, latents)
    projection.output.weight[:, 0] = 0
    for fit in fits:
        fit.scale(
            (typical / fit.predictions.second.diagonal().mean().clamp_min(1e-24).sqrt()).clamp_max(
                LONGEST_STRETCH
            )
        )
    return [moments.mean + (threshold - centre + 0.3 * typical) * axis for _ in fits]


def _calibrate_projection(
    projection: NonlinearCosine,
    latents: Tensor,
    predictions: Tensor,
    level: float,
    deviation: float,
) -> None:
    """Connects the projection's first output to the detecting unit alone.

    Its value for predictions dilutes their cosines down to `deviation`; the opposite, smaller value
    for latents sets the mean to `level`.
    """
    output = projection.output
    if min(output.weight.shape) < 2:
        return
    output.weight[0] = 0
    output.bias[0] = 0
    z, h = projection.project(latents), projection.project(predictions)
    z_length, h_length = (float(row_mean(x.norm(dim=-1).flatten())) for x in (z, h))
    found = float(Moments.of(normalise(h)).products_deviation(Moments.of(normalise(z))))
    opposite = h_length * math.sqrt(max((found / deviation) ** 2 - 1, 0.25))
    share = min(0.9, -level * math.hypot(h_length, opposite) / opposite)
    own = z_length * share / math.sqrt(1 - share**2)
    mark = float(row_mean(F.relu(projection.hidden(predictions))[..., 0].flatten()))
    output.bias[0] = own
    output.weight[0, 0] = -(own + opposite) / max(mark, 1e-6)
