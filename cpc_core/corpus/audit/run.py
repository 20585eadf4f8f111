"""An audit: every clip of a corpus read and measured once, in the order of the shards.

One row group is in memory at a time. What stays is a record of 92 bytes a clip, which the search
for duplicates needs: 190 MB for the two million clips of AudioSet, and a few hundred more while it
sorts them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cpc_core.corpus.audit.checks import (
    QUIET_DB,
    MeasuredClips,
    duplicate_findings,
    label_findings,
    leak_findings,
    signal_findings,
)
from cpc_core.corpus.audit.findings import (
    AuditResult,
    ClipRef,
    Damage,
    Finding,
    Histogram,
    LabelCount,
)
from cpc_core.corpus.audit.measures import MEASURES, measured
from cpc_core.corpus.audit.shards import ShardReader
from cpc_core.corpus.corpus import read_manifest
from cpc_core.corpus.manifest import Manifest, Split
from cpc_core.errors import CorpusError
from cpc_core.storage_path import StoragePath

SAMPLES = 12
"""Clips that an audit shows and plays."""


_EMPTY: NDArray[np.void] = np.empty(0, MEASURES)


def audit(
    folder: str | Path | StoragePath,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> AuditResult:
    """Audit a corpus, whatever state its shards are in.

    Args:
        folder: The corpus, a path or a URI.
        on_progress: Called after each row group with how many clips were read, and how many there
            are.

    Raises:
        CorpusError: There is no corpus, or its manifest cannot be read.
    """
    place = StoragePath.of(folder)
    manifest = read_manifest(place)
    reader = ShardReader(place, manifest)
    records: list[NDArray[np.void]] = []
    labels: dict[str, Counter[Split]] = {}
    unlabelled = 0
    done, total = 0, sum(manifest.rows.values())
    for position, index, table in reader.tables():
        try:
            records.append(measured(table, position, index, manifest.clip_samples))
        except CorpusError as error:
            reader.note(position, index, error)
            continue
        for names in table["labels"].to_pylist():
            unlabelled += not names
            for name in names:
                labels.setdefault(name, Counter())[manifest.shards[position].split] += 1
        done += len(table)
        on_progress(done, total)
    clips = MeasuredClips(place, manifest, np.concatenate([_EMPTY, *records]))
    counts = tuple(
        sorted(
            (LabelCount(name, dict(rows)) for name, rows in labels.items()),
            key=lambda label: (-label.total, label.label),
        )
    )
    damages = tuple(reader.damages)
    return AuditResult(
        corpus=manifest.name,
        hash=manifest.hash,
        clip_s=manifest.clip_samples / manifest.sample_rate_hz,
        sample_rate_hz=manifest.sample_rate_hz,
        audio_s=float(clips.clips["seconds"].sum(dtype=np.float64)),
        rows=dict(manifest.rows),
        histograms=_histograms(clips.clips, manifest),
        labels=counts,
        findings=(
            _damage_finding(damages),
            *leak_findings(clips),
            *duplicate_findings(clips),
            *signal_findings(clips),
            *label_findings(counts, manifest, unlabelled),
        ),
        damages=damages,
        samples=_samples(clips),
    )


def _damage_finding(damages: Sequence[Damage]) -> Finding:
    shards = len({damage.shard for damage in damages})
    return Finding(
        "shards",
        "broken" if shards else "good",
        shards,
        "shards that are not as they were written (sha256, checksums of pages)",
    )


def _histograms(clips: NDArray[np.void], manifest: Manifest) -> tuple[Histogram, ...]:
    clip_s = manifest.clip_samples / manifest.sample_rate_hz
    measures = (
        ("duration", "s", "seconds", np.linspace(0, clip_s, 26)),
        ("level", "dB", "level_db", np.arange(-90, 1, 3.0)),
        ("peak", "dB", "peak_db", np.arange(-60, 1, 2.0)),
        ("DC offset", "dB", "offset_db", np.arange(-120, 1, 5.0)),
        ("bandwidth", "kHz", "bandwidth_hz", np.linspace(0, manifest.sample_rate_hz / 2000, 33)),
    )
    histograms = []
    for name, unit, column, edges in measures:
        values = clips[column] / (1000 if unit == "kHz" else 1)
        counts, _ = np.histogram(values.clip(edges[0], edges[-1]), edges)
        histograms.append(Histogram(name, unit, tuple(edges.tolist()), tuple(counts.tolist())))
    return tuple(histograms)


def _samples(clips: MeasuredClips) -> tuple[ClipRef, ...]:
    """Clips of as many labels as possible that can be heard, looked for at even distances."""
    heard = np.flatnonzero(clips.clips["level_db"] >= QUIET_DB)
    positions = heard[
        np.linspace(0, len(heard) - 1, min(len(heard), 20 * SAMPLES)).round().astype(np.int64)
    ]
    seen: Counter[str] = Counter()
    turns: list[tuple[int, ClipRef]] = []
    for ref in map(clips.ref, positions.tolist()):
        turns.append((seen[ref.label], ref))
        seen[ref.label] += 1
    chosen = [ref for _, ref in sorted(turns, key=lambda turn: turn[0])][:SAMPLES]
    return tuple(sorted(chosen, key=lambda ref: (ref.label, ref.path, ref.start_s)))
