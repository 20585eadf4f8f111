"""Exports of models that were not trained."""

from __future__ import annotations

from pathlib import Path

import torch

from cpc_core.checkpoint import save_checkpoint
from cpc_core.config import CpcConfig
from cpc_core.export.writer import export_model
from cpc_core.step import TrainState


def export(folder: Path, **encoder: object) -> Path:
    """Writes a checkpoint and an export of it into a folder, and returns the export's."""
    config = CpcConfig.model_validate({"encoder": {"width": 8, **encoder}})
    (folder / "checkpoint").mkdir(parents=True)
    state = TrainState.create(config, torch.device("cpu"))
    save_checkpoint(state, {}, folder / "checkpoint")
    export_model(folder / "checkpoint", folder / "model", {})
    return folder / "model"
