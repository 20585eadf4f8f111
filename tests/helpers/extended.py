"""A copy of one of the project's packages with an extension: a file more, and a line in a table."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


def extended_package(
    folder: Path, package: str, files: Mapping[str, str], line: tuple[str, str, str]
) -> dict[str, str]:
    """Copies a package into a folder and extends the copy.

    Args:
        folder: Where the copy is made.
        package: Its name.
        files: Content of each new file by its path in the package.
        line: A file of the package, a line of it, and the line to add below that one.

    Returns:
        The environment in which Python imports the copy.
    """
    copy = folder / package
    shutil.copytree(ROOT / package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for path, content in files.items():
        (copy / path).write_text(content)
    table, after, added = line
    text = (copy / table).read_text()
    assert text.count(f"{after}\n") == 1, f"{table} has no line {after!r}"
    (copy / table).write_text(text.replace(f"{after}\n", f"{after}\n{added}\n"))
    return {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
