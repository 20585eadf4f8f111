"""Embedding of a source: parts of it become files, and these one file of features."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from cpc_core.audio import printable
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.sources.entry import Entry, Remark, Source
from cpc_core.embed.options import EmbedOptions
from cpc_core.embed.part_embedding import embed_part
from cpc_core.embed.parts import Part, corpus_parts, recording_parts
from cpc_core.embed.table import METADATA, FeatureWriter, features_schema, read_kept, read_tables
from cpc_core.embed.workspace import Note, PartResult, Workspace
from cpc_core.errors import ConfigError, CorpusError, StorageError, TableError
from cpc_core.export.encoder import Encoder
from cpc_core.geometry import SAMPLE_RATE_HZ
from cpc_core.storage_path import StoragePath

FORMAT = 1
"""Raise it when a column or a field of the metadata changes its meaning."""

PartRunner: TypeAlias = Callable[
    [Workspace, Sequence[Part], Encoder, Callable[[float], None]], None
]
"""Function that calls `embed_part` for the parts, in any order, here or on a cluster.

It calls its last argument in this process with the seconds of audio just finished.
"""


def in_this_process(
    work: Workspace, parts: Sequence[Part], encoder: Encoder, on_seconds: Callable[[float], None]
) -> None:
    """Embeds one part after the other. A `PartRunner`."""
    for part in parts:
        embed_part(work, part, encoder, on_seconds)


@dataclass(frozen=True)
class EmbedSummary:
    """Result of an embedding.

    Attributes:
        metadata: What the file's metadata says.
        notes: File of the remarks; None where there are none.
        kept_s: Seconds of audio that an earlier, interrupted call had embedded.
    """

    metadata: dict[str, Any]
    notes: StoragePath | None
    kept_s: float


def embed_source(
    encoder: Encoder,
    export: str,
    source: Corpus | Source,
    out: str | Path | StoragePath,
    options: EmbedOptions,
    *,
    overwrite: bool = False,
    run: PartRunner = in_this_process,
    on_progress: Callable[[float, float], None] = lambda done_s, total_s: None,
) -> EmbedSummary:
    """Writes features of all recordings of a source into one Parquet file; see `features_schema`.

    An embedding that was interrupted resumes: its finished parts are in a workspace beside `out`,
    and are used if the model, the recordings and the settings are still the same.

    Args:
        encoder: The encoder.
        export: Id of its export.
        source: A corpus, or recordings.
        out: The file, a path or a URI; it appears when it is complete.
        options: Settings.
        overwrite: Replace a file of features at `out`.
        run: Embeds the parts.
        on_progress: Called with the seconds of audio that are embedded, and of all.

    Raises:
        CorpusError: The source is unusable, or nothing of it could be read.
        ConfigError: The model has no such layer, or `out` exists.
        StorageError: `out` cannot be written.
    """
    options.require_possible(encoder)
    work = Workspace(StoragePath.of(out), export, options)
    with work.storage_errors():
        _require_new_target(work.target, overwrite)
        with work.locked():
            parts, remarks = _parts(source)
            total_s, done_s = sum(part.seconds for part in parts), 0.0

            def count(seconds: float) -> None:
                nonlocal done_s
                done_s += seconds
                on_progress(done_s, total_s)

            missing = [part for part in parts if work.result(part) is None]
            kept_s = total_s - sum(part.seconds for part in missing)
            count(kept_s)
            run(work, missing, encoder, count)
            results = [_required(work, part) for part in parts]
            metadata = _metadata(work, source, encoder, results)
            _require_rows(work, metadata, results)
            notes = _write_notes(work.target, remarks, results)
            _join(work, parts, features_schema(options.dims(encoder)), metadata)
            work.discard()
    return EmbedSummary(metadata, notes, kept_s)


def notes_path(features: StoragePath) -> StoragePath:
    """File of the remarks on the recordings, beside a file of features."""
    return features.sibling(f"{features.name.removesuffix('.parquet')}.notes.csv")


def _require_new_target(target: StoragePath, overwrite: bool) -> None:
    if not (target.exists() or (target.is_local and Path(target).is_symlink())):
        return
    if not overwrite:
        raise ConfigError(f"{target} exists already: choose another file or pass --overwrite")
    linked = target.is_local and Path(target).is_symlink()
    if linked or not target.is_file() or read_kept(target, METADATA) is None:
        raise ConfigError(
            f"{target} is no file of features, so it is not overwritten: choose another file"
        )


def _parts(source: Corpus | Source) -> tuple[Sequence[Part], list[Note]]:
    """The parts of a source, and its remarks on its own files."""
    if isinstance(source, Corpus):
        return corpus_parts(source), []
    found = list(source.entries())
    entries = [each for each in found if isinstance(each, Entry)]
    if not entries:
        raise TableError(f"{source.folder} lists no recordings: add one row per recording")
    remarks = [
        Note(path=printable(each.path), start_s=0.0, outcome="noted", note=each.note)
        for each in found
        if isinstance(each, Remark) and each.note
    ]
    return recording_parts(source.folder, entries), remarks


def _required(work: Workspace, part: Part) -> PartResult:
    result = work.result(part)
    if result is None:
        raise StorageError(
            f"{work.part_file(part)} is gone or was changed by another command: let the other one "
            "end, then run the same command again"
        )
    return result


def _metadata(
    work: Workspace, source: Corpus | Source, encoder: Encoder, results: Sequence[PartResult]
) -> dict[str, Any]:
    options = work.options
    embedded = sum(result.embedded for result in results)
    rejected = sum(result.rejected for result in results)
    return {
        "format": FORMAT,
        "export": work.export,
        "corpus": source.hash if isinstance(source, Corpus) else None,
        "source": source.name if isinstance(source, Corpus) else source.folder.name,
        "layer": options.layer,
        "pooling": options.pooling,
        "window_s": options.window_s,
        "dims": options.dims(encoder),
        "hop_s": encoder.hop_s(options.layer),
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "recordings": embedded + rejected,
        "embedded": embedded,
        "rejected": rejected,
    }


def _require_rows(work: Workspace, metadata: dict[str, Any], results: Sequence[PartResult]) -> None:
    if metadata["embedded"]:
        return
    work.discard()
    first = next(note for result in results for note in result.notes)
    raise CorpusError(
        f"none of the {metadata['rejected']} recordings could be used; "
        f"the first, {first.path}: {first.note}"
    )


def _write_notes(
    features: StoragePath, remarks: Sequence[Note], results: Sequence[PartResult]
) -> StoragePath | None:
    path = notes_path(features)
    notes = [*remarks, *(note for result in results for note in result.notes)]
    path.remove()
    if not notes:
        return None
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(Note.model_fields))
    writer.writeheader()
    writer.writerows(note.model_dump() for note in notes)
    path.write_bytes(file.getvalue().encode())
    return path


def _join(
    work: Workspace, parts: Sequence[Part], schema: pa.Schema, metadata: dict[str, Any]
) -> None:
    described = schema.with_metadata({METADATA: json.dumps(metadata)})
    try:
        with FeatureWriter(work.target, described) as writer:
            for table in read_tables(map(work.part_file, parts)):
                writer.add(table)
    except pa.ArrowException as error:
        raise StorageError(
            f"a part in {work.folder} is damaged ({str(error).splitlines()[0]}): delete that "
            "folder, and run the same command again"
        ) from error
