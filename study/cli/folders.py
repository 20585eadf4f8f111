"""From what a user types to a study folder."""

from __future__ import annotations

from pathlib import Path

from search_spaces.fields import nearest
from study.errors import NotFoundError
from study.reading import SPEC

HOME = Path("studies")
"""Where studies are kept unless told otherwise."""


def study_folder(name_or_path: str) -> Path:
    """The folder of a study, given as a path or by the name of a folder in `studies/`.

    Raises:
        NotFoundError: There is none.
    """
    for folder in (Path(name_or_path), HOME / name_or_path):
        if (folder / SPEC).is_file():
            return folder
    raise NotFoundError(f"there is no study '{name_or_path}' here{nearest(name_or_path, [folder.name for folder in known()])}")


def known() -> list[Path]:
    """The studies kept in `studies/`."""
    return sorted(path.parent for path in HOME.glob(f"*/{SPEC}"))
