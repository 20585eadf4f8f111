"""First weights that train.

With PyTorch's defaults all latents share one large component: |z| = 4.2 against a spread of 0.15
over clips. Every similarity is alike, and the quickest way down is to shrink all differences, after
which the model collapses to the constant answer "negative". Any logit that varies without
information pushes the same way. So the first batch sets the first weights:

1. Layer by layer, each LayerNorm's gain and bias, so that every channel has zero mean and unit
   variance over the batch (LSUV, Mishkin and Matas, 2016).
2. The projection's output layer, so that projected latents are white: cosines then spread around 0
   no wider than their dimensions allow.
3. The predictors h_k, by ridge regression of z_{t+k} on c_t: logits carry information from the
   first step on.
4. The logits' mean, at the best constant answer (σ = 1/(n+1) for Eq. 1), so that nothing pushes
   all latents one way; and the logits' deviation, the same for every similarity and every τ where
   a cosine can reach it.

A similarity that is not named here gets the first and the third alone: nothing is known of how its
logits follow from its vectors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cpc_core.config import InitialisationConfig
from cpc_core.distributed import mean_over_workers, world
from cpc_core.model.cpc_model import CpcModel
from cpc_core.model.layers import LayerNorm
from cpc_core.objective.embedding import Cosine, Dot, NonlinearCosine, normalise
from cpc_core.objective.lengths import own_frames, own_mask, reverse

INITIAL_CLIPS = 32
"""Clips of the first batch that are used, over all workers. They are enough for statistics of
channels and few enough for the memory. They are spread over the batch, so that any number of
workers uses the same ones.
"""

FLOOR = 1e-3
"""Smallest variance in a division, relative to the largest or the mean. The first batch has no
information on smaller ones.
"""

LONGEST_STRETCH = 1.5
"""Largest stretch of the regression's predictions, which vary less than their targets."""


