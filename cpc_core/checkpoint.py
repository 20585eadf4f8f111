"""Checkpoints (to resume training) and exports (to use the model elsewhere).

An export is complete or absent; the caller replaces a checkpoint's folder likewise.
"""

from __future__ import annotations

import hashlib
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
from safetensors.torch import load_file, save

from cpc_core.config import CpcConfig, canonical_json, upgraded
from cpc_core.errors import CheckpointError, ConfigError
from cpc_core.model.cpc_model import CpcModel
from cpc_core.step import TrainState

STATE_NAME = "state.pt"
STATE_HASH_NAME = "state.sha256"
"""SHA-256 of the state: PyTorch reads weights with flipped bits without a word."""

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
PROVENANCE_NAME = "provenance.json"
HASHES_NAME = "manifest.json"


@contextmanager
def _atomic_folder(folder: Path) -> Iterator[Path]:
    """Empty folder that replaces `folder` when the block ends without an error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial, before = (folder.with_name(f".{folder.name}.{part}") for part in ("partial", "old"))
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        if folder.exists():
            folder.rename(before)
        partial.rename(folder)
        shutil.rmtree(before, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def require_replaceable(folder: Path) -> None:
    """Checks that a new export removes nothing but an old one.

    Raises:
        ConfigError: The path is a file, a link, or a folder with anything else in it.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise ConfigError(f"{folder} is no folder, so it is not overwritten: choose another one")
    if Path.cwd().is_relative_to(folder.resolve()):
        raise ConfigError(f"{folder} is the folder that this runs in: choose another one")
    names = {path.name for path in folder.iterdir()}
    exported = {WEIGHTS_NAME, CONFIG_NAME, PROVENANCE_NAME}
    others = names - exported - {HASHES_NAME}
    if names and (not names >= exported or others):
        raise ConfigError(
            f"{folder} is not an export, so it is not overwritten: it has "
            f"{min(others, default='not all files of one')}; choose another folder"
        )


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
        ConfigError: There is something at `out` that is no export.
    """
    out = out.absolute()
    if out.exists() or out.is_symlink():
        require_replaceable(out)
    config = read_config(checkpoint)
    state = TrainState.create(config, torch.device("cpu"))
    load_checkpoint(state, checkpoint)
    with _atomic_folder(out) as partial:
        weights = {name: tensor.contiguous() for name, tensor in state.model.state_dict().items()}
        # As bytes: safetensors' own file would be readable for its owner alone.
        (partial / WEIGHTS_NAME).write_bytes(save(weights, metadata={"format": "pt"}))
        (partial / CONFIG_NAME).write_text(canonical_json(config))
        (partial / PROVENANCE_NAME).write_text(
            json.dumps({**provenance, "step": state.step}, indent=2)
        )
        hashes = {path.name: _sha256(path) for path in sorted(partial.iterdir())}
        (partial / HASHES_NAME).write_text(json.dumps({"format": 1, "sha256": hashes}, indent=2))


def _verify_export(folder: Path) -> None:
    """Raises CheckpointError where a file is not as it was exported; older ones have no hashes."""
    path = folder / HASHES_NAME
    if not path.exists():
        return
    try:
        hashes = json.loads(path.read_bytes())["sha256"]
        changed = [name for name, written in hashes.items() if _sha256(folder / name) != written]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}): export the model again") from error
    if changed:
        raise CheckpointError(
            f"{folder / changed[0]} is not as it was exported: export the model again"
        )


def load_model(folder: Path) -> CpcModel:
    """Model of an export, on the CPU.

    Raises:
        CheckpointError: The export is missing or damaged.
    """
    _verify_export(folder)
    config = read_config(folder)
    model = CpcModel(config)
    try:
        model.load_state_dict(load_file(folder / WEIGHTS_NAME))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder / WEIGHTS_NAME} cannot be read ({error}): export the model again"
        ) from error
    return model.eval()
