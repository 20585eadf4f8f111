"""Exports as first weights: their identity, and the trials that they fit; read without torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cpc_core.config import CpcConfig, InitialisationConfig
from cpc_core.errors import CheckpointError, ConfigError
from cpc_core.export.layout import MANIFEST, OBJECTIVE, OPTIMIZER, WEIGHTS
from cpc_core.export.manifest import local_export, read_hashes, read_training_config
from cpc_core.storage_path import StoragePath


@dataclass(frozen=True)
class FirstWeights:
    """An export to start from.

    Attributes:
        hash: SHA-256 over the hashes of its weights, the objective's and the optimizer's.
        config: The configuration that it was trained with.
    """

    hash: str
    config: CpcConfig


def read_first_weights(place: str | Path | StoragePath) -> FirstWeights:
    """Identity and configuration of an export.

    Raises:
        CheckpointError: It is missing, damaged, of an older version, or not an export.
        ConfigError: It is of a newer format.
    """
    with local_export(place) as folder:
        return FirstWeights(weights_hash(folder), read_training_config(folder))


def weights_hash(folder: Path) -> str:
    """Identity of the weights in an export.

    Raises:
        CheckpointError: It is missing, damaged, of an older version, or not an export.
        ConfigError: It is of a newer format.
    """
    hashes = read_hashes(folder)
    if hashes is None:
        read_training_config(folder)  # A folder that is no export at all is told so.
        raise CheckpointError(
            f"{folder} has no {MANIFEST}: it is of an older version; export again to start from it"
        )
    parts = [hashes[name] for name in (WEIGHTS, OBJECTIVE, OPTIMIZER) if name in hashes]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def require_weights(initialisation: InitialisationConfig) -> None:
    """Checks that the export that a training starts from has the weights that were recorded.

    Raises:
        CheckpointError: It is missing or damaged.
        ConfigError: It has other weights.
    """
    if initialisation.model is not None:
        with local_export(initialisation.model) as folder:
            require_same_weights(folder, initialisation)


def require_same_weights(folder: Path, initialisation: InitialisationConfig) -> None:
    """Checks the weights in a folder of this machine, like `require_weights`."""
    recorded, found = initialisation.model_hash, weights_hash(folder)
    if recorded is not None and found != recorded:
        raise ConfigError(
            f"the training starts from weights with hash {recorded[:12]}, but "
            f"{initialisation.model} has {found[:12]}: restore that export"
        )


def misfits(config: CpcConfig, trained: CpcConfig) -> Iterator[str]:
    """Settings of the networks in which a trial differs from the export that it starts from."""
    for section, ignored in (("encoder", {"preset"}), ("context", set[str]())):
        wanted, has = getattr(config, section), getattr(trained, section)
        for name in type(wanted).model_fields:
            ours, theirs = getattr(wanted, name), getattr(has, name)
            if name not in ignored and ours != theirs:
                yield f"{section}.{name} {ours} (the export: {theirs})"


def same_objective(config: CpcConfig, trained: CpcConfig) -> bool:
    """True if predictors and projection of an export serve a trial's objective."""
    return (
        config.similarity == trained.similarity
        and config.objective.steps == trained.objective.steps
    )


def misfit(config: CpcConfig, trained: CpcConfig) -> str | None:
    """Sentence about an export whose networks are not a trial's; None if they are."""
    differing = ", ".join(misfits(config, trained))
    if not differing:
        return None
    return f"the weights of {config.initialisation.model} do not fit: {differing}"
