"""Imported corpus: its manifest, its shards, and splits as tensors."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pyarrow as pa
import torch
from pydantic import ValidationError
from torch import Tensor

from cpc_core.corpus.manifest import (
    CORPUS_SCHEMA,
    MANIFEST_NAME,
    SPLITS,
    Manifest,
    Split,
    verified,
)
from cpc_core.corpus.pcm import fill_floats, pcm_matrix
from cpc_core.corpus.row_groups import WINDOW_ROW_GROUPS, RowGroup, read_row_group
from cpc_core.errors import CorpusError
from cpc_core.stateless_random import Key, Purpose, uniform_integers
from cpc_core.storage_path import StoragePath, with_retries

ProbeTask: TypeAlias = Literal["scored", "trivial", "none"]
"""`scored` where a label is on training clips, and on some held-out clips but not on all; `trivial`
where a label is on training clips and all held-out clips, so that any model scores 1; `none` where
training and held-out clips share no label, so that nothing can be scored.
"""

_CLIP_COLUMNS = ["audio", "clip_id", "num_samples", "label", "labels", "group", "path"]


@dataclass(frozen=True, eq=False)
class Clips:
    """Clips in memory, in the corpus's order.

    Attributes:
        audio: `[N, L]` float32 in [−1, 1), 16 kHz.
        clip_ids: `[N]` int64.
        num_samples: Own samples of each clip, behind which it is padded, `[N]` int64.
        labels: Primary label of each clip, empty where it has none.
        tags: All labels of each clip.
        groups: Recording, speaker or kit of each clip.
        paths: File of each clip below the folder that was imported.
        label_names: The corpus's vocabulary, sorted.
    """

    audio: Tensor
    clip_ids: Tensor
    num_samples: Tensor
    labels: tuple[str, ...]
    tags: tuple[tuple[str, ...], ...]
    groups: tuple[str, ...]
    paths: tuple[str, ...]
    label_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.clip_ids)

    def select(self, rows: Tensor) -> Clips:
        """The clips of those rows `[M]` int64, in their order."""
        chosen = rows.tolist()
        return Clips(
            audio=self.audio[rows],
            clip_ids=self.clip_ids[rows],
            num_samples=self.num_samples[rows],
            labels=tuple(self.labels[row] for row in chosen),
            tags=tuple(self.tags[row] for row in chosen),
            groups=tuple(self.groups[row] for row in chosen),
            paths=tuple(self.paths[row] for row in chosen),
            label_names=self.label_names,
        )

    def multi_hot(self) -> Tensor:
        """`[N, len(label_names)]` float32, 1 where a clip carries the label."""
        column = {name: index for index, name in enumerate(self.label_names)}
        targets = torch.zeros(len(self), len(self.label_names))
        for row, tags in enumerate(self.tags):
            targets[row, [column[tag] for tag in tags]] = 1.0
        return targets


@dataclass(frozen=True)
class Corpus:
    """A corpus whose manifest was read and whose shards all exist.

    Attributes:
        folder: A path on this machine or a URI.
        manifest: Its description.
    """

    folder: StoragePath
    manifest: Manifest

    @classmethod
    def open(cls, folder: str | Path | StoragePath) -> Corpus:
        """Opens the corpus in `folder`, a path or a URI; every shard must exist with its size.

        Raises:
            CorpusError: It is missing, empty, of another schema, or a shard is missing or has
                another size.
        """
        root = StoragePath.of(folder)
        manifest = read_manifest(root)
        sizes = with_retries(root, root.file_sizes)
        for shard in manifest.shards:
            if (size := sizes.get(shard.file)) is None:
                raise CorpusError(
                    f"shard {root / shard.file} is missing: "
                    "import the corpus again or restore the file"
                )
            if size != shard.bytes:
                raise CorpusError(
                    f"shard {root / shard.file} has {size} bytes where the manifest says "
                    f"{shard.bytes}: import the corpus again"
                )
        if not manifest.rows:
            raise CorpusError(f"the corpus {root} holds no clips: import a folder of audio again")
        return cls(root, manifest)

    @property
    def name(self) -> str:
        """Name given at import."""
        return self.manifest.name

    @property
    def caption(self) -> str:
        """Name and number of clips of each split, as text."""
        counts = ", ".join(f"{self.rows(split)} {split}" for split in self.splits)
        return f"{self.name} ({counts} clips)"

    @property
    def hash(self) -> str:
        """SHA-256 of the manifest, part of every trial's identity."""
        return self.manifest.hash

    @property
    def clip_samples(self) -> int:
        """Samples of every clip."""
        return self.manifest.clip_samples

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that have clips, in the order train, dev, test."""
        return tuple(split for split in SPLITS if self.rows(split))

    def rows(self, split: Split) -> int:
        """Clips of a split, 0 where the corpus has no such split."""
        return self.manifest.rows.get(split, 0)

    def row_groups(self, split: Split) -> tuple[RowGroup, ...]:
        """Row groups of a split in the manifest's order."""
        return tuple(
            RowGroup(self.folder / shard.file, index, rows)
            for shard in self.manifest.shards
            if shard.split == split
            for index, rows in enumerate(shard.row_group_rows)
        )

    def probe_task(self, split: Split) -> ProbeTask:
        """Kind of task that the labels of a split are to a probe.

        Reads the labels of the split, and those of training clips up to the first that tells.

        Raises:
            CorpusError: A shard is missing or damaged.
        """
        held_out = Counter(label for labels in self._labels(split) for label in labels)
        task: ProbeTask = "none"
        for labels in self._labels("train") if held_out else ():
            for label in held_out.keys() & {*labels}:
                if held_out[label] < self.rows(split):
                    return "scored"
                task = "trivial"
        return task

    def _labels(self, split: Split) -> Iterator[list[str]]:
        for group in self.row_groups(split):
            yield from read_row_group(group, ["labels"])["labels"].to_pylist()

    def read_split(self, split: Split) -> Clips:
        """Reads a split whole into memory.

        Raises:
            CorpusError: The split has no clips, or a shard is damaged.
        """
        return self._clips([read_row_group(group, _CLIP_COLUMNS) for group in self._groups(split)])

    def draw_clips(self, split: Split, count: int, shortest: int = 0) -> Clips:
        """Draws `count` (at least 1) clips of a split, or all, always the same in the same order.

        Clips with fewer than `shortest` samples of their own come after all others.

        Neighbours in a corpus may be pieces of one recording, so the order is that of a hash of the
        clip ids. Clips come from as many row groups as training shuffles together, or as hold
        `count`, themselves taken by a hash of their position: of a large corpus little is read, and
        two clips are as likely to be of one recording as two clips of a training step.

        Raises:
            CorpusError: The split has no clips, or a shard is damaged.
        """
        every, rows = self._groups(split), 0
        hashes = _hashes(range(len(every)))
        groups: list[RowGroup] = []
        for position in sorted(range(len(every)), key=hashes.__getitem__):
            if rows >= count and len(groups) >= WINDOW_ROW_GROUPS:
                break
            groups.append(every[position])
            rows += every[position].rows
        tables = [read_row_group(group, ["clip_id", "num_samples"]) for group in groups]
        drawn = sorted(
            (own < shortest, hashed, group, row)
            for group, table in enumerate(tables)
            for row, (own, hashed) in enumerate(
                zip(
                    table["num_samples"].to_pylist(),
                    _hashes(table["clip_id"].to_pylist()),
                    strict=True,
                )
            )
        )[:count]
        parts = {}
        for group in sorted({group for *_, group, _ in drawn}):
            own = [row for *_, at, row in drawn if at == group]
            kept = read_row_group(groups[group], _CLIP_COLUMNS).take(own)  # frees the other rows
            parts[group] = iter(kept.to_batches(1))
        return self._clips([pa.Table.from_batches([next(parts[at])]) for *_, at, _ in drawn])

    def stream_split(self, split: Split) -> Iterator[Clips]:
        """Reads a split a row group at a time, and keeps none of them.

        Raises:
            CorpusError: The split has no clips, or a shard is damaged.
        """
        for group in self._groups(split):
            yield self._clips([read_row_group(group, _CLIP_COLUMNS)])

    def _groups(self, split: Split) -> tuple[RowGroup, ...]:
        if not self.rows(split):
            raise CorpusError(
                f"the corpus {self.folder} has no {split} clips, "
                f"only {', '.join(self.splits)}: name another split"
            )
        return self.row_groups(split)

    def _clips(self, tables: list[pa.Table]) -> Clips:
        audio = torch.empty(sum(map(len, tables)), self.clip_samples)
        begin = 0
        for table in tables:
            fill_floats(
                audio[begin : begin + len(table)].numpy(),
                pcm_matrix(table["audio"].combine_chunks(), self.clip_samples),
            )
            begin += len(table)
        small = pa.concat_tables(table.drop_columns("audio") for table in tables)
        rows: dict[str, list[Any]] = small.to_pydict()
        return Clips(
            audio=audio,
            clip_ids=torch.tensor(rows["clip_id"], dtype=torch.int64),
            num_samples=torch.tensor(rows["num_samples"], dtype=torch.int64),
            labels=tuple(rows["label"]),
            tags=tuple(tuple(tags) for tags in rows["labels"]),
            groups=tuple(rows["group"]),
            paths=tuple(rows["path"]),
            label_names=self.manifest.label_names,
        )