@torch.no_grad()
def initialise(
    model: CpcModel,
    audio: Tensor,
    config: InitialisationConfig,
    negatives: int,
    samples: Tensor | None = None,
) -> None:
    """Sets the first weights from the first batch, in place, unless `config` keeps the defaults.

    Args:
        model: Fresh, on its device.
        audio: `[B, L]`, this worker's clips of the first step.
        config: Penalty of the regression and deviation of the logits.
        negatives: n, candidates per anchor beside the positive.
        samples: Own samples of each clip, `[B]`; None where all are full.
    """
    if not config.data_dependent:
        return
    every = max(1, len(audio) * world()[1] // INITIAL_CLIPS)
    audio = audio[::every]
    if samples is None:
        samples = torch.full((len(audio),), audio.shape[1])
    samples = samples[::every].to(audio.device)
    predicted = own_frames(model.geometry, samples) >= model.objective.steps[0] + 1
    samples = samples.where(predicted, 0)
    frames = own_frames(model.geometry, samples)
    hooks = [
        norm.register_forward_hook(_standardise)
        for norm in model.modules()
        if isinstance(norm, LayerNorm)
    ]
    # `forward` itself, neither compiled nor in passes: a layer's hook sets its weights from all
    # clips before the next one runs.
    latents = model.encoder.forward(audio, samples)
    backwards = reverse(latents, frames)
    contexts = (
        model.future_context.forward(latents, frames),
        model.past_context.forward(backwards, frames),
    )
    for hook in hooks:
        hook.remove()

    objective = model.objective
    fits = [
        _RidgeFit.of(c, z, frames, objective.steps, config.ridge)
        for c, z in zip(contexts, (latents, backwards), strict=True)
    ]
    own = own_mask(frames, latents.shape[1])
    latents, contexts = latents[own], (contexts[0][own], contexts[1][own])
    level = -math.log(negatives) * objective.temperature if objective.loss == "bce" else 0.0
    deviation = config.logit_deviation * objective.temperature
    match objective.similarity:
        case NonlinearCosine() as projection:
            means = _separate_predictions(projection, fits, latents)
        case Dot() | Cosine() as similarity:
            calibrate = _calibrate_dot if isinstance(similarity, Dot) else _calibrate_cosine
            embedded = _Moments.of(similarity(latents))
            means = [calibrate(fit, embedded, level, deviation) for fit in fits]
        case _:
            means = [_mean(latents.double()) for _ in fits]
    for predictor, fit, mean in zip(objective.predictors, fits, means, strict=True):
        fit.write(predictor, mean)
    if isinstance(objective.similarity, NonlinearCosine):
        predictions = torch.cat(
            [predictor(c) for predictor, c in zip(objective.predictors, contexts, strict=True)]
        )
        _calibrate_projection(
            objective.similarity,
            latents,
            predictions.unflatten(-1, (len(objective.steps), -1)),
            level,
            deviation,
        )


@dataclass(frozen=True)
class _Moments:
    """Mean `[D]` and mean outer product `[D, D]` of vectors `[…, D]` of all workers, in float64."""

    mean: Tensor
    second: Tensor

    @classmethod
    def of(cls, vectors: Tensor) -> _Moments:
        rows = vectors.flatten(0, -2).double()
        return cls(_mean(rows), _mean_product(rows, rows))

    @property
    def covariance(self) -> Tensor:
        return self.second - torch.outer(self.mean, self.mean)

    def products_deviation(self, other: _Moments) -> Tensor:
        """Standard deviation of the inner products of vectors with independent `other` ones."""
        return (
            ((self.second * other.second).sum() - (self.mean @ other.mean).square())
            .clamp_min(1e-24)
            .sqrt()
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
    predictions: _Moments

    @classmethod
    def of(
        cls, context: Tensor, latents: Tensor, frames: Tensor, steps: Sequence[int], ridge: float
    ) -> _RidgeFit:
        own = own_mask(frames, latents.shape[1])
        x, z = _mean(context[own].double()), _mean(latents[own].double())
        weights = []
        for step in steps:
            inputs, targets = (
                (context[:, :-step] - x)[own[:, step:]].double(),
                (latents[:, step:] - z)[own[:, step:]].double(),
            )
            gram = _mean_product(inputs, inputs)
            gram = gram + (ridge * gram.diagonal().mean() + 1e-9) * torch.eye(len(gram)).to(gram)
            weights.append(torch.linalg.solve(gram, _mean_product(inputs, targets)).T)
        weight = torch.stack(weights)
        predicted = torch.einsum("td,kcd->tkc", context[own].double() - x, weight)
        return cls(weight, x, _Moments.of(predicted))

    def scale(self, factor: Tensor | float) -> None:
        """Stretches the predictions around their mean."""
        self.weight = self.weight * factor
        self.predictions = _Moments(
            self.predictions.mean * factor, self.predictions.second * factor**2
        )

    def write(self, predictor: nn.Module, mean: Tensor) -> None:
        """Writes the regression into `predictor`, with predictions around `mean` `[C]`."""
        predictor.get_parameter("weight").copy_(self.weight.flatten(0, 1))
        predictor.get_parameter("bias").copy_((mean - self.weight @ self.context_mean).flatten())


def _calibrate_dot(fit: _RidgeFit, latents: _Moments, level: float, deviation: float) -> Tensor:
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
    fit: _RidgeFit, directions: _Moments, level: float, deviation: float
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
    moments = _Moments.of(latents)
    variances, axes = torch.linalg.eigh(moments.covariance)
    axis, typical = axes[:, 0], variances.clamp_min(0).mean().sqrt()
    centre = moments.mean @ axis
    threshold = centre + 4 * variances[0].clamp_min(0).sqrt()
    projection.hidden.weight[0] = axis
    projection.hidden.bias[0] = -threshold
    _whiten(projection, latents)
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
    z_length, h_length = (float(_mean(x.norm(dim=-1).flatten())) for x in (z, h))
    found = float(_Moments.of(normalise(h)).products_deviation(_Moments.of(normalise(z))))
    opposite = h_length * math.sqrt(max((found / deviation) ** 2 - 1, 0.25))
    share = min(0.9, -level * math.hypot(h_length, opposite) / opposite)
    own = z_length * share / math.sqrt(1 - share**2)
    mark = float(_mean(F.relu(projection.hidden(predictions))[..., 0].flatten()))
    output.bias[0] = own
    output.weight[0, 0] = -(own + opposite) / max(mark, 1e-6)


def _whiten(projection: NonlinearCosine, latents: Tensor) -> None:
    """Turns the output layer, at its norm, so that p(z) has mean 0 and equal variances."""
    moments = _Moments.of(F.relu(projection.hidden(latents)))
    variances, directions = torch.linalg.eigh(moments.covariance)
    weight = projection.output.weight
    rank = min(weight.shape)
    kept, axes = variances[-rank:], directions[:, -rank:]
    turn, _ = torch.linalg.qr(weight.double()[:, :rank])
    white = turn @ (kept.clamp_min(FLOOR * float(kept[-1]) + 1e-12).rsqrt()[:, None] * axes.T)
    white *= weight.double().norm() / white.norm()
    projection.output.bias.copy_(-(white @ moments.mean))
    weight.copy_(white)


def _standardise(norm: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """Sets a LayerNorm's gain and bias for mean 0 and variance 1 in each channel of `[B, T, C]`,
    over the clips' own frames.
    """
    own = output[own_mask(inputs[1], output.shape[1])]
    mean = _mean(own)
    deviation = _mean((own - mean).square()).sqrt().clamp_min(1e-6)  # a channel may be silent
    norm.get_parameter("weight").div_(deviation)
    norm.get_parameter("bias").sub_(mean).div_(deviation)
    return (output - mean) / deviation


def _mean(rows: Tensor) -> Tensor:
    """Mean of the rows `[N, …]` of all workers, `[…]`."""
    return mean_over_workers(rows.sum(0)) / _count(rows)


def _mean_product(rows: Tensor, others: Tensor) -> Tensor:
    """Mean outer product of the rows `[N, C]` and `[N, D]` of all workers, `[C, D]`."""
    return mean_over_workers(rows.T @ others) / _count(rows)


def _count(rows: Tensor) -> Tensor:
    """Mean number of rows of a worker."""
    return mean_over_workers(rows.new_tensor(float(len(rows)))).clamp_min(1)
