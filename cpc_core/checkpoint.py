"""Checkpoints, from which a training resumes; a caller makes their folders appear whole."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from cpc_core.config import CpcConfig, canonical_json, upgraded
from cpc_core.errors import CheckpointError
from cpc_core.step import TrainState

STATE_NAME = "state.pt"
STATE_HASH_NAME = "state.sha256"
"""SHA-256 of the state: PyTorch reads weights with flipped bits without a word."""

CONFIG_NAME = "config.json"


def save_checkpoint(state: TrainState, history: dict[str, Any], folder: Path) -> None:
    """Writes all that the next step depends on into the existing `folder`."""
    content = {
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "step": state.step,
        "history": history,
    }
    with (folder / STATE_NAME).open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:
            # PyTorch closes its archive after a failed write, and complains about its length.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise
    (folder / STATE_HASH_NAME).write_text(f"{_sha256(folder / STATE_NAME)}\n", encoding="ascii")
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
        _verify_state(folder)
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


def _verify_state(folder: Path) -> None:
    """Raises ValueError where the state is not as it was written; older ones have no hash."""
    path = folder / STATE_HASH_NAME
    if path.exists() and path.read_bytes().strip() != _sha256(folder / STATE_NAME).encode():
        raise ValueError("its bytes are not those that were written")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_config(folder: Path) -> CpcConfig:
    """Configuration of a checkpoint, of this version or an earlier one.

    Raises:
        CheckpointError: There is no configuration, or it is not of this version.
    """
    path = folder / CONFIG_NAME
    try:
        return CpcConfig.model_validate(upgraded(json.loads(path.read_bytes())))
    except OSError as error:
        raise CheckpointError(
            f"{folder} is no checkpoint: it has no readable {CONFIG_NAME}"
        ) from error
    except (ValueError, AttributeError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise CheckpointError(f"{path} is not a configuration of this version: {first}") from error
