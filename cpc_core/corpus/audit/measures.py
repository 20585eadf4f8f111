"""Measures of every clip of a row group."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cpc_core.corpus.audit.fingerprint import FRAME_SAMPLES, fingerprint, power_of
from cpc_core.corpus.pcm import FULL_SCALE, pcm_matrix
from cpc_core.geometry import SAMPLE_RATE_HZ

MEASURES = np.dtype(
    [
        ("shard", "u4"),
        ("row_group", "u2"),
        ("row", "u2"),
        ("rate_hz", "u4"),
        ("seconds", "f4"),
        ("level_db", "f4"),
        ("peak_db", "f4"),
        ("offset_db", "f4"),
        ("clipped", "f4"),
        ("bandwidth_hz", "f4"),
        ("content", "u8"),
        ("recording", "u8"),
        ("group", "u8"),
        ("fingerprint", "u2", 16),
    ]
)
"""Record of a clip, 92 bytes: all of it that an audit has in memory. Levels are in dB of full
scale; `clipped` is a share of samples; `content`, `recording` and `group` are hashes of the
samples, the path and the group.
"""

SILENCE_DB = -120.0
"""Level of a clip of zeros; the quietest level of int16 is −90 dB."""

CLIPPED_RUN = 3
"""Samples in a row at full scale that count as clipped; fewer may be a normalised peak."""

BAND_FLOOR = 1e-5
"""Power of a frequency, relative to the strongest one, below which it counts as empty: −50 dB."""

_FULL = 32_700
"""Magnitude from which a sample counts as at full scale."""


def measure_row_group(
    table: pa.Table, shard: int, row_group: int, clip_samples: int
) -> NDArray[np.void]:
    """Measures of every clip of a row group, `[N]` of `MEASURES`.

    Raises:
        CorpusError: A clip has another length than the manifest says.
    """
    pcm = pcm_matrix(table["audio"].combine_chunks(), clip_samples)
    lengths = table["num_samples"].to_numpy()
    records = np.zeros(len(table), MEASURES)
    records["shard"], records["row_group"], records["row"] = shard, row_group, np.arange(len(table))
    records["rate_hz"] = table["sample_rate_hz"].to_numpy()
    records["seconds"] = lengths / records["rate_hz"]
    records["recording"] = [_hash(path.encode()) for path in table["path"].to_pylist()]
    records["group"] = [_hash(group.encode()) for group in table["group"].to_pylist()]
    for record, clip, length in zip(records, pcm, lengths, strict=True):
        _measure(record, clip[:length])
    return records


def _measure(record: np.void, pcm: NDArray[np.int16]) -> None:
    samples = pcm.astype(np.float32) / np.float32(FULL_SCALE)
    offset = float(samples.mean(dtype=np.float64))
    record["content"] = _hash(np.ascontiguousarray(pcm).tobytes())
    record["level_db"] = _decibels(float(np.sqrt(np.square(samples).mean(dtype=np.float64))))
    record["peak_db"] = _decibels(float(np.abs(samples).max()))
    record["offset_db"] = _decibels(abs(offset))
    record["clipped"] = _clipped_share(pcm)
    power = power_of(samples - np.float32(offset))
    record["bandwidth_hz"] = _bandwidth_hz(power.mean(axis=0))
    record["fingerprint"] = fingerprint(power)


def _clipped_share(pcm: NDArray[np.int16]) -> float:
    # Not by magnitude: int16 has no 32 768.
    full = ((pcm >= _FULL) | (pcm <= -_FULL)).astype(np.int8)
    if not full.any() or len(full) < CLIPPED_RUN:
        return 0.0
    runs = np.convolve(full, np.ones(CLIPPED_RUN, np.int8), "valid") == CLIPPED_RUN
    return float(np.convolve(runs, np.ones(CLIPPED_RUN, np.int8)).astype(bool).mean())


def _bandwidth_hz(power: NDArray[np.float32]) -> float:
    """Highest frequency above `BAND_FLOOR`."""
    bins = np.flatnonzero(power > BAND_FLOOR * power.max())
    return float(bins[-1] * SAMPLE_RATE_HZ / FRAME_SAMPLES) if len(bins) else 0.0


def _decibels(amplitude: float) -> float:
    return max(SILENCE_DB, 20 * float(np.log10(amplitude))) if amplitude > 0 else SILENCE_DB


def _hash(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
