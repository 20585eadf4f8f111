"""Exports, read strictly: every hash is checked, nothing is unpickled, and nothing is executed."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor

from cpc_core.config import CpcConfig, upgraded
from cpc_core.errors import CheckpointError, ConfigError
from cpc_core.export.cpc_model import CpcEncoder
from cpc_core.export.layout import (
    CONFIG,
    FILES,
    FORMAT,
    MANIFEST,
    OBJECTIVE,
    PROVENANCE,
    TRAINING_CONFIG,
    VERIFICATION,
    WEIGHTS,
    ExportConfig,
    joined_weights,
    split_weights,
)
from cpc_core.model.cpc_model import CpcModel
from cpc_core.storage_path import StoragePath, with_retries

LARGEST_JSON = 16 * 2**20
"""Bytes of a manifest that is read at all."""


@contextmanager
def local_export(place: str | Path | StoragePath, *optional: str) -> Iterator[Path]:
    """An export as a folder of this machine; of one in a store, a copy for the block.

    Args:
        place: The folder, a path or a URI.
        optional: Files beyond those of every export that a copy has, too, where they are there.

    Raises:
        CheckpointError: There is none.
        ConfigError: It is of a newer format.
    """
    source = StoragePath.of(place)
    if source.is_local:
        yield Path(source)
        return
    with TemporaryDirectory(prefix="cpc-export-") as name:
        folder = Path(name)
        _copy(source, MANIFEST, folder)
        hashes = _hashes(folder) or {}
        for file in (*FILES, *(each for each in optional if each in hashes)):
            _copy(source, file, folder)
        yield folder


def _copy(source: StoragePath, file: str, folder: Path) -> None:
    target = folder / file
    target.parent.mkdir(exist_ok=True)
    try:
        target.write_bytes(with_retries(source, (source / file).read_bytes))
    except OSError as error:
        raise CheckpointError(
            f"{source} is no export: {file} cannot be read "
            f"({error.strerror or type(error).__name__})"
        ) from error


def read_settings(folder: Path) -> ExportConfig:
    """Architecture of an export.

    Raises:
        CheckpointError: It is missing, damaged, or not an export.
        ConfigError: It is of a newer format.
    """
    hashes = _hashes(folder)
    return ExportConfig.of(_older_config(folder)) if hashes is None else _settings(folder, hashes)


def read_provenance(folder: Path) -> dict[str, Any]:
    """Provenance of an export: the trial, and how it was chosen.

    Raises:
        CheckpointError: It is missing, damaged, or not an export.
        ConfigError: It is of a newer format.
    """
    hashes, path = _hashes(folder), folder / PROVENANCE
    content = _bytes(path) if hashes is None else _verified(folder, PROVENANCE, hashes)
    return _json(content, path)


def read_verification(folder: Path) -> dict[str, Any]:
    """Verification of each form of the model beside the weights; empty where there is none.

    Raises:
        CheckpointError: It is damaged, or this is not an export.
        ConfigError: It is of a newer format.
    """
    hashes = _hashes(folder)
    if hashes is None or VERIFICATION not in hashes:
        return {}
    return _json(_verified(folder, VERIFICATION, hashes), folder / VERIFICATION)


def read_encoder(folder: Path) -> CpcEncoder:
    """The encoder of an export, on the CPU, for inference.

    Raises:
        CheckpointError: It is missing, damaged, or not an export.
        ConfigError: It is of a newer format.
    """
    settings, hashes, path = read_settings(folder), _hashes(folder), folder / WEIGHTS
    if hashes is None:
        weights, _ = split_weights(_weights(_bytes(path), path))
        return _encoder(settings, weights, path)
    return _encoder(settings, _verified(folder, WEIGHTS, hashes), path)


def read_model(folder: Path) -> CpcModel:
    """The whole trained model of an export, objective included, on the CPU.

    Raises:
        CheckpointError: It is missing, damaged, or not an export.
        ConfigError: It is of a newer format.
    """
    config = read_training_config(folder)
    hashes = _hashes(folder)
    with torch.device("meta"):
        model = CpcModel(config)
    shapes = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    if hashes is None:
        path = folder / WEIGHTS
        weights = _weights(_bytes(path), path, shapes)
    else:
        expected, of_objective = (
            {name: tuple(weight.shape) for name, weight in part.items()}
            for part in split_weights(model.state_dict())
        )
        weights = joined_weights(
            _weights(_verified(folder, WEIGHTS, hashes), folder / WEIGHTS, expected),
            _weights(_verified(folder, OBJECTIVE, hashes), folder / OBJECTIVE, of_objective),
        )
    model.load_state_dict(weights, assign=True)
    return model.eval()


def read_training_config(folder: Path) -> CpcConfig:
    """The whole configuration of an export.

    Raises:
        CheckpointError: It is missing, damaged, or not an export.
        ConfigError: It is of a newer format.
    """
    hashes = _hashes(folder)
    if hashes is None:
        return _older_config(folder)
    return _parsed_config(_verified(folder, TRAINING_CONFIG, hashes), folder / TRAINING_CONFIG)


def verify(folder: Path) -> list[str]:
    """Checks every file of an export, and returns their names.

    Raises:
        CheckpointError: One is missing or not as it was written.
        ConfigError: It is of a newer format.
    """
    hashes = _hashes(folder)
    if hashes is None:
        _older_config(folder)  # A folder that is no export at all is told so.
        raise CheckpointError(
            f"{folder} has no {MANIFEST}: it is of an older version; export again"
        )
    for name in hashes:
        _verified(folder, name, hashes)
    read_encoder(folder)
    read_model(folder)
    return sorted(hashes)


def _hashes(folder: Path) -> Mapping[str, str] | None:
    """Hash of each file; None for an export before format 1."""
    path = folder / MANIFEST
    if not path.exists() and not path.is_symlink():
        return None
    content = _json(_bytes(path, LARGEST_JSON), path)
    number = content.get("format")
    if isinstance(number, int) and not isinstance(number, bool) and number > FORMAT:
        raise ConfigError(
            f"{folder} has format {number}, this version reads up to {FORMAT}: install a newer "
            "cpc-study"
        )
    hashes = content.get("sha256")
    if number != FORMAT or not isinstance(hashes, dict):
        raise _damaged(path, "it is no manifest of an export")
    for name, digest in hashes.items():
        inside = PurePosixPath(name)
        if inside.is_absolute() or ".." in inside.parts or not isinstance(digest, str):
            raise _damaged(path, f"{name!r} is no file of an export")
    if missing := [name for name in FILES if name not in hashes]:
        raise _damaged(path, f"it does not name {missing[0]}")
    return hashes


def _verified(folder: Path, name: str, hashes: Mapping[str, str]) -> bytes:
    path = folder / name
    # The last parent is the export itself, which may well be reached by a link.
    above = [folder / part for part in PurePosixPath(name).parents[:-1]]
    if any(part.is_symlink() for part in (path, *above)):
        raise _damaged(path, "it is a link")
    content = _bytes(path)
    if hashlib.sha256(content).hexdigest() != hashes[name]:
        raise _damaged(path, "its bytes are not those that were exported")
    return content


def _settings(folder: Path, hashes: Mapping[str, str]) -> ExportConfig:
    """Raises CheckpointError where the architecture is not that of the training's configuration."""
    path = folder / CONFIG
    trained = _parsed_config(_verified(folder, TRAINING_CONFIG, hashes), folder / TRAINING_CONFIG)
    try:
        settings = ExportConfig.model_validate_json(_verified(folder, CONFIG, hashes))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise _damaged(path, f"{place}: {first['msg']}" if place else first["msg"]) from error
    if settings != ExportConfig.of(trained):
        raise _damaged(path, f"it is not the model of {TRAINING_CONFIG}")
    return settings