def _hashes(numbers: Iterable[int]) -> list[int]:
    ids = torch.tensor(list(numbers), dtype=torch.int64)
    return uniform_integers(Key(0, 0, Purpose.DRAWN_CLIPS), ids, (), 1 << 62).tolist()


def read_manifest(folder: StoragePath) -> Manifest:
    """Reads the manifest of a corpus, whatever state its shards are in.

    Raises:
        CorpusError: There is no corpus, or it is of another schema.
    """
    path = folder / MANIFEST_NAME

    def read() -> bytes:
        if not folder.is_folder():
            raise CorpusError(
                f"there is no corpus folder {folder}: "
                f"make one with `cpc data import SOURCE --out {folder}`"
            )
        if not path.is_file():
            raise CorpusError(
                f"{folder} is not a corpus, it has no {MANIFEST_NAME}: "
                f"make one with `cpc data import {folder} --out CORPUS`"
            )
        return path.read_bytes()

    try:
        content = json.loads(with_retries(path, read))
        # First, because another schema has other fields.
        if (
            isinstance(content, dict)
            and (schema := content.get("schema_version", CORPUS_SCHEMA)) != CORPUS_SCHEMA
        ):
            raise CorpusError(
                f"{path} has schema {schema}, this version reads schema {CORPUS_SCHEMA}: "
                "import the corpus again"
            )
        return Manifest.model_validate(verified(content))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise CorpusError(
            f"{path} is not a manifest ({field}: {first['msg']}): import the corpus again"
        ) from error
    except (OSError, ValueError, AttributeError) as error:
        raise CorpusError(f"{path} cannot be read ({error}): import the corpus again") from error
