"""The version of the running code: commit, changes since, and a hash of the files."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

MAX_DIFF_BYTES = 2**20
"""Bytes of changes that are recorded of a study; the files beyond are named only."""

_PACKAGES = ("cpc_core", "search_spaces", "study", "cluster")
"""Packages that a result can depend on."""


@dataclass(frozen=True)
class Changes:
    """Changes to tracked files since the commit.

    Attributes:
        text: Output of `git diff HEAD`, without files that are too large.
        sha256: Hash of the whole output.
    """

    text: str
    sha256: str

    @property
    def name(self) -> str:
        """Name of the file for the text, which differs for other changes."""
        return f"code-{self.sha256[:12]}.diff"


@dataclass(frozen=True)
class CodeState:
    """Version of the code of this process.

    Attributes:
        git: Commit, and True for `dirty` if files were changed since; empty outside a checkout.
        changes: Changes since the commit.
        source: Twelve hex digits over the files of the packages, for code outside a checkout.
    """

    git: Mapping[str, Any]
    changes: Changes | None
    source: str


@cache
def code_state() -> CodeState:
    """Version of the code at the first call, which is what the process has imported."""
    root = Path(__file__).resolve().parents[2]
    source = _source_hash(root)
    try:
        # The packages may lie inside another project's checkout, which does not track them.
        _git(root, "ls-files", "--error-unmatch", str(Path(__file__).resolve()))
        commit, difference = (
            _git(root, "rev-parse", "HEAD").strip(),
            _git(root, "diff", "HEAD", "--no-ext-diff", "--no-color"),
        )
    except (OSError, subprocess.CalledProcessError):
        return CodeState({}, None, source)
    changes = (
        Changes(_capped(difference), hashlib.sha256(difference.encode()).hexdigest())
        if difference
        else None
    )
    return CodeState({"commit": commit, "dirty": changes is not None}, changes, source)


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace", check=True
    ).stdout


def _source_hash(root: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for package in _PACKAGES for path in (root / package).rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _capped(difference: str) -> str:
    """The changes file by file up to `MAX_DIFF_BYTES`, then the names of the files left out."""
    kept, left_out, size = [], [], 0
    for change in _by_file(difference):
        size += (length := len(change.encode()))
        if size <= MAX_DIFF_BYTES:
            kept.append(change)
        else:
            size -= length
            left_out.append(
                f"left out, because it is too large: {change.splitlines()[0]} ({length:,} bytes)\n"
            )
    return "".join([*kept, *left_out])


def _by_file(difference: str) -> Iterator[str]:
    lines: list[str] = []
    for line in difference.splitlines(keepends=True):
        if line.startswith("diff --git ") and lines:
            yield "".join(lines)
            lines = []
        lines.append(line)
    if lines:
        yield "".join(lines)
