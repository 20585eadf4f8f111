"""A source becomes a corpus: every usable recording as clips in shards, every refused one in
rejected.csv.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cpc_core.corpus.importing.clips import clip_samples
from cpc_core.corpus.importing.part_import import import_part
from cpc_core.corpus.importing.parts import plan_parts
from cpc_core.corpus.importing.splits import groups_in_several_splits, with_splits
from cpc_core.corpus.importing.workspace import PartResult, Workspace, storage_errors
from cpc_core.corpus.manifest import MANIFEST_NAME, SPLITS, ImportOptions, Manifest, Split, Totals
from cpc_core.corpus.sources.detect import open_source
from cpc_core.corpus.sources.entry import Source
from cpc_core.errors import CorpusError, StorageError
from cpc_core.geometry import SAMPLE_RATE_HZ
from cpc_core.storage_path import StoragePath

REJECTED_NAME = "rejected.csv"


NOTES_NAME = "notes.csv"


class PartRunner(Protocol):
    """Whatever makes the parts of an import: this process, or a cluster."""

    def __call__(
        self, work: Workspace, names: Sequence[str], on_recordings: Callable[[int], None]
    ) -> None:
        """Call `import_part` for all of them, in any order, and `on_recordings` in this process as
        they get on.
        """


def in_this_process(
    work: Workspace, names: Sequence[str], on_recordings: Callable[[int], None]
) -> None:
    """Makes one part after the other. A `PartRunner`."""
    for name in names:
        import_part(work, name, on_recordings)


@dataclass(frozen=True)
class ImportSummary:
    """What an import made.

    Attributes:
        corpus: The corpus.
        hash: Its hash.
        recordings: Entries of the source.
        rejected: Entries that gave no clip; rejected.csv says why.
        noted: Entries that were repaired; notes.csv says how.
        rows: Clips of each split that has any.
        audio_s: Seconds of recordings in the clips, padding not counted.
        kept: Entries that an earlier, interrupted import had finished.
        divided_groups: Groups that are in more than one split, because the source says so.
    """

    corpus: StoragePath
    hash: str
    recordings: int
    rejected: int
    noted: int
    rows: dict[Split, int]
    audio_s: float
    kept: int
    divided_groups: int


def import_folder(
    source: Path, out: str | Path | StoragePath, options: ImportOptions, *, overwrite: bool = False
) -> ImportSummary:
    """Import what is found at `source` in this process; see `import_source`."""
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
    """Import `source` into the new corpus `out`.

    An import that was interrupted goes on where it was: what it finished is in a workspace beside
    `out`, and is used if the source and the options are still the same. The corpus takes its name
    from the source's folder.

    Args:
        source: Recordings.
        out: The corpus, a path or a URI; it appears when it is complete.
        options: How recordings become clips.
        overwrite: Replace a corpus that is at `out`.
        run: Who makes the shards; they are the same to the byte.
        on_progress: Called with the number of recordings that are done, and how many there are.

    Raises:
        CorpusError: The source is unusable, nothing of it could be read, or `out` exists.
        StorageError: `out` cannot be written.
    """
    work = Workspace(StoragePath.of(out))
    with storage_errors(work.target):
        _refuse_target(work, overwrite)
    entries = with_splits(list(source.entries()), options.dev_fraction, options.seed)
    total, divided = len(entries), groups_in_several_splits(entries)
    with work.locked():
        # Again: another import may have published while this one listed its recordings.
        _refuse_target(work, overwrite)
        keys = {part.name: work.add(part) for part in plan_parts(source.folder, entries, options)}
        # Two million of them are gigabytes, and are written down by now.
        del entries
        kept = sum(
            result.recordings
            for name, key in keys.items()
            if (result := work.result(name)) is not None and result.part == key
        )
        run(work, list(keys), _ProgressCounter(total, on_progress).add)
        results = _collected(work, keys)
        manifest = _manifest(source.folder.name, options, results)
        _require_clips(work, results)
        _publish(work, manifest, results)
    return ImportSummary(
        corpus=work.target,
        hash=manifest.hash,
        recordings=total,
        rejected=manifest.totals.rejected,
        noted=manifest.totals.noted,
        rows=dict(manifest.rows),
        audio_s=manifest.totals.audio_s,
        kept=kept,
        divided_groups=divided,
    )


@dataclass
class _ProgressCounter:
    """Sums up what is reported in steps."""

    total: int
    on_progress: Callable[[int, int], None]
    done: int = 0

    def add(self, count: int) -> None:
        self.done += count
        self.on_progress(self.done, self.total)


def _refuse_target(work: Workspace, overwrite: bool) -> None:
    out = work.target
    if not out.exists() or work.is_half_published():
        return
    if not overwrite:
        raise CorpusError(f"{out} exists already: choose another folder or pass --overwrite")
    if not (out / MANIFEST_NAME).is_file():
        raise CorpusError(f"{out} is not a corpus, so it is not overwritten: choose another folder")


def _collected(work: Workspace, keys: Mapping[str, str]) -> list[PartResult]:
    """What came of every part; refused where another import got in between, which no lock prevents
    in a store.
    """
    results = []
    for name, key in keys.items():
        result = work.result(name)
        if result is None or result.part != key:
            raise StorageError(
                f"the record of {name} in {work.folder} is gone or was changed by another import: "
                "let the other one end, then run the same command again"
            )
        results.append(result)
    return results


def _manifest(name: str, options: ImportOptions, results: Sequence[PartResult]) -> Manifest:
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
        ),
        label_rows=dict(sorted(label_rows.items())),
        rows={split: count for split, count in rows.items() if count},
        shards=shards,
    )


def _require_clips(work: Workspace, results: Sequence[PartResult]) -> None:
    if any(result.shards for result in results):
        return
    work.discard()
    refused = [rejection for result in results for rejection in result.rejected]
    raise CorpusError(
        f"none of the {len(refused)} recordings could be used; the first, {refused[0].path}: {refused[0].reason}"
    )


def _publish(work: Workspace, manifest: Manifest, results: Sequence[PartResult]) -> None:
    rejected = sorted(
        (row.path, row.reason, row.exception) for result in results for row in result.rejected
    )
    notes = sorted((row.path, row.note) for result in results for row in result.notes)
    files = {
        MANIFEST_NAME: manifest.model_dump_json(indent=1).encode() + b"\n",
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
