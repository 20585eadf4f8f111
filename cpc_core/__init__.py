"""Contrastive predictive coding of audio with an adversary: the science, without any cluster code.

Importing the package imports nothing heavy: `cpc_core.config` and `cpc_core.geometry` work without
torch, which `load` imports.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cpc_core.export.encoder import Encoder
    from cpc_core.storage_path import StoragePath


def load(model: str | Path | StoragePath) -> Encoder:
    """Encoder of a trained model, on the CPU, frozen.

    Args:
        model: A folder or a URI that `cpc export` made; a study's model, `demo:best` or `demo:3`
            for trial 3; or the folder of a checkpoint.

    Raises:
        CheckpointError: It is missing, damaged, or not an export.
        ConfigError: It is of a newer format.
        CpcError: There is no such study or trial.
    """
    from cpc_core.export.encoder import load_encoder

    return load_encoder(model)
