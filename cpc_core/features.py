"""Clip features for probing: the time average of what the frozen model says (section 3.2)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from cpc_core.model import CpcModel


@torch.no_grad()
def clip_features(model: CpcModel, audio: Tensor, kind: Literal["context", "latent"], batch_size: int = 32) -> Tensor:
    """Features of whole clips.

    Args:
        model: A trained model.
        audio: `[N, L]` in [-1, 1], 16 kHz.
        kind: `context`: both directions' contexts, `[N, 2·C_c]`; `latent`: `[N, C]`.
        batch_size: Clips at once.

    Returns:
        `[N, D]` float32 on the CPU.
    """
    device = next(model.parameters()).device
    parts = []
    for part in audio.split(batch_size):
        features = model(part.to(device))
        parts.append((features.contexts if kind == "context" else features.latents).mean(dim=1).float().cpu())
    return torch.cat(parts)
