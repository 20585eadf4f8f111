"""Features of a corpus's clips beside what describes them, cached by their content."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.row_groups import read_row_group
from cpc_core.evaluation.features import ClipFeatures, JoinedFeatures

_DESCRIBED = ["clip_id", "group", "label", "labels", "split", "fold", "task", "target"]

_FEATURES, _CLIPS, _DIGEST = "features.npy", "clips.parquet", "sha256"


@dataclass(frozen=True, eq=False)
class Examples:
    """The N clips of a corpus with their features.

    Attributes:
        features: `[N, D]` float32, which may be mapped from a file.
        clips: Column → value of each clip, as in a corpus: `group`, `label`, `labels`, `split`,
            `fold`, `task` and `target`.
    """

    features: NDArray[np.float32]
    clips: Mapping[str, Sequence[str]]

    def __len__(self) -> int:
        return len(self.features)

    def column(self, name: str) -> NDArray[np.str_]:
        """A column as an array `[N]`."""
        return np.asarray(self.clips[name], dtype=np.str_)


def examples_of(
    features: ClipFeatures,
    corpus: Corpus,
    cache: Path,
    on_clips: Callable[[int], None] = lambda clips: None,
) -> Examples:
    """Features of all clips of a corpus, computed a row group at a time unless they are cached.

    A damaged entry of the cache is made again. Two processes may make the same one: the first one
    to end stays.

    Args:
        features: Of a clip.
        corpus: The clips.
        cache: Folder of the cache.
        on_clips: Called with the number of clips just done.
    """
    if isinstance(features, JoinedFeatures):  # Each part may be known from elsewhere.
        parts = [examples_of(part, corpus, cache, on_clips) for part in features.parts]
        return Examples(np.hstack([part.features for part in parts]), parts[0].clips)
    key = hashlib.sha256(f"1 {features.identity} {corpus.hash}".encode()).hexdigest()[:32]
    folder = cache / "features" / key
    with suppress(OSError, ValueError, pa.ArrowException):
        return _read(folder)
    own = folder.with_name(f".{key}.{uuid.uuid4().hex}")
    own.mkdir(parents=True)
    try:
        _write(own, features, corpus, on_clips)
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # Another process was faster.
            own.rename(folder)
        return _read(folder)
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _write(
    folder: Path, features: ClipFeatures, corpus: Corpus, on_clips: Callable[[int], None]
) -> None:
    described, vectors = [], None
    count, begin = sum(corpus.rows(split) for split in corpus.splits), 0
    for split in corpus.splits:
        for group, clips in zip(corpus.row_groups(split), corpus.stream_split(split), strict=True):
            found = features(clips.audio, clips.num_samples).numpy()
            if vectors is None:
                vectors = np.lib.format.open_memmap(
                    folder / _FEATURES, "w+", np.float32, (count, found.shape[1])
                )
            vectors[begin : begin + len(found)] = found
            begin += len(found)
            described.append(read_row_group(group, _DESCRIBED))
            on_clips(len(found))
    assert vectors is not None
    vectors.flush()
    pq.write_table(pa.concat_tables(described), folder / _CLIPS)
    digests = {name: _digest(folder / name) for name in (_FEATURES, _CLIPS)}
    (folder / _DIGEST).write_text(json.dumps(digests))


def _read(folder: Path) -> Examples:
    """An entry of the cache.

    Raises:
        OSError, ValueError: It is missing or damaged.
    """
    digests = json.loads((folder / _DIGEST).read_text())
    if any(_digest(folder / name) != digests.get(name) for name in (_FEATURES, _CLIPS)):
        raise ValueError("a digest differs")
    os.utime(folder)  # So that what is never used can be told by its age.
    return Examples(
        np.load(folder / _FEATURES, mmap_mode="r"), pq.read_table(folder / _CLIPS).to_pydict()
    )


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
