"""First weights whose layers have mean 0 and variance 1 over the first batch.

With a library's first weights all latents share one large component: |z| = 4.2 against a spread of
0.15 over clips. Every similarity is alike, and the quickest way down is to shrink all differences,
after which the model collapses to the constant answer "negative". Layers are standardised as by
LSUV (Mishkin and Matas, 2016), with LayerNorm's own gain and bias. Nothing here depends on τ, nor
on the similarity beyond the shape of its projection.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cpc_core.model.moments import Moments, row_mean
from cpc_core.objective.embedding import NonlinearCosine
from cpc_core.objective.lengths import own_mask

FLOOR = 1e-3
"""Smallest variance in a division, relative to the largest or the mean. The first batch has no
information on smaller ones.
"""

SILENT = 1e-3
"""Deviation of a channel below which it does not vary, where LayerNorm has made it 1 or so."""


def standardise_norm(norm: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """Sets a LayerNorm's gain and bias for mean 0 and variance 1 in each channel of `[B, T, C]`,
    over the clips' own frames.
    """
    own = output[own_mask(inputs[1], output.shape[1])]
    mean = row_mean(own)
    deviation = row_mean((own - mean).square()).sqrt()
    # Where the batch is silent or constant, channels do not vary: a gain would only raise noise.
    deviation = deviation.where(deviation > SILENT, 1.0)
    norm.get_parameter("weight").div_(deviation)
    norm.get_parameter("bias").sub_(mean).div_(deviation)
    return (output - mean) / deviation


def centre_predictions(predictor: nn.Module, contexts: Tensor) -> None:
    """Sets the biases so that predictions from the contexts `[N, C_c]` have mean 0.

    Their mean similarity with any latents is then 0 for a dot product, and near it for a cosine.
    """
    weight = predictor.get_parameter("weight")
    predictor.get_parameter("bias").copy_(-(weight @ row_mean(contexts)))


def whiten(projection: NonlinearCosine, latents: Tensor) -> None:
    """Turns the output layer, at its norm, so that p(z) has mean 0 and equal variances.

    The turn is the orthogonal map nearest to the drawn weights (their polar factor): axes of equal
    variance, and the signs of all, which every processor's LAPACK chooses for itself, cancel.
    """
    moments = Moments.of(F.relu(projection.hidden(latents)))
    variances, directions = torch.linalg.eigh(moments.covariance)
    weight = projection.output.weight
    rank = min(weight.shape)
    kept, axes = variances[-rank:], directions[:, -rank:]
    left, _, right = torch.linalg.svd(weight.double() @ axes, full_matrices=False)
    turn = left @ right
    white = turn @ (kept.clamp_min(FLOOR * float(kept[-1]) + 1e-12).rsqrt()[:, None] * axes.T)
    white *= weight.double().norm() / white.norm()
    projection.output.bias.copy_(-(white @ moments.mean))
    weight.copy_(white)
