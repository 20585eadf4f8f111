"""Exports of models that were not trained, and models of every kind of network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from cpc_core.checkpoint import save_checkpoint
from cpc_core.config import CpcConfig
from cpc_core.export import cpc_model
from cpc_core.export.layout import ExportConfig, split_weights
from cpc_core.export.writer import export_model
from cpc_core.model.cpc_model import CpcModel
from cpc_core.step import TrainState
from tests.helpers.configs import tiny_config

KINDS: dict[str, dict[str, Any]] = {
    "dense": {},
    "none": {"context": {"kernels": [2, 3, 4], "connections": "none"}},
    "residual": {"context": {"kernels": [2, 3, 4], "connections": "residual", "width": 8}},
    "concatenated": {
        "context": {"kernels": [2, 3], "connections": "dense_concat", "growth": 4, "width": 8}
    },
    "bottleneck": {
        "context": {"kernels": [2, 3], "connections": "dense_concat_bottleneck", "growth": 4}
    },
    "same": {
        "encoder": {"width": 6, "kernels": [5, 3, 1], "strides": [2, 2, 1], "padding": "same"}
    },
    "over time": {
        "encoder": {
            "width": 6,
            "kernels": [4, 4, 1],
            "strides": [2, 2, 1],
            "norm": "channels_and_time",
        },
        "context": {"kernels": [2, 3, 4], "norm": "channels_and_time"},
    },
}


def both(name: str) -> tuple[CpcModel, cpc_model.CpcEncoder]:
    """A model with weights that are none of the first ones, and the exported one."""
    config = tiny_config(**KINDS[name])
    model = CpcModel(config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    exported = cpc_model.CpcEncoder(ExportConfig.of(config).model_dump())
    weights, _ = split_weights(model.state_dict())
    exported.load_state_dict(weights)
    return model.eval(), exported.eval().requires_grad_(False)


def export(folder: Path, **encoder: object) -> Path:
    """Writes a checkpoint and an export of it into a folder, and returns the export's."""
    config = CpcConfig.model_validate({"encoder": {"width": 8, **encoder}})
    (folder / "checkpoint").mkdir(parents=True)
    state = TrainState.create(config, torch.device("cpu"))
    save_checkpoint(state, {}, folder / "checkpoint")
    export_model(folder / "checkpoint", folder / "model", {})
    return folder / "model"
