"""Models that are named otherwise than by an export: `demo:best`, `demo:3`, a checkpoint."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

from cpc_core.errors import CheckpointError
from cpc_core.storage_path import StoragePath

GROUP = "cpc_core.models"
"""Entry points of packages that know models by their names.

Each is a function of a name and a folder, to which it exports the model. The science has none of
its own: a study is nothing that it knows of.
"""

_IN_STORE = re.compile(r"\w+://.+:(best|\d+)")


def is_name(model: str) -> bool:
    """True if a text is neither the path of anything nor a URI, but `STUDY:MODEL`."""
    if "://" in model:
        return _IN_STORE.fullmatch(model) is not None
    return ":" in model and not StoragePath.of(model).exists()


def export_named(name: str, folder: Path) -> None:
    """Exports the model of a name to a folder.

    Raises:
        CheckpointError: No package that is installed knows of such names.
        CpcError: There is no such model.
    """
    found = entry_points(group=GROUP)
    if not found:
        raise CheckpointError(
            f"there is no export {name}, and nothing is installed that knows models by such names: "
            "install cpc-study, or name a folder"
        )
    exported: Callable[[str, Path], None] = next(iter(found)).load()
    exported(name, folder)
