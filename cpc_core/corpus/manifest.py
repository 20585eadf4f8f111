"""Schema of a corpus on disk: the columns of a shard, and the manifest that describes them all.

corpus/
  manifest.json            a `Manifest`; its hash is part of every trial's identity
  train-00000.parquet …    row groups of `ROW_GROUP_CLIPS` clips, one split a shard
  dev-00000.parquet …
  rejected.csv, notes.csv  recordings that the import refused, and those that it repaired or read
                           in another way than they are written

The audio is int16 PCM, uncompressed, in a binary column (Parquet would store int16 lists as int32).
Measured on 93 minutes of speech, music and sounds as 561 clips of 10 s, one core, from the file to
floats:

  stored as        size     read          write
  int16            1.00     39 k audio-s/s   37 k audio-s/s
  int16, zstd 1    0.83     19 k          16 k
  int16, lz4       0.94     42 k          17 k
  FLAC             0.57      4.8 k         4.8 k (encoding)

FLAC would cost each reader eight times the CPU, a core per GPU of a fast model, to save disk space.
Zstandard saves 17 % for half the reading rate. It pays for the other columns, which are mostly
repetitions: those are compressed.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal, TypeAlias, get_args

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

CORPUS_SCHEMA = 2
"""Raise it when a column or a field of the manifest changes its meaning."""

MANIFEST_NAME = "manifest.json"
_HASH = "sha256"
Split: TypeAlias = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

ROW_GROUP_CLIPS = 16
"""Clips of a row group: 5 MB of ten-second clips, several row groups in a corpus of a hundred."""

ROW_GROUP_BYTES = 8 * 2**20
"""Audio of a row group of clips so long that fewer fit: bounds the memory of a reader."""

SHARD_BYTES = 96 * 2**20
"""Audio of a shard that an import plans for."""

LARGEST_SHARD_BYTES = 120 * 2**20
"""Limit on the audio of a shard: with the small columns its file stays below 128 MiB."""


def _column(name: str, kind: pa.DataType, about: str | None = None) -> pa.Field:
    return pa.field(name, kind, nullable=False, metadata={"about": about} if about else None)


CLIP_SCHEMA = pa.schema(
    [
        _column("clip_id", pa.int64(), "hash of the file's bytes, its path and start_s"),
        _column("audio", pa.binary(), "little-endian int16 mono PCM, clip_samples long"),
        _column("num_samples", pa.int32(), "samples of the recording, before padding"),
        _column("sample_rate_hz", pa.int32()),
        _column("labels", pa.list_(pa.string()), "sorted tags, the label included"),
        _column("label", pa.string(), "primary label, empty where there is none"),
        _column("split", pa.string()),
        _column(
            "group", pa.string(), "recording, speaker or kit: what a drawn split keeps together"
        ),
        _column("path", pa.string(), "the recording, below the imported folder"),
        _column("source", pa.string(), "where it came from, in the words of labels.csv"),
        _column("license", pa.string()),
        _column("start_s", pa.float64(), "where the clip begins in its recording"),
        _column("fold", pa.string(), "of a published cross-validation, empty without one"),
        _column("task", pa.string(), "task of the label, empty where there is one task"),
        _column("target", pa.string(), "value to predict, as the table writes it"),
    ]
)
"""Columns of a shard. Their texts are stored in every shard, so they are part of its hash."""


class _Frozen(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


SHORTEST_RECORDING_S = 0.05
"""Seconds of the shortest recording that is imported by default."""

SHORTEST_REST = 0.1
"""Share of a clip that a rest of a longer recording fills at least, by default."""


class ImportOptions(_Frozen):
    """Settings of an import: part of the manifest, so of every trial's identity."""

    clip_s: float = Field(default=10.0, ge=0.06)
    """Length of every clip in seconds (the paper's AudioSet clips: 10); at least one patch of the
    encoder.
    """

    long_files: Literal["split", "crop"] = "split"
    """`split` cuts a longer recording into consecutive clips, `crop` keeps its beginning."""

    padding: Literal["zero", "repeat", "loop"] = "zero"
    """Filling of a clip that is longer than its recording. `zero` appends silence, which takes part
    in no number. `repeat` plays the recording again and counts it as audio: a model can then copy
    what it has heard before. `loop` is `repeat` in older corpora, where it takes part in none.
    """

    shortest_s: float | None = Field(default=None, gt=0)
    """Shortest recording, and shortest rest of a longer one; others are refused, or left out. By
    default 0.05 s for recordings, and a tenth of the clip for rests. One patch of the encoder is
    0.06 s.
    """

    dev_fraction: float = Field(default=0.05, ge=0, lt=1)
    """Share of the groups in the dev split where the source names no splits. Section 3.2 of the
    paper: 95/5.
    """

    seed: int = Field(default=0, ge=0)
    """Seed of the draw of those groups."""

    @property
    def shortest_recording_s(self) -> float:
        """Seconds of the shortest recording that is imported."""
        return SHORTEST_RECORDING_S if self.shortest_s is None else self.shortest_s

    @property
    def shortest_rest_s(self) -> float:
        """Seconds of the shortest rest of a longer recording that is a clip of its own."""
        default = max(SHORTEST_RECORDING_S, SHORTEST_REST * self.clip_s)
        return default if self.shortest_s is None else self.shortest_s

    @model_validator(mode="after")
    def _possible(self) -> ImportOptions:
        if self.shortest_s is not None and self.shortest_s > self.clip_s:
            raise ValueError(
                f"shortest_s {self.shortest_s:g} exceeds clip_s {self.clip_s:g}: "
                "every clip would be refused"
            )
        return self


