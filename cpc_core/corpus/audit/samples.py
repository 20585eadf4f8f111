"""Sample clips of an audit: their audio and their spectrograms."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from cpc_core.corpus.audit.findings import AuditResult, ClipRef
from cpc_core.corpus.pcm import FULL_SCALE, pcm_matrix
from cpc_core.corpus.row_groups import RowGroup, read_row_group
from cpc_core.storage_path import StoragePath

COLUMNS, ROWS = 360, 96
"""Size of a spectrogram in time steps and frequencies."""

RANGE_DB = 70.0
"""Dynamic range of a spectrogram, below its own peak."""

_FRAME = 512


@dataclass(frozen=True, eq=False)
class ClipSample:
    """Clip to look at and listen to.

    Attributes:
        ref: Reference to the clip.
        seconds: Length of its recording, padding not counted.
        flac: Its audio.
        spectrogram: `[ROWS, COLUMNS]` uint8, low frequencies first; 255 is its peak, 0 is
            `RANGE_DB` below it.
    """

    ref: ClipRef
    seconds: float
    flac: bytes
    spectrogram: NDArray[np.uint8]


def read_samples(folder: str | Path | StoragePath, result: AuditResult) -> tuple[ClipSample, ...]:
    """Reads the samples of an audit.

    Raises:
        CorpusError: A shard was damaged since the audit.
    """
    root = StoragePath.of(folder)
    return tuple(_sample(root, ref, result) for ref in result.samples)


def _sample(folder: StoragePath, ref: ClipRef, result: AuditResult) -> ClipSample:
    group = RowGroup(folder / ref.shard, ref.row_group, ref.row + 1)
    row = read_row_group(group, ["audio", "num_samples"]).slice(ref.row, 1)
    length, rate_hz = row["num_samples"][0].as_py(), result.sample_rate_hz
    pcm = pcm_matrix(row["audio"].combine_chunks(), round(result.clip_s * rate_hz))[0, :length]
    encoded = io.BytesIO()
    soundfile.write(encoded, pcm, rate_hz, format="FLAC", subtype="PCM_16")
    return ClipSample(ref, length / rate_hz, encoded.getvalue(), spectrogram(pcm))


def spectrogram(pcm: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Levels of a clip over time and frequency (mel), `[ROWS, COLUMNS]`."""
    samples = np.pad(pcm.astype(np.float32) / np.float32(FULL_SCALE), _FRAME // 2)
    begins = np.linspace(0, len(samples) - _FRAME, COLUMNS).round().astype(np.int64)
    window = np.hanning(_FRAME).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[begins] * window
    power = np.square(np.abs(np.fft.rfft(frames, 2 * _FRAME, axis=1)))
    # Bands of equal width in mel, read at their centres between the bins.
    top = 2595 * np.log10(1 + 8000 / 700)
    hz = 700 * (10 ** (np.linspace(0.01 * top, top, ROWS) / 2595) - 1)
    bins = np.arange(power.shape[1])
    rows = np.stack([np.interp(hz / 8000 * bins[-1], bins, step) for step in power], axis=1)
    level = 10 * np.log10(rows / max(rows.max(), 1e-12) + 1e-12)
    scaled: NDArray[np.uint8] = (255 * (1 + level / RANGE_DB)).clip(0, 255).astype(np.uint8)
    return scaled
