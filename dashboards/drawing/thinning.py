"""Curves with fewer points, for figures that have fewer pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def thinned(values: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Places of the values that a figure of `most` points shows.

    They are the first value, the last one, and the least and the greatest of each of equally long
    stretches, so that no peak is lost.

    Args:
        values: `[n]`.
        most: At least 4.

    Returns:
        Ascending places, at most `most`.
    """
    n = len(values)
    if n <= most:
        return np.arange(n)
    ends = np.linspace(0, n, (most - 2) // 2 + 1).astype(int)
    starts = ends[:-1]
    stretches = [values[start:end] for start, end in zip(starts, ends[1:], strict=True)]
    least = starts + [int(stretch.argmin()) for stretch in stretches]
    greatest = starts + [int(stretch.argmax()) for stretch in stretches]
    return np.unique(np.concatenate([[0, n - 1], least, greatest]))