class Shard(_Frozen):
    """One Parquet file."""

    file: str
    split: Split
    rows: int
    row_group_rows: tuple[int, ...]
    bytes: int
    sha256: str


class Totals(_Frozen):
    """Recordings of an import in numbers."""

    recordings: int
    """Entries of the source."""

    rejected: int
    """Entries without a clip; rejected.csv lists the reasons."""

    noted: int
    """Entries that were repaired; notes.csv lists the repairs."""

    audio_s: float
    """Seconds of recordings in the clips, padding not counted."""

    left_out_s: float = Field(default=0.0, exclude_if=lambda seconds: seconds == 0)
    """Seconds of rests that were too short for a clip of their own."""


class Manifest(_Frozen):
    """Description of a whole corpus: all that a reader needs before it opens a shard."""

    schema_version: int = CORPUS_SCHEMA
    name: str
    sample_rate_hz: int
    clip_samples: int
    options: ImportOptions
    totals: Totals
    label_rows: dict[str, int]
    """Clips that carry each label."""

    rows: dict[Split, int]
    """Clips of each split that has any."""

    shards: tuple[Shard, ...]

    ignored: dict[str, int] = Field(default={})
    """Files below the source that no entry names, by their ending: no part of the corpus."""

    @property
    def label_names(self) -> tuple[str, ...]:
        """Every label of the corpus, sorted: the columns of a probe's targets."""
        return tuple(sorted(self.label_rows))

    @property
    def hash(self) -> str:
        """SHA-256 over the canonical JSON without the name and what was ignored.

        It covers the shards' own hashes, so it identifies the content to the byte.
        """
        return _sha256(self.model_dump(mode="json", exclude={"name", "ignored"}))

    def to_json(self) -> bytes:
        """Content of the file, with a hash over all of it."""
        content = self.model_dump(mode="json")
        return json.dumps({**content, _HASH: _sha256(content)}, indent=1).encode() + b"\n"


def verified(content: dict[str, Any]) -> dict[str, Any]:
    """The fields of a manifest without their hash, which older manifests do not have.

    Raises:
        ValueError: They are not those that were written.
    """
    fields = {name: value for name, value in content.items() if name != _HASH}
    if content.get(_HASH, _sha256(fields)) != _sha256(fields):
        raise ValueError("its values are not those that were written")
    return fields


def _sha256(content: dict[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
