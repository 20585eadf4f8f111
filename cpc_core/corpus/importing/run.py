"""Import of a source: usable recordings become clips in shards, the others rows of rejected.csv."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.importing.clips import clip_samples
from cpc_core.corpus.importing.listing import Listing
from cpc_core.corpus.importing.part_import import import_part
from cpc_core.corpus.importing.parts import plan_parts
from cpc_core.corpus.importing.splits import groups_in_several_splits
from cpc_core.corpus.importing.workspace import PartResult, Workspace, storage_errors
from cpc_core.corpus.manifest import MANIFEST_NAME, SPLITS, ImportOptions, Manifest, Totals
from cpc_core.corpus.sources.detect import open_source
from cpc_core.corpus.sources.entry import Source
from cpc_core.errors import CorpusError, StorageError
from cpc_core.geometry import SAMPLE_RATE_HZ
from cpc_core.storage_path import StoragePath

REJECTED_NAME = "rejected.csv"
NOTES_NAME = "notes.csv"

PartRunner: TypeAlias = Callable[[Workspace, Sequence[str], Callable[[int], None]], None]
"""Function that calls `import_part` for the named parts, in any order, here or on a cluster.

It calls its last argument in this process with the number of recordings just finished.
"""


def in_this_process(
    work: Workspace, names: Sequence[str], on_recordings: Callable[[int], None]
) -> None:
    """Imports one part after the other. A `PartRunner`."""
    for name in names:
        import_part(work, name, on_recordings)


@dataclass(frozen=True)
class ImportSummary:
    """Result of an import.

    Attributes:
        corpus: The imported corpus.
        kept: Entries that an earlier, interrupted import had finished.
        divided_groups: Groups in more than one split, because the source names the splits so.
        remarks: What the user should know of the source, one sentence each.
    """

    corpus: Corpus
    kept: int
    divided_groups: int
    remarks: tuple[str, ...]


def import_folder(
    source: Path, out: str | Path | StoragePath, options: ImportOptions, *, overwrite: bool = False
) -> ImportSummary:
    """Imports the source at the path `source` in this process; see `import_source`."""
    return import_source(open_source(source), out, options, overwrite=overwrite)


def import_source(
    source: Source,
    out: str | Path | StoragePath,
    options: ImportOptions,
    *,
    overwrite: bool = False,
    run: PartRunner = in_this_process,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ImportSummary:
    """Imports `source` into the new corpus `out`, which is named after the source's folder.

    An import that was interrupted resumes: its finished parts are in a workspace in the parent
    folder of `out`, and are used if the source and the options are still the same.

    Args:
        source: Recordings.
        out: The corpus, a path or a URI; it appears when it is complete.
        options: Settings of the import.
        overwrite: Replace a corpus at `out`.
        run: Imports the parts; the shards do not depend on it.
        on_progress: Called with the number of finished recordings and of all recordings.

    Raises:
        CorpusError: The source is unusable, nothing of it could be read, or `out` exists.
        StorageError: `out` cannot be written.
    """
    work = Workspace(StoragePath.of(out))
    with storage_errors(work.target):
        _require_new_target(work, overwrite)
    listing = Listing.of(source, options, work)
    entries = listing.entries
    total, divided = len(entries), groups_in_several_splits(entries)
    done = 0

    def count(recordings: int) -> None:
        nonlocal done
        done += recordings
        on_progress(done, total)

    with work.locked():
        # Again: another import may have published while this one listed its recordings.
        _require_new_target(work, overwrite)
        keys = {part.name: work.add(part) for part in plan_parts(source.folder, entries, options)}
        # Two million of them are gigabytes, and by now they are on the disk.
        del entries
        listing.entries.clear()
        earlier = [result for name, key in keys.items() if (result := work.result(name, key))]
        kept = sum(result.recordings for result in earlier)
        run(work, list(keys), count)
        results = _collect(work, keys)
        manifest = _manifest(source.folder.name, options, results, listing.ignored)
        _require_clips(work, results)
        _publish(work, manifest, results, listing.notes)
    return ImportSummary(Corpus(work.target, manifest), kept, divided, listing.remarks(manifest))


def _require_new_target(work: Workspace, overwrite: bool) -> None:
    out = work.target
    if not out.exists() or work.publish_interrupted():
        return
    if not overwrite:
        raise CorpusError(f"{out} exists already: choose another folder or pass --overwrite")
    if not (out / MANIFEST_NAME).is_file():
        raise CorpusError(f"{out} is not a corpus, so it is not overwritten: choose another folder")


def _collect(work: Workspace, keys: Mapping[str, str]) -> list[PartResult]:
    """Reads the results of all parts.

    Raises:
        StorageError: Another import has replaced one, which no lock prevents in an object store.
    """
    results = []
    for name, key in keys.items():
        result = work.result(name, key)
        if result is None:
            raise StorageError(
                f"the record of {name} in {work.folder} is gone or was changed by another import: "
                "let the other one end, then run the same command again"
            )
        results.append(result)
    return results


def _manifest(
    name: str,
    options: ImportOptions,
    results: Sequence[PartResult],
    ignored: Mapping[str, int],
) -> Manifest:
    shards = tuple(shard for result in results for shard in result.shards)
    rows = {split: sum(shard.rows for shard in shards if shard.split == split) for split in SPLITS}
    label_rows: Counter[str] = Counter()
    for result in results:
        label_rows.update(result.label_rows)
    return Manifest(
        name=name,
        sample_rate_hz=SAMPLE_RATE_HZ,
        clip_samples=clip_samples(options),
        options=options,
        totals=Totals(
            recordings=sum(result.recordings for result in results),
            rejected=sum(len(result.rejected) for result in results),
            noted=sum(len(result.notes) for result in results),
            audio_s=sum(result.samples for result in results) / SAMPLE_RATE_HZ,
            left_out_s=sum(result.left_out for result in results) / SAMPLE_RATE_HZ,
        ),
        label_rows=dict(sorted(label_rows.items())),
        rows={split: count for split, count in rows.items() if count},
        shards=shards,
        ignored=dict(ignored),
    )


def _require_clips(work: Workspace, results: Sequence[PartResult]) -> None:
    if any(result.shards for result in results):
        return
    work.discard()
    refused = [rejection for result in results for rejection in result.rejected]
    raise CorpusError(
        f"none of the {len(refused)} recordings could be used; "
        f"the first, {refused[0].path}: {refused[0].reason}"
    )


def _publish(
    work: Workspace,
    manifest: Manifest,
    results: Sequence[PartResult],
    of_source: Sequence[tuple[str, str]],
) -> None:
    rejected = sorted(
        (row.path, row.reason, row.exception) for result in results for row in result.rejected
    )
    of_recordings = ((row.path, row.note) for result in results for row in result.notes)
    notes = sorted((*of_source, *of_recordings))
    files = {
        MANIFEST_NAME: manifest.to_json(),
        REJECTED_NAME: _csv(("path", "reason", "exception"), rejected),
        NOTES_NAME: _csv(("path", "note"), notes),
    }
    for name, content in files.items():
        (work.shards / name).write_bytes(content)
    work.publish([*(shard.file for shard in manifest.shards), *files])


def _csv(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file).writerows([header, *rows])
    return file.getvalue().encode()
