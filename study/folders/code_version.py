"""Which code is running: its commit, what was changed since, and a hash of the files themselves."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

MAX_DIFF_BYTES = 2**20
"""Text of changes that is kept of a study: whole files are left out beyond it, and named."""


_PACKAGES = ("cpc_core", "search_spaces", "study", "cluster")
"""Those that a number can come from."""


@dataclass(frozen=True)
class Changes:
    """Changes to tracked files since the commit.

    Attributes:
        text: As `git diff HEAD` prints them, without what is too large.
        sha256: Of the whole text.
    """

    text: str
    sha256: str

    @property
    def name(self) -> str:
        """Name of the file that keeps the text: another one for other changes."""
        return f"code-{self.sha256[:12]}.diff"


@dataclass(frozen=True)
class CodeState:
    """The code of this process.

    Attributes:
        git: Commit, and whether anything was changed since; empty outside a checkout.
        changes: What was changed.
        source: Twelve hex digits over the files of the packages, which tell codes apart where there
            is no checkout.
    """

    git: Mapping[str, Any]
    changes: Changes | None
    source: str


@cache
def code_state() -> CodeState:
    """The code as it was when it was first asked for: what the process has imported."""
    root = Path(__file__).resolve().parents[2]
    source = _source_hash(root)
    try:
        # The packages may be installed inside somebody else's checkout, which does not track them.
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
    """The changes file by file until there are too many; then the names of the files that are left
    out.
    """
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
