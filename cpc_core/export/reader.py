"""Exports, read strictly: every hash is checked, nothing is unpickled, and nothing is executed."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor

from cpc_core.errors import CheckpointError
from cpc_core.export.cpc_model import CpcEncoder
from cpc_core.export.layout import (
    ADAM,
    CONFIG,
    MANIFEST,
    OBJECTIVE,
    OPTIMIZER,
    TRAINING_CONFIG,
    WEIGHTS,
    ExportConfig,
    joined_weights,
    split_weights,
)
from cpc_core.export.manifest import (
    damaged,
    older_config,
    parsed_config,
    read_file,
    read_hashes,
    read_training_config,
    verified,
)
from cpc_core.model.cpc_model import CpcModel


def read_settings(folder: Path) -> ExportConfig:
    """Architecture of an export.

    Raises:
        CheckpointError: It is missing, damaged, or not an export.
        ConfigError: It is of a newer format.
    """
    hashes = read_hashes(folder)
    return ExportConfig.of(older_config(folder)) if hashes is None else _settings(folder, hashes)


def read_encoder(folder: Path) -> CpcEncoder:
    """The encoder of an export, on the CPU, for inference.

    Raises:
        CheckpointError: It is missing, damaged, or not an export.
        ConfigError: It is of a newer format.
    """
    settings, hashes, path = read_settings(folder), read_hashes(folder), folder / WEIGHTS
    if hashes is None:
        weights, _ = split_weights(_weights(read_file(path), path))
        return _encoder(settings, weights, path)
    return _encoder(settings, verified(folder, WEIGHTS, hashes), path)


def read_model(folder: Path) -> CpcModel:
    """The whole trained model of an export, objective included, on the CPU.

    Raises:
        CheckpointError: It is missing, damaged, or not an export.
        ConfigError: It is of a newer format.
    """
    config = read_training_config(folder)
    hashes = read_hashes(folder)
    with torch.device("meta"):
        model = CpcModel(config)
    shapes = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    if hashes is None:
        path = folder / WEIGHTS
        weights = _weights(read_file(path), path, shapes)
    else:
        expected, of_objective = (
            {name: tuple(weight.shape) for name, weight in part.items()}
            for part in split_weights(model.state_dict())
        )
        weights = joined_weights(
            _weights(verified(folder, WEIGHTS, hashes), folder / WEIGHTS, expected),
            _weights(verified(folder, OBJECTIVE, hashes), folder / OBJECTIVE, of_objective),
        )
    model.load_state_dict(weights, assign=True)
    return model.eval()


def read_optimizer(folder: Path, model: CpcModel) -> dict[str, dict[str, Tensor]]:
    """Adam's state of each of a model's parameters; empty for an export without it.

    Raises:
        CheckpointError: It is damaged.
        ConfigError: It is of a newer format.
    """
    hashes = read_hashes(folder)
    if hashes is None or OPTIMIZER not in hashes:
        return {}
    shapes = {
        f"{entry}.{name}": () if entry == "step" else tuple(parameter.shape)
        for name, parameter in model.named_parameters()
        for entry in ADAM
    }
    found = _weights(verified(folder, OPTIMIZER, hashes), folder / OPTIMIZER, shapes)
    return {
        name: {entry: found[f"{entry}.{name}"] for entry in ADAM}
        for name, _ in model.named_parameters()
    }


def verify(folder: Path) -> list[str]:
    """Checks every file of an export, and returns their names.

    Raises:
        CheckpointError: One is missing or not as it was written.
        ConfigError: It is of a newer format.
    """
    hashes = read_hashes(folder)
    if hashes is None:
        older_config(folder)  # A folder that is no export at all is told so.
        raise CheckpointError(
            f"{folder} has no {MANIFEST}: it is of an older version; export again"
        )
    for name in hashes:
        verified(folder, name, hashes)
    read_encoder(folder)
    read_optimizer(folder, read_model(folder))
    return sorted(hashes)


def _settings(folder: Path, hashes: Mapping[str, str]) -> ExportConfig:
    """Raises CheckpointError where the architecture is not that of the training's configuration."""
    path = folder / CONFIG
    trained = parsed_config(verified(folder, TRAINING_CONFIG, hashes), folder / TRAINING_CONFIG)
    try:
        settings = ExportConfig.model_validate_json(verified(folder, CONFIG, hashes))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise damaged(path, f"{place}: {first['msg']}" if place else first["msg"]) from error
    if settings != ExportConfig.of(trained):
        raise damaged(path, f"it is not the model of {TRAINING_CONFIG}")
    return settings


def _encoder(settings: ExportConfig, weights: bytes | dict[str, Tensor], path: Path) -> CpcEncoder:
    with torch.device("meta"):
        encoder = CpcEncoder(settings.model_dump())
    shapes = {name: tuple(weight.shape) for name, weight in encoder.state_dict().items()}
    read = weights if isinstance(weights, dict) else _weights(weights, path, shapes)
    if {name: tuple(weight.shape) for name, weight in read.items()} != shapes:
        raise damaged(path, "its weights are not those of its configuration")
    encoder.load_state_dict(read, assign=True)
    return encoder.eval().requires_grad_(False)


def _weights(
    content: bytes, path: Path, shapes: Mapping[str, tuple[int, ...]] | None = None
) -> dict[str, Tensor]:
    """Weights of safetensors, whose header is compared with the shapes before memory is taken."""
    try:
        (length,) = struct.unpack("<Q", content[:8])
        header: dict[str, Any] = json.loads(content[8 : 8 + min(length, len(content))])
        header.pop("__metadata__", None)
        found = {name: tuple(entry["shape"]) for name, entry in header.items()}
        kinds = {entry["dtype"] for entry in header.values()}
    except (struct.error, ValueError, LookupError, TypeError, AttributeError) as error:
        raise damaged(path, f"no safetensors ({error})") from error
    if kinds != {"F32"}:
        raise damaged(path, f"its weights are {', '.join(sorted(map(str, kinds)))}, not F32")
    if shapes is not None and found != shapes:
        name = min({*found.items()} ^ {*shapes.items()})[0]
        raise damaged(path, f"{name} is not as its configuration says")
    if 4 * sum(map(prod, found.values())) > len(content):
        raise damaged(path, "it is shorter than its header says")
    try:
        weights = load_tensors(content)
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise damaged(path, str(error)) from error
    for name, weight in weights.items():
        if not weight.isfinite().all():
            raise damaged(path, f"{name} has values that are not finite")
    return weights
