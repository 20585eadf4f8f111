"""Fingerprints of clips, which survive another rate, level or lossy codec, and their near pairs.

After Haitsma and Kalker, "A Highly Robust Audio Fingerprinting System" (ISMIR 2002): the signs of
the differences of band energies along frequency and time. Signs do not change with the level; bands
between 200 and 3400 Hz survive every rate from 8 kHz up and every lossy codec. Unlike theirs the
time axis is that of the clip, in `TIMES` equal parts: whole clips are compared, and a fingerprint
has 32 bytes for clips of any length.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cpc_core.geometry import SAMPLE_RATE_HZ

FRAME_SAMPLES = 1024
"""64 ms: resolves 200 Hz, and shorter than most of the parts."""

FRAMES = 136
"""Frames of a clip, evenly spread: eight per part."""

TIMES, BANDS = 17, 17
"""Parts and bands: one more than their differences, 16 × 16 bits."""

LOWEST_HZ, HIGHEST_HZ = 200.0, 3400.0

FLOOR = 1e-4
"""Power added to every band, relative to the strongest: else the noise of a conversion decides."""

NEAR_BITS = 20
"""Largest difference in bits, of 256, at which clips count as the same recording. Among real clips
of 2 s (field recordings, speech, notes, drum hits) without the quiet ones, pairs that do not
correlate begin at 24 bits; pairs within 10 are the same hit at another level. Of 300 clips that
were resampled to a rate between 8 and 44.1 kHz and back, 98 % stay within, at a quarter of the
level 97 %, through MP3 78 %. The others have little between 200 and 3400 Hz: bass drums, silence,
noise.
"""

_WINDOW = np.hanning(FRAME_SAMPLES).astype(np.float32)

_EDGES = np.round(
    np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS + 1) * FRAME_SAMPLES / SAMPLE_RATE_HZ
).astype(np.int64)
"""First bin of each band, and the one after the last band."""

_NEIGHBOURS = 8
"""Largest distance in a sorted list at which two clips are compared."""


def power_of(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Power spectra of a clip's frames, `[FRAMES, FRAME_SAMPLES // 2 + 1]`.

    A clip shorter than a frame is padded.
    """
    if len(samples) < FRAME_SAMPLES:
        samples = np.pad(samples, (0, FRAME_SAMPLES - len(samples)))
    begins = np.linspace(0, len(samples) - FRAME_SAMPLES, FRAMES).round().astype(np.int64)
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME_SAMPLES)[begins] * _WINDOW
    spectrum = np.fft.rfft(frames, axis=1)
    return np.square(spectrum.real) + np.square(spectrum.imag)


def fingerprint(power: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Fingerprint of a clip from its power spectra: 16 words of 16 bits, one for each time step."""
    parts = power.reshape(TIMES, FRAMES // TIMES, -1).mean(axis=1)
    energy = np.add.reduceat(parts, _EDGES, axis=1)[:, :BANDS]
    # Divided first: a clip at a power of two of the level then has the same bits exactly.
    level = np.log(energy / (energy.max() + np.finfo(np.float32).tiny) + FLOOR)
    rises = np.diff(np.diff(level, axis=1), axis=0) > 0
    packed: NDArray[np.uint8] = np.packbits(rises, axis=1)
    return packed.view(">u2")[:, 0].astype(np.uint16)


def near_pairs(fingerprints: NDArray[np.uint16]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of clips whose fingerprints differ in at most `NEAR_BITS` bits.

    Every rotation of the fingerprints by a word is sorted, and neighbours are compared: two that
    share the bits from the start of a word on are neighbours in one of them. The time grows with
    N log N, not with N².

    Args:
        fingerprints: `[N, 16]`.

    Returns:
        Sorted pairs `[M, 2]` of positions, the first below the second, and their numbers of
        differing bits `[M]`.
    """
    found: list[NDArray[np.int64]] = [np.empty((0, 3), np.int64)]
    for rotation in range(fingerprints.shape[1]):
        turned = np.roll(fingerprints, -rotation, axis=1)
        order = np.lexsort(turned.T[::-1])
        words = np.ascontiguousarray(fingerprints[order]).view(np.uint64)
        for apart in range(1, min(_NEIGHBOURS, len(order) - 1) + 1):
            differing = np.bitwise_count(words[apart:] ^ words[:-apart]).sum(axis=1, dtype=np.int64)
            near = np.flatnonzero(differing <= NEAR_BITS)
            pair = np.sort(np.stack((order[near], order[near + apart]), axis=1), axis=1)
            found.append(np.column_stack((pair, differing[near])))
    unique = np.unique(np.concatenate(found), axis=0)
    return unique[:, :2], unique[:, 2]
