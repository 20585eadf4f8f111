"""First weights that train.

With PyTorch's defaults all latents share one large component: |z| = 4.2 against a spread of 0.15 over clips. Every
similarity is alike, and the quickest way down is to shrink all differences, after which the model answers "negative" for
ever. Here three things are set on the first batch:

1. Layer by layer, each LayerNorm's gain and bias, so that every channel has zero mean and unit variance over the batch
   (LSUV's idea, Mishkin and Matas, 2016).
2. The projection's output layer, so that projected latents are white: cosines then spread around 0 no wider than their
   dimensions allow. Correlated ones give logits of ±1/τ, and falling from there ends at the constant answer.
3. The predictors' scale. A dot product grows with it and with 1/τ, so it is chosen for logits of a given deviation
   whatever τ is. A cosine ignores length: there the predictions start small beside what biases give them, nearly alike.
   The offset that makes "negative" the usual answer is then learnt as one push on all latents, and their differences live.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cpc_core.config import InitialisationConfig
from cpc_core.distributed import mean_over_workers, world
from cpc_core.layers import LayerNorm
from cpc_core.model import CpcModel
from cpc_core.objective import Objective
from cpc_core.similarity import Cosine, Dot, NonlinearCosine

WHITENING_FLOOR = 1e-3
"""Smallest variance that whitening divides by, relative to the largest: below it the first batch tells nothing."""


INITIAL_CLIPS = 32
"""Clips of the first batch that are looked at, over all workers: enough for statistics of channels, and few enough to be
held at once. They are spread over the batch, so that any number of workers looks at the same ones."""


@torch.no_grad()
def initialise(model: CpcModel, audio: Tensor, config: InitialisationConfig) -> None:
    """Sets the first weights from the first batch `audio` `[B, L]`, in place; nothing where the configuration wants defaults."""
    if not config.data_dependent:
        return
    audio = audio[:: max(1, len(audio) * world()[1] // INITIAL_CLIPS)]
    hooks = [norm.register_forward_hook(_standardise) for norm in model.modules() if isinstance(norm, LayerNorm)]
    # Eagerly and without passes: a layer's hook sets its weights from all clips before the next layer runs.
    with torch.compiler.set_stance("force_eager"):
        latents = model.encoder(audio)
        contexts = model.future_context(latents), model.past_context(latents.flip(1))
    for hook in hooks:
        hook.remove()
    similarity = model.objective.similarity
    if isinstance(similarity, NonlinearCosine):
        _whiten(similarity, latents)
    for context, predictor in zip(contexts, model.objective.predictors, strict=True):
        _scale_predictors(predictor, context, latents, model.objective, config)


def _whiten(projection: NonlinearCosine, latents: Tensor) -> None:
    """Turns the output layer so that p(z) has mean 0 and equal variance in every direction; its norm stays."""
    hidden = F.relu(projection.hidden(latents)).double()
    mean = _channel_mean(hidden)
    centred = (hidden - mean).flatten(0, 1)
    variances, directions = torch.linalg.eigh(mean_over_workers(centred.T @ centred / len(centred)))
    weight = projection.output.weight
    rank = min(weight.shape)
    kept, axes = variances[-rank:], directions[:, -rank:]
    turn, _ = torch.linalg.qr(weight.double()[:, :rank])
    white = turn @ (kept.clamp_min(WHITENING_FLOOR * kept[-1]).rsqrt()[:, None] * axes.T)
    white *= weight.double().norm() / white.norm()
    projection.output.bias.copy_(-(white @ mean))
    weight.copy_(white)


def _scale_predictors(predictor: nn.Module, context: Tensor, latents: Tensor, objective: Objective, config: InitialisationConfig) -> None:
    """Rescales one direction's predictors, all steps alike."""
    assert isinstance(predictor, nn.Linear)
    predictor.bias.zero_()
    predicted = predictor(context).unflatten(-1, (len(objective.steps), -1))
    if isinstance(objective.similarity, Dot):
        logits = (predicted * latents.roll(1, dims=0).unsqueeze(2)).sum(-1) / objective.temperature
        predictor.weight.mul_(config.logit_deviation / _deviation(logits))
    else:
        predictor.weight.mul_(config.predictor_scale * _deviation(latents) / _deviation(predicted))
        if isinstance(objective.similarity, Cosine):
            # Swish leaves the latents a common component that no projection removes: predictions need it too.
            predictor.bias.copy_(_channel_mean(latents).repeat(len(objective.steps)) - _channel_mean(predictor(context)))


def _standardise(norm: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """Sets a LayerNorm's gain and bias so that each channel of its output `[B, T, C]` has mean 0 and variance 1."""
    assert isinstance(norm, LayerNorm)
    mean = _channel_mean(output)
    deviation = _channel_mean((output - mean).square()).sqrt().clamp_min(1e-6)  # a channel may be silent on the first batch
    norm.weight.div_(deviation)
    norm.bias.sub_(mean).div_(deviation)
    return (output - mean) / deviation


def _channel_mean(x: Tensor) -> Tensor:
    return mean_over_workers(x.mean(dim=(0, 1)))


def _deviation(x: Tensor) -> Tensor:
    """Standard deviation over everything, a scalar."""
    centred = x - mean_over_workers(x.mean())
    return mean_over_workers(centred.square().mean()).sqrt().clamp_min(1e-6)
