"""Scores of a probe by clip, from which the part of the clips in an interval is computed.

A metric of N clips is a mean of N pseudo-values, one a clip: the metric, plus N times its
derivative by the clip's weight (the infinitesimal jackknife of Efron, The Jackknife, the Bootstrap
and Other Resampling Plans, 1982, section 6.3). For an accuracy that is 1 for a correct clip and 0
for any other. Their variance over recordings is that of the metric over sets of recordings.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cpc_core.storage_path import StoragePath

_VALUE = "value:"
"""Prefix of the columns that hold pseudo-values, before the metric's name."""


@dataclass(frozen=True, eq=False)
class MetricsByRecording:
    """Metrics of one trial by recording: all that an interval over clips needs.

    Attributes:
        recordings: The held-out recordings, sorted.
        classified: Number of clips that the linear classifier labelled: its accuracies count them.
        values: Metric → `[G]`, whose mean is the metric.
    """

    recordings: tuple[str, ...]
    classified: int
    values: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class ClipScores:
    """Scores of a probe on each held-out clip.

    Attributes:
        clip_ids: `[N]` int64.
        groups: Recording of each clip.
        labels: The K labels that are scored.
        scores: `[N, K]` with half precision, higher where the label is likelier.
        predicted: The linear classifier's label for each clip, empty where it was not asked.
        values: Metric → `[N]` pseudo-values, whose mean is the metric.
    """

    clip_ids: NDArray[np.int64]
    groups: tuple[str, ...]
    labels: tuple[str, ...]
    scores: NDArray[np.float16]
    predicted: tuple[str, ...]
    values: Mapping[str, NDArray[np.float64]]

    def to_parquet(self) -> bytes:
        """A row per clip; the labels are in the schema's metadata."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        scores = pa.array(self.scores.ravel())
        columns = {
            "clip_id": pa.array(self.clip_ids),
            "group": pa.array(self.groups).dictionary_encode(),
            "scores": pa.FixedSizeListArray.from_arrays(scores, len(self.labels)),
            "predicted": pa.array(self.predicted).dictionary_encode(),
            **{
                f"{_VALUE}{name}": pa.array(values.astype(np.float32))
                for name, values in self.values.items()
            },
        }
        table = pa.table(columns).replace_schema_metadata({"labels": "\n".join(self.labels)})
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        return buffer.getvalue()


def read_by_recording(path: StoragePath) -> MetricsByRecording:
    """Metrics by recording from a file of `ClipScores.to_parquet`, whose scores are not read.

    Raises:
        FileNotFoundError: There is no such file.
        pyarrow.ArrowException: It is another or a damaged one.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Read whole: a file is a hundred kilobytes, and a study has thousands.
    with pq.ParquetFile(pa.BufferReader(path.read_bytes())) as file:
        metrics = [name for name in file.schema_arrow.names if name.startswith(_VALUE)]
        table = file.read(columns=["group", "predicted", *metrics], use_threads=False)
    groups, labels = (table[name].combine_chunks() for name in ("group", "predicted"))
    asked = np.array([label != "" for label in labels.dictionary.to_pylist()])
    return _by_recording(
        *_sorted(tuple(groups.dictionary.to_pylist()), np.from_dlpack(groups.indices)),
        int(asked[np.from_dlpack(labels.indices)].sum()),
        {
            # `to_numpy` would import pandas.
            name.removeprefix(_VALUE): np.from_dlpack(table[name].combine_chunks()).astype(float)
            for name in metrics
        },
    )


def by_recording(
    groups: Sequence[str], predicted: Sequence[str], values: Mapping[str, NDArray[np.float64]]
) -> MetricsByRecording:
    """Pseudo-values of recordings from those of clips; a long recording has more weight.

    Args:
        groups: Recording of each of the N clips.
        predicted: The linear classifier's label for each clip, empty where it was not asked.
        values: Metric → `[N]` pseudo-values of the clips.
    """
    recordings, place = np.unique(np.asarray(groups), return_inverse=True)
    classified = sum(map(bool, predicted))
    return _by_recording(tuple(map(str, recordings)), place, classified, values)


def _sorted(
    names: tuple[str, ...], places: NDArray[Any]
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The names sorted, and the places among them of those that some places name."""
    order = sorted(range(len(names)), key=lambda place: names[place])
    return tuple(names[place] for place in order), np.argsort(order)[places]


def _by_recording(
    recordings: tuple[str, ...],
    place: NDArray[np.int64],
    classified: int,
    values: Mapping[str, NDArray[np.float64]],
) -> MetricsByRecording:
    scale = len(recordings) / len(place)
    return MetricsByRecording(
        recordings=recordings,
        classified=classified,
        values={
            name: clips.mean()
            + scale * np.bincount(place, clips - clips.mean(), minlength=len(recordings))
            for name, clips in values.items()
        },
    )


def average_precision_values(
    target: NDArray[np.bool_], scores: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Pseudo-values `[N]` of the average precision of one label.

    With weights w of the clips, AP = Σ w y P / Σ w y, where P is the precision among the clips that
    score at least as high.

    Args:
        target: `[N]`, true where a clip carries the label, as at least one does.
        scores: `[N]`.
    """
    clips = len(target)
    order = np.argsort(-scores, kind="stable")
    positive, sorted_scores = target[order].astype(float), scores[order]
    # Clips of equal scores pass the threshold together.
    last = np.append(np.flatnonzero(np.diff(sorted_scores)), clips - 1)
    tie = np.searchsorted(last, np.arange(clips))
    above = last + 1.0
    found = np.cumsum(positive)[last]
    precision, gained = found / above, np.diff(found, prepend=0.0)
    positives = positive.sum()
    average = (gained * precision).sum() / positives
    # A clip's weight counts in the precision at its own score and at all lower ones.
    raised = np.cumsum((gained / above)[::-1])[::-1][tie]
    lowered = np.cumsum((gained * precision / above)[::-1])[::-1][tie]
    derivative = (positive * (precision[tie] - average + raised) - lowered) / positives
    values = np.empty(clips)
    values[order] = average + clips * derivative
    return values


def accuracy_values(correct: NDArray[np.bool_], asked: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Pseudo-values `[N]` of the accuracy among the clips that were asked."""
    accuracy = correct[asked].mean()
    return np.asarray(
        accuracy + np.where(asked, (correct - accuracy) * len(asked) / asked.sum(), 0.0)
    )


def balanced_accuracy_values(
    correct: NDArray[np.bool_], classes: NDArray[np.int64], asked: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Pseudo-values `[N]` of the mean over the asked clips' classes of their accuracies."""
    each = [accuracy_values(correct, asked & (classes == one)) for one in np.unique(classes[asked])]
    values: NDArray[np.float64] = np.mean(each, axis=0)
    return values
