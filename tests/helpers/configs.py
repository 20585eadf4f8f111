"""A configuration small enough for exact arithmetic, and audio for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from cpc_core.clean_pass import CleanPass
from cpc_core.config import CpcConfig
from cpc_core.corpus.reading.batches import Batch
from cpc_core.model.cpc_model import CpcModel
from cpc_core.objective.negatives import Pool, draw_negatives
from cpc_core.stateless_random import Key, Purpose


def tiny_config(**changes: Any) -> CpcConfig:
    """Hop 4, patch 10, three context layers: first safe step 3, as in the paper's network."""
    base: dict[str, Any] = {
        "data": {"batch_size": 4},
        "encoder": {"width": 6, "kernels": [4, 4, 1], "strides": [2, 2, 1]},
        "context": {"kernels": [2, 3, 4]},
        "similarity": {"kind": "nonlinear_cosine", "hidden": 5},
        "objective": {"first_step": 3, "n_steps": 2},
        "optimizer": {"learning_rate": 1e-3, "final_learning_rate": 1e-5, "warmup_steps": 2},
        "training": {"steps": 8, "report_every": 4, "dev_clips": 8},
    }
    compute = {"precision": "float32", **changes.get("compute", {})}
    return CpcConfig.model_validate({**base, **changes, "compute": compute})


def noise(clips: int, samples: int, seed: int = 0) -> Tensor:
    """Audio-like noise `[clips, samples]`."""
    return torch.randn(clips, samples, generator=torch.Generator().manual_seed(seed)) * 0.1


def tiny_batch(
    clips: int = 4, samples: int = 80, step: int = 0, dtype: torch.dtype = torch.float32
) -> Batch:
    """A batch of noise with clip ids that are no positions."""
    return Batch(step, torch.arange(clips) * 7 + 3, noise(clips, samples).to(dtype))


def tiny_clean_pass(config: CpcConfig, model: CpcModel, audio: Tensor, step: int = 0) -> CleanPass:
    """The first half of Algorithm 1 on `audio` `[B, L]`."""
    ids = torch.arange(len(audio)) * 7 + 3
    frames = config.geometry.frames(audio.shape[1])
    drawn = draw_negatives(
        Key(config.seed, step, Purpose.NEGATIVES),
        ids,
        Pool(len(ids)),
        frames,
        config.objective.n_steps,
        config.negatives,
    )
    return CleanPass.compute(model, audio, drawn, ids, seed=config.seed, step=step)


def kept_for_backward(run: Callable[[], object]) -> list[int]:
    """Sizes of the tensors that `run` keeps for its backward pass."""
    sizes: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run()
    return sizes
