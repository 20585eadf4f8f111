"""First weights: drawn without data, or set from the first batch."""

from __future__ import annotations

import torch
from torch import Tensor

from cpc_core.config import InitialisationConfig
from cpc_core.distributed import world
from cpc_core.model.cpc_model import CpcModel
from cpc_core.model.layers import LayerNorm
from cpc_core.model.regression import fit_predictions
from cpc_core.model.standardise import centre_predictions, standardise_norm, whiten
from cpc_core.objective.embedding import NonlinearCosine
from cpc_core.objective.lengths import own_frames, own_mask, reverse

INITIAL_CLIPS = 32
"""Clips of the first batch that are used, over all workers. They are enough for statistics of
channels and few enough for the memory. They are spread over the batch, so that any number of
workers uses the same ones.
"""


@torch.no_grad()
def initialise(
    model: CpcModel,
    audio: Tensor,
    config: InitialisationConfig,
    negatives: int,
    samples: Tensor | None = None,
) -> None:
    """Sets the weights from the first batch, in place, for the kinds that have them from it.

    Args:
        model: Fresh, on its device; its weights are `plain`, or PyTorch's.
        audio: `[B, L]`, this worker's clips of the first step.
        config: Kind and its settings.
        negatives: n, candidates per anchor beside the positive.
        samples: Own samples of each clip, `[B]`; None where all are full.
    """
    if config.kind in ("plain", "pytorch"):
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
        norm.register_forward_hook(standardise_norm)
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

    objective, own = model.objective, own_mask(frames, latents.shape[1])
    if config.kind == "regression":
        fit_predictions(objective, (latents, backwards), contexts, frames, config, negatives)
        return
    for predictor, context in zip(objective.predictors, contexts, strict=True):
        centre_predictions(predictor, context[own])
    if isinstance(objective.similarity, NonlinearCosine):
        whiten(objective.similarity, latents[own])
