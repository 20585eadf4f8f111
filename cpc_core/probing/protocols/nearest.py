"""Nearest neighbours by the cosine, whose number the dev clips choose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cpc_core.probing.protocols.base import Floats, Labelled, choice_score

NEIGHBOURS = (1, 2, 5, 10, 20, 50)


class Nearest:
    """Share of a class among the nearest training clips, the nearer ones breaking ties."""

    def __call__(
        self, train: Labelled, dev: Labelled, test: Floats, seed: int
    ) -> tuple[NDArray[np.float64], str]:
        """See `Protocol`; nothing in it is drawn."""
        from sklearn.neighbors import NearestNeighbors

        counts = [count for count in NEIGHBOURS if count <= len(train.features)]
        index = NearestNeighbors(n_neighbors=counts[-1], metric="cosine").fit(train.features)
        of_dev = index.kneighbors(dev.features, return_distance=False)
        scores = [choice_score(dev, _shares(train, of_dev[:, :count])) for count in counts]
        best = counts[int(np.argmax(scores))]
        nearest = index.kneighbors(test, n_neighbors=best, return_distance=False)
        return _shares(train, nearest), f"k = {best}"


def _shares(train: Labelled, neighbours: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weighted share `[M, K]` of each class among neighbours `[M, k]`, the nearest first."""
    nearer = np.linspace(1.0, 1 - 1e-3, neighbours.shape[1])
    weights = nearer / nearer.sum()
    return np.asarray(np.einsum("k,mkc->mc", weights, train.targets[neighbours].astype(float)))