def _encoder(settings: ExportConfig, weights: bytes | dict[str, Tensor], path: Path) -> CpcEncoder:
    with torch.device("meta"):
        encoder = CpcEncoder(settings.model_dump())
    shapes = {name: tuple(weight.shape) for name, weight in encoder.state_dict().items()}
    read = weights if isinstance(weights, dict) else _weights(weights, path, shapes)
    if {name: tuple(weight.shape) for name, weight in read.items()} != shapes:
        raise _damaged(path, "its weights are not those of its configuration")
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
        raise _damaged(path, f"no safetensors ({error})") from error
    if kinds != {"F32"}:
        raise _damaged(path, f"its weights are {', '.join(sorted(map(str, kinds)))}, not F32")
    if shapes is not None and found != shapes:
        name = min({*found.items()} ^ {*shapes.items()})[0]
        raise _damaged(path, f"{name} is not as its configuration says")
    if 4 * sum(map(prod, found.values())) > len(content):
        raise _damaged(path, "it is shorter than its header says")
    try:
        weights = load_tensors(content)
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise _damaged(path, str(error)) from error
    for name, weight in weights.items():
        if not weight.isfinite().all():
            raise _damaged(path, f"{name} has values that are not finite")
    return weights


def _older_config(folder: Path) -> CpcConfig:
    return _parsed_config(_bytes(folder / CONFIG), folder / CONFIG)


def _parsed_config(content: bytes, path: Path) -> CpcConfig:
    try:
        return CpcConfig.model_validate(upgraded(json.loads(content)))
    except (ValueError, AttributeError, TypeError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise CheckpointError(f"{path} is not a configuration of this version: {first}") from error


def _json(content: bytes, path: Path) -> dict[str, Any]:
    try:
        told = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(told, dict):
        raise _damaged(path, "it is no JSON object")
    return told


def _bytes(path: Path, largest: int | None = None) -> bytes:
    try:
        if largest is not None and path.stat().st_size > largest:
            raise _damaged(path, f"it is larger than {largest >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{path.parent} is no export: {path.name} cannot be read "
            f"({error.strerror or type(error).__name__})"
        ) from error


def _damaged(path: Path, problem: str) -> CheckpointError:
    return CheckpointError(f"{path} is damaged ({problem}): export the model again")
