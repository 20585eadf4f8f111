"""Decoders: the interface that both libraries are read through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

CHUNK_SAMPLES = 2**19
"""Samples of all channels decoded at a time: bounds memory for recordings of many channels."""


ENCODER_PADDING_S = 0.25
"""Seconds that encoders add at most, to fill their packets."""


class Damage(Exception):
    """Raised where a recording cannot be decoded any further; its text says why."""


class Decoder(Protocol):
    """An open recording."""

    @property
    def rate_hz(self) -> int:
        """Frames a second."""

    @property
    def frames(self) -> int | None:
        """Frames that the file promises; None where it promises nothing."""

    @property
    def promised_s(self) -> float | None:
        """Seconds that it promises, but for an encoder's padding; None likewise."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the file as a whole."""

    def chunks(self, start: int, stop: int | None, most: int) -> Iterator[NDArray[np.float32]]:
        """Frames from `start` to `stop`, or to the last one there is.

        Args:
            start: First frame.
            stop: Frame behind the last one.
            most: Frames of a chunk at most.

        Yields:
            Chunks `[L, channels]`; full scale is 1.

        Raises:
            Damage: At the place behind which nothing can be decoded.
        """
