"""Precision and compilation of a step."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from cpc_core.config import ComputeConfig
from cpc_core.model.cpc_model import CpcModel


def precision(config: ComputeConfig, device: torch.device) -> AbstractContextManager[None]:
    """Context of a step's forward passes: bfloat16 autocast where it is configured."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.precision == "bfloat16")


def compile_networks(model: CpcModel) -> None:
    """Compiles the encoder and both context networks in place, at their first call; names of
    weights stay.
    """
    for network in (model.encoder, model.future_context, model.past_context):
        network.compile()
