"""Checkpoints (to resume training) and exports (to use the model elsewhere).

An export is complete or absent; the caller replaces a checkpoint's folder likewise.
"""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from cpc_core.config import CpcConfig, canonical_json, upgraded
from cpc_core.errors import CheckpointError
from cpc_core.model.cpc_model import CpcModel
from cpc_core.step import TrainState

STATE_NAME = "state.pt"
CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"


@contextmanager
def _atomic_folder(folder: Path) -> Iterator[Path]:
    """Empty folder that replaces `folder` when the block ends without an error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def save_checkpoint(state: TrainState, history: dict[str, Any], folder: Path) -> None:
    """Writes all that the next step depends on into the existing `folder`."""
    content = {
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "step": state.step,
        "history": history,
    }
    torch.save(content, folder / STATE_NAME)
    (folder / CONFIG_NAME).write_text(canonical_json(state.config))


def load_checkpoint(state: TrainState, folder: Path) -> dict[str, Any]:
    """Restores `state` in place and returns the history saved with it.

    Raises:
        CheckpointError: The checkpoint is missing, damaged, or of another configuration.
    """
    saved, precision = read_config(folder), state.config.compute.precision
    if saved.compute.precision == "auto" and precision != "auto":
        saved = saved.at_precision(precision)
    if saved != state.config:
        raise CheckpointError(
            f"the checkpoint {folder} belongs to another configuration: "
            "use another output folder for this one"
        )
    device = next(state.model.parameters()).device
    try:
        content = torch.load(folder / STATE_NAME, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"the checkpoint {folder / STATE_NAME} cannot be read ({error}): "
            "delete the folder to start over"
        ) from error
    state.model.load_state_dict(content["model"])
    state.optimizer.load_state_dict(content["optimizer"])
    state.step = content["step"]
    history: dict[str, Any] = content["history"]
    return history


def read_config(folder: Path) -> CpcConfig:
    """Configuration of a checkpoint or an export, of this version or an earlier one.

    Raises:
        CheckpointError: There is no configuration, or it is not of this version.
    """
    path = folder / CONFIG_NAME
    try:
        return CpcConfig.model_validate(upgraded(json.loads(path.read_bytes())))
    except OSError as error:
        raise CheckpointError(
            f"{folder} is no checkpoint or export: it has no readable {CONFIG_NAME}"
        ) from error
    except (ValueError, AttributeError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise CheckpointError(f"{path} is not a configuration of this version: {first}") from error


def export_model(checkpoint: Path, out: Path, provenance: dict[str, Any]) -> None:
    """Writes an export of a checkpoint: weights as safetensors, configuration and provenance.

    Raises:
        CheckpointError: The checkpoint is missing or damaged.
    """
    config = read_config(checkpoint)
    state = TrainState.create(config, torch.device("cpu"))
    load_checkpoint(state, checkpoint)
    with _atomic_folder(out) as partial:
        weights = {name: tensor.contiguous() for name, tensor in state.model.state_dict().items()}
        save_file(weights, partial / WEIGHTS_NAME, metadata={"format": "pt"})
        (partial / CONFIG_NAME).write_text(canonical_json(config))
        (partial / "provenance.json").write_text(
            json.dumps({**provenance, "step": state.step}, indent=2)
        )


def load_model(folder: Path) -> CpcModel:
    """Model of an export, on the CPU.

    Raises:
        CheckpointError: The export is missing or damaged.
    """
    config = read_config(folder)
    model = CpcModel(config)
    try:
        model.load_state_dict(load_file(folder / WEIGHTS_NAME))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder / WEIGHTS_NAME} cannot be read ({error}): export the model again"
        ) from error
    return model.eval()
