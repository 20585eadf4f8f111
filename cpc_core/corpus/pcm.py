"""Conversion between the int16 PCM of a shard and floats in [−1, 1)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cpc_core.errors import CorpusError

FULL_SCALE = 32768.0
BYTES_PER_SAMPLE = 2


def quantise(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Nearest int16 of samples in [−1, 1]; samples beyond full scale are clipped."""
    levels: NDArray[np.float32] = np.rint(samples * np.float32(FULL_SCALE)).clip(
        -FULL_SCALE, FULL_SCALE - 1
    )
    return levels.astype("<i2")


def pcm_matrix(audio: pa.Array, clip_samples: int) -> NDArray[np.int16]:
    """The clips of a binary column, without a copy.

    Args:
        audio: Binary column of N clips.
        clip_samples: Samples every clip must have.

    Returns:
        `[N, clip_samples]`, read-only.

    Raises:
        CorpusError: A clip has another length.
    """
    clip_bytes = clip_samples * BYTES_PER_SAMPLE
    wide = audio.cast(pa.large_binary())
    offsets = np.frombuffer(wide.buffers()[1], np.int64)[wide.offset : wide.offset + len(wide) + 1]
    lengths = np.diff(offsets)
    if np.any(lengths != clip_bytes):
        wrong = int(lengths[lengths != clip_bytes][0])
        raise CorpusError(
            f"a clip holds {wrong} bytes of audio where the manifest says {clip_bytes}: "
            "import the corpus again"
        )
    if not len(wide):
        return np.empty((0, clip_samples), "<i2")
    return np.frombuffer(
        wide.buffers()[2], "<i2", len(wide) * clip_samples, int(offsets[0])
    ).reshape(-1, clip_samples)


def fill_floats(out: NDArray[np.float32], pcm: NDArray[np.int16]) -> None:
    """Writes `pcm` `[N, L]` into `out` `[N, L]` as amplitudes.

    The scale is a power of two, so the conversion is exact.
    """
    np.multiply(pcm, np.float32(1 / FULL_SCALE), out=out)
