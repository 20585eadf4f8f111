"""Files of an export, each checked against its hash, and read without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import ValidationError

from cpc_core.config import CpcConfig, upgraded
from cpc_core.errors import CheckpointError, ConfigError
from cpc_core.export.layout import (
    CONFIG,
    FILES,
    FORMAT,
    MANIFEST,
    PROVENANCE,
    TRAINING_CONFIG,
    VERIFICATION,
    WEIGHTS,
)
from cpc_core.export.named import export_named, is_name
from cpc_core.storage_path import StoragePath, with_retries

_CHECKPOINT = "state.pt"
"""File by which a checkpoint is known: `cpc_core.checkpoint`, which names it, imports torch."""

LARGEST_JSON = 16 * 2**20
"""Bytes of a manifest that is read at all."""


@contextmanager
def local_export(model: str | Path | StoragePath, *optional: str) -> Iterator[Path]:
    """An export as a folder of this machine; for the block a copy of one in a store, or an export
    of a model that is named otherwise.

    Args:
        model: A folder or a URI; a checkpoint's folder; a study's model, such as demo:best.
        optional: Files beyond those of every export that a copy has, too, where they are there.

    Raises:
        CheckpointError: There is none.
        ConfigError: It is of a newer format.
        CpcError: There is no such study or trial.
    """
    with TemporaryDirectory(prefix="cpc-export-") as name:
        folder = Path(name) / "export"
        if isinstance(model, str) and is_name(model):
            export_named(model, folder)
            yield folder
            return
        source = StoragePath.of(model)
        if not source.is_local:
            _copy(source, MANIFEST, folder)
            hashes = read_hashes(folder) or {}
            for file in (*FILES, *(each for each in optional if each in hashes)):
                _copy(source, file, folder)
            yield folder
        elif (Path(source) / _CHECKPOINT).is_file():
            from cpc_core.export.writer import export_model  # With torch.

            export_model(Path(source), folder, {})
            yield folder
        else:
            yield Path(source)


def _copy(source: StoragePath, file: str, folder: Path) -> None:
    target = folder / file
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.write_bytes(with_retries(source, (source / file).read_bytes))
    except OSError as error:
        raise CheckpointError(
            f"{source} is no export: {file} cannot be read "
            f"({error.strerror or type(error).__name__})"
        ) from error


def export_id(folder: Path) -> str:
    """SHA-256 of an export's manifest, which covers every file; of its weights before format 1.

    Raises:
        CheckpointError: It is missing, or not an export.
        ConfigError: It is of a newer format.
    """
    name = WEIGHTS if read_hashes(folder) is None else MANIFEST
    return hashlib.sha256(read_file(folder / name)).hexdigest()


def read_provenance(folder: Path) -> dict[str, Any]:
    """Provenance of an export: the trial, and how it was chosen.

    Raises:
        CheckpointError: It is missing, damaged, or not an export.
        ConfigError: It is of a newer format.
    """
    hashes, path = read_hashes(folder), folder / PROVENANCE
    content = read_file(path) if hashes is None else verified(folder, PROVENANCE, hashes)
    return _json(content, path)


def read_verification(folder: Path) -> dict[str, Any]:
    """Verification of each form of the model beside the weights; empty where there is none.

    Raises:
        CheckpointError: It is damaged, or this is not an export.
        ConfigError: It is of a newer format.
    """
    hashes = read_hashes(folder)
    if hashes is None or VERIFICATION not in hashes:
        return {}
    return _json(verified(folder, VERIFICATION, hashes), folder / VERIFICATION)


def read_training_config(folder: Path) -> CpcConfig:
    """The whole configuration of an export.

    Raises:
        CheckpointError: It is missing, damaged, or not an export.
        ConfigError: It is of a newer format.
    """
    hashes = read_hashes(folder)
    if hashes is None:
        return older_config(folder)
    return parsed_config(verified(folder, TRAINING_CONFIG, hashes), folder / TRAINING_CONFIG)


def read_hashes(folder: Path) -> Mapping[str, str] | None:
    """Hash of each file; None for an export before format 1."""
    path = folder / MANIFEST
    if not path.exists() and not path.is_symlink():
        return None
    content = _json(read_file(path, LARGEST_JSON), path)
    number = content.get("format")
    if isinstance(number, int) and not isinstance(number, bool) and number > FORMAT:
        raise ConfigError(
            f"{folder} has format {number}, this version reads up to {FORMAT}: install a newer "
            "cpc-study"
        )
    hashes = content.get("sha256")
    if number != FORMAT or not isinstance(hashes, dict):
        raise damaged(path, "it is no manifest of an export")
    for name, digest in hashes.items():
        inside = PurePosixPath(name)
        if inside.is_absolute() or ".." in inside.parts or not isinstance(digest, str):
            raise damaged(path, f"{name!r} is no file of an export")
    if missing := [name for name in FILES if name not in hashes]:
        raise damaged(path, f"it does not name {missing[0]}")
    return hashes


def verified(folder: Path, name: str, hashes: Mapping[str, str]) -> bytes:
    """Content of a file, which is as it was exported.

    Raises:
        CheckpointError: It is not, or it is missing or a link.
    """
    path = folder / name
    # The last parent is the export itself, which may well be reached by a link.
    above = [folder / part for part in PurePosixPath(name).parents[:-1]]
    if any(part.is_symlink() for part in (path, *above)):
        raise damaged(path, "it is a link")
    content = read_file(path)
    if hashlib.sha256(content).hexdigest() != hashes[name]:
        raise damaged(path, "its bytes are not those that were exported")
    return content


def older_config(folder: Path) -> CpcConfig:
    """Configuration of an export before format 1.

    Raises:
        CheckpointError: It is missing or damaged.
    """
    return parsed_config(read_file(folder / CONFIG), folder / CONFIG)


def parsed_config(content: bytes, path: Path) -> CpcConfig:
    """Configuration in the content of a file, of this version or an earlier one.

    Raises:
        CheckpointError: It is none.
    """
    try:
        return CpcConfig.model_validate(upgraded(json.loads(content)))
    except (ValueError, AttributeError, TypeError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise CheckpointError(f"{path} is not a configuration of this version: {first}") from error


def _json(content: bytes, path: Path) -> dict[str, Any]:
    try:
        told = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise damaged(path, str(error)) from error
    if not isinstance(told, dict):
        raise damaged(path, "it is no JSON object")
    return told


def read_file(path: Path, largest: int | None = None) -> bytes:
    """Content of a file, of `largest` bytes at most.

    Raises:
        CheckpointError: It cannot be read, or is larger.
    """
    try:
        if largest is not None and path.stat().st_size > largest:
            raise damaged(path, f"it is larger than {largest >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{path.parent} is no export: {path.name} cannot be read "
            f"({error.strerror or type(error).__name__})"
        ) from error


def damaged(path: Path, problem: str) -> CheckpointError:
    """The error of a file that is not as it was exported."""
    return CheckpointError(f"{path} is damaged ({problem}): export the model again")
