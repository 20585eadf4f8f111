"""Exports, written whole or not at all, and the same bytes every time."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from cpc_core.checkpoint import load_checkpoint, read_config
from cpc_core.config import canonical_json
from cpc_core.errors import ConfigError
from cpc_core.export import cpc_model
from cpc_core.export.card import model_card
from cpc_core.export.formats import convert
from cpc_core.export.layout import (
    ADAM,
    CARD,
    CONFIG,
    FILES,
    FORMAT,
    MANIFEST,
    MODEL_CODE,
    OBJECTIVE,
    OLDER_FILES,
    OPTIMIZER,
    OPTIONAL_FILES,
    PREPROCESSING,
    PREPROCESSOR,
    PROVENANCE,
    TRAINING_CONFIG,
    VERIFICATION,
    WEIGHTS,
    ExportConfig,
    Format,
    split_weights,
)
from cpc_core.step import TrainState
from cpc_core.storage_path import StoragePath


def export_model(
    checkpoint: Path,
    out: str | Path | StoragePath,
    provenance: dict[str, Any],
    formats: Collection[Format] = (),
    *,
    optimizer: bool = False,
) -> None:
    """Writes an export of a checkpoint.

    Args:
        checkpoint: Of a trial.
        out: The folder, a path or a URI; an export in it is replaced. In a store the manifest is
            written last: without it there is no export.
        provenance: The trial, and how it was chosen.
        formats: The model's other forms.
        optimizer: True for the optimizer's state, too.

    Raises:
        CheckpointError: The checkpoint is missing or damaged.
        ConfigError: There is something at `out` that is no export, or the model has no such form.
    """
    target = StoragePath.of(out)
    if target.exists() or (target.is_local and Path(target).is_symlink()):
        require_replaceable(target)
    config = read_config(checkpoint)
    state = TrainState.create(config, torch.device("cpu"))
    load_checkpoint(state, checkpoint)
    weights, objective = split_weights(state.model.state_dict())
    settings = ExportConfig.of(config)
    told = {**provenance, "step": state.step}
    files = {
        CARD: model_card(settings, told, formats).encode(),
        CONFIG: _json(settings.model_dump(mode="json")),
        MODEL_CODE: Path(cpc_model.__file__).read_bytes(),
        WEIGHTS: save(weights, metadata={"format": "pt"}),
        PREPROCESSOR: _json(PREPROCESSING),
        PROVENANCE: _json(told),
        TRAINING_CONFIG: canonical_json(config).encode(),
        OBJECTIVE: save(objective, metadata={"format": "pt"}),
    }
    if optimizer:
        files[OPTIMIZER] = save(_optimizer(state), metadata={"format": "pt"})
    if formats:
        encoder = cpc_model.CpcEncoder(settings.model_dump())
        encoder.load_state_dict(weights)
        converted, verified = convert(encoder.eval().requires_grad_(False), sorted(formats))
        files |= {**converted, VERIFICATION: _json(verified)}
    hashes = {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}
    files[MANIFEST] = _json({"format": FORMAT, "sha256": hashes})
    if target.is_local:
        with _atomic_folder(Path(target)) as partial:
            for name, content in files.items():
                (partial / name).parent.mkdir(exist_ok=True)
                (partial / name).write_bytes(content)
        return
    for name in (MANIFEST, *(each for each in OPTIONAL_FILES if each not in files)):
        (target / name).remove()
    for name, content in files.items():
        (target / name).write_bytes(content)


def _optimizer(state: TrainState) -> dict[str, Tensor]:
    """Adam's state of every parameter, by entry and name."""
    if state.step == 0:
        raise ConfigError("the trial has taken no step: there is no optimizer's state to export")
    return {
        f"{entry}.{name}": state.optimizer.state[parameter][entry].contiguous()
        for name, parameter in state.model.named_parameters()
        for entry in ADAM
    }


def require_replaceable(target: StoragePath) -> None:
    """Checks that a new export removes nothing but an old one.

    Raises:
        ConfigError: The path is a file, a link, or a folder with anything else in it.
    """
    if target.is_local:
        folder = Path(target)
        if folder.is_symlink() or not folder.is_dir():
            raise ConfigError(
                f"{folder} is no folder, so it is not overwritten: choose another one"
            )
        if Path.cwd().is_relative_to(folder.resolve()):
            raise ConfigError(f"{folder} is the folder that this runs in: choose another one")
        names = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}
    else:
        names = set(target.walk_files())
    known = {*FILES, *OPTIONAL_FILES, MANIFEST}
    needed = {*FILES, MANIFEST} if MANIFEST in names else {*OLDER_FILES}
    others = names - (known if MANIFEST in names else needed)
    # An empty folder inside is nothing that anybody misses.
    if names and (not names >= needed or others):
        raise ConfigError(
            f"{target} is not an export, so it is not overwritten: it has "
            f"{min(others, default='not all files of one')}; choose another folder"
        )


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"


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
