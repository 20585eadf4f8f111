"""Encoder of grey levels as a small coloured PNG, without an imaging library."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_STOPS = ("#f7f9fb", "#c5dcee", "#6aa9d8", "#0b6fb3", "#0a3d66", "#061d33")
"""From no level to full, in the accent's hue and ever darker: it is readable in grey too."""


def png(levels: NDArray[np.uint8]) -> bytes:
    """PNG of `[H, W]` levels, with the first row at the bottom."""
    height, width = levels.shape
    # Each row begins with a byte that names its filter: none.
    rows = np.pad(levels[::-1], ((0, 0), (1, 0))).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", _palette()),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    length, checksum = len(content), zlib.crc32(name + content)
    return struct.pack(">I", length) + name + content + struct.pack(">I", checksum)


def _palette() -> bytes:
    stops = np.array([[int(stop[at : at + 2], 16) for at in (1, 3, 5)] for stop in _STOPS])
    levels = np.linspace(0, 255, len(stops))
    channels = [np.interp(np.arange(256), levels, stops[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8).tobytes()
