"""Audit of a corpus: every clip is read and measured once, in the order of the shards.

One row group is in memory at a time, and a record of 92 bytes for each clip, for the search for
duplicates: 190 MB for the two million clips of AudioSet, and a few hundred more for sorting them.
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
from cpc_core.corpus.audit.measures import MEASURES, measure_row_group
from cpc_core.corpus.audit.shards import ShardReader
from cpc_core.corpus.corpus import read_manifest
from cpc_core.corpus.manifest import Manifest, Split
from cpc_core.errors import CorpusError
from cpc_core.storage_path import StoragePath

SAMPLES = 12
"""Clips that the page of an audit shows and plays."""


def audit(
    folder: str | Path | StoragePath,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> AuditResult:
    """Audits a corpus, whatever state its shards are in.

    Args:
        folder: The corpus, a path or a URI.
        on_progress: Called after each row group with the number of clips read and of all clips.

    Raises:
        CorpusError: There is no corpus, or its manifest cannot be read.
    """
    root = StoragePath.of(folder)
    manifest = read_manifest(root)
    reader = ShardReader(root, manifest)
    records: list[NDArray[np.void]] = [np.empty(0, MEASURES)]
    labels: dict[str, Counter[Split]] = {}
    unlabelled = 0
    done, total = 0, sum(manifest.rows.values())
    for position, index, table in reader.tables():
        try:
            records.append(measure_row_group(table, position, index, manifest.clip_samples))
        except CorpusError as error:
            reader.record(position, index, str(error))
            continue
        for names in table["labels"].to_pylist():
            unlabelled += not names
            for name in names:
                labels.setdefault(name, Counter())[manifest.shards[position].split] += 1
        done += len(table)
        on_progress(done, total)
    measured = MeasuredClips(root, manifest, np.concatenate(records))
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
        audio_s=float(measured.clips["seconds"].sum(dtype=np.float64)),
        rows=dict(manifest.rows),
        histograms=_histograms(measured.clips, manifest),
        labels=counts,
        findings=(
            _damage_finding(damages),
            *leak_findings(measured),
            *duplicate_findings(measured),
            *signal_findings(measured),
            *label_findings(counts, manifest, unlabelled),
        ),
        damages=damages,
        samples=_samples(measured),
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


def _samples(measured: MeasuredClips) -> tuple[ClipRef, ...]:
    """Audible clips of as many labels as possible, of candidates at even distances."""
    audible = np.flatnonzero(measured.clips["level_db"] >= QUIET_DB)
    candidates = min(len(audible), 20 * SAMPLES)
    positions = audible[np.linspace(0, len(audible) - 1, candidates).round().astype(np.int64)]
    of_label: Counter[str] = Counter()
    ranked: list[tuple[int, ClipRef]] = []
    for ref in map(measured.ref, positions.tolist()):
        ranked.append((of_label[ref.label], ref))
        of_label[ref.label] += 1
    chosen = [ref for _, ref in sorted(ranked, key=lambda pair: pair[0])][:SAMPLES]
    return tuple(sorted(chosen, key=lambda ref: (ref.label, ref.path, ref.start_s)))
