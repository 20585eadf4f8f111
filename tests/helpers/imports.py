"""Imports into small shards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cpc_core.corpus.importing import parts
from cpc_core.corpus.importing.run import ImportSummary, import_source
from cpc_core.corpus.manifest import ImportOptions
from cpc_core.corpus.sources.detect import open_source

OPTIONS = ImportOptions(clip_s=0.1)

SMALL_SHARDS = {"SHARD_BYTES": 3 * 3200, "LARGEST_SHARD_BYTES": 4 * 3200}
"""Constants of `parts` for shards of three or four clips."""


def small_shards() -> None:
    """Limits shards to three or four clips, in this process."""
    vars(parts).update(SMALL_SHARDS)


def imported(
    source: Path, out: Path, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> ImportSummary:
    """Imports with `OPTIONS` in this process."""
    return import_source(open_source(source), out, OPTIONS, on_progress=on_progress)


def content(corpus: Path) -> dict[str, bytes]:
    """Bytes of every file of a corpus."""
    return {path.name: path.read_bytes() for path in corpus.iterdir()}
