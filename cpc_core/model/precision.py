"""Precision and compilation of a training."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

import torch
import torch._functorch.config

from cpc_core.config import ComputeConfig, Precision
from cpc_core.model.cpc_model import CpcModel


def precision(config: ComputeConfig, device: torch.device) -> AbstractContextManager[None]:
    """Context of a step's forward passes: bfloat16 autocast where it is configured."""
    return torch.autocast(
        device.type, dtype=torch.bfloat16, enabled=chosen_precision(config, device) == "bfloat16"
    )


def chosen_precision(config: ComputeConfig, device: torch.device) -> Precision:
    """The configured precision; of `auto`, what is faster on `device`.

    Without its instructions bfloat16 is emulated: slower than float32, and no more accurate.
    """
    if config.precision != "auto":
        return config.precision
    if device.type == "cuda":
        quick = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        # Earlier versions of PyTorch do not say what a CPU has.
        instructions: Mapping[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
        quick = any(instructions.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))
    return "bfloat16" if quick else "float32"


def set_tf32(config: ComputeConfig) -> None:
    """Allows or forbids TF32 in the float32 products and convolutions of this process."""
    torch.backends.cuda.matmul.allow_tf32 = config.tf32
    torch.backends.cudnn.allow_tf32 = config.tf32


def compile_networks(model: CpcModel) -> None:
    """Compiles the encoder and both context networks in place, at their first call; names of
    weights stay.
    """
    # Two backward passes cross the clean pass's graph, the adversary's and the update's: the first
    # must not overwrite what it reads. PyTorch's error message names this switch and no other; its
    # cache on disk keeps code for both values apart.
    torch._functorch.config.donated_buffer = False
    for network in (model.encoder, model.future_context, model.past_context):
        network.compile()
