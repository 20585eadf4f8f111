"""A folder of recordings becomes a corpus: every usable file as clips in shards, every refused one in rejected.csv."""

from __future__ import annotations

import csv
import hashlib
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cpc_core.audio import printable
from cpc_core.corpus.clips import Clip, clip_samples, cut
from cpc_core.corpus.labels import Entry, read_entries
from cpc_core.corpus.manifest import MANIFEST_NAME, SPLITS, ImportOptions, Manifest, Shard, Split
from cpc_core.corpus.pcm import BYTES_PER_SAMPLE
from cpc_core.corpus.shards import ShardWriter
from cpc_core.corpus.splits import with_splits
from cpc_core.errors import AudioError, CorpusError
from cpc_core.geometry import SAMPLE_RATE_HZ

REJECTED_NAME = "rejected.csv"
NOTES_NAME = "notes.csv"


@dataclass(frozen=True)
class ImportSummary:
    """What an import made.

    Attributes:
        corpus: The corpus folder.
        hash: Its hash.
        recordings: Entries of the source.
        rejected: Entries that gave no clip; rejected.csv says why.
        noted: Entries that were repaired; notes.csv says how.
        rows: Clips of each split that has any.
        audio_s: Seconds of recordings in the clips, padding not counted.
    """

    corpus: Path
    hash: str
    recordings: int
    rejected: int
    noted: int
    rows: dict[Split, int]
    audio_s: float


def import_folder(
    source: Path,
    out: Path,
    options: ImportOptions,
    *,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ImportSummary:
    """Import `source` into the new corpus folder `out`.

    Clips are stored in an order hashed from their paths, so that neighbours in a shard are unrelated and the order of
    labels.csv does not matter; the corpus takes its name from `source`.

    Args:
        source: Folder with a labels.csv, or with one sub-folder per class.
        out: The corpus; it appears when it is complete.
        options: How recordings become clips.
        overwrite: Replace a corpus that is at `out`.
        on_progress: Called after each recording with how many are done, and how many there are.

    Raises:
        CorpusError: The source is unusable, nothing of it could be read, or `out` exists or cannot be written.
    """
    _refuse_target(out, overwrite)
    entries = with_splits(read_entries(source), options.dev_fraction, options.seed)
    entries.sort(key=lambda entry: (hashlib.sha256(printable(entry.path).encode()).digest(), entry.start_s, entry.end_s or 0.0))
    with _new_folder(out, overwrite) as folder:
        writing = _Import(folder, options)
        for done, entry in enumerate(entries, start=1):
            writing.take(source, entry)
            on_progress(done, len(entries))
        manifest = writing.finish(source.absolute().name)
    return ImportSummary(
        corpus=out,
        hash=manifest.hash,
        recordings=len(entries),
        rejected=len(writing.rejected),
        noted=len(writing.notes),
        rows=dict(manifest.rows),
        audio_s=writing.samples / SAMPLE_RATE_HZ,
    )


@dataclass
class _Import:
    """An import under way: the open shards and what was found so far."""

    folder: Path
    options: ImportOptions
    writers: dict[Split, ShardWriter] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)
    clip_ids: set[int] = field(default_factory=set)
    rejected: list[tuple[str, str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    samples: int = 0

    def take(self, source: Path, entry: Entry) -> None:
        """Write the clips of one entry, or note why there are none."""
        notes: dict[str, None] = {}
        end_s = None
        try:
            for clip in cut(source, entry, self.options):
                if clip.clip_id in self.clip_ids:
                    raise AudioError(f"{printable(entry.path)}: the part from {clip.start_s:g} s on is listed twice")
                self._write(entry, clip)
                notes |= dict.fromkeys(clip.notes)
                end_s = clip.start_s + clip.num_samples / SAMPLE_RATE_HZ
        except AudioError as error:
            reason = str(error).removeprefix(f"{printable(entry.path)}: ").removeprefix(f"{printable(source / entry.path)}: ")
            if end_s is None:
                cause = error.__cause__ if error.__cause__ is not None else error
                self.rejected.append((printable(entry.path), reason, type(cause).__name__))
            else:
                notes[f"used only up to {end_s:g} s: {reason}"] = None
        if notes:
            self.notes.append((printable(entry.path), "; ".join(notes)))

    def _write(self, entry: Entry, clip: Clip) -> None:
        split = entry.split or "train"
        if split not in self.writers:
            self.writers[split] = ShardWriter(self.folder, split, len(clip.pcm) * BYTES_PER_SAMPLE)
        self.writers[split].add(
            {
                "clip_id": clip.clip_id,
                "audio": clip.pcm.tobytes(),
                "num_samples": clip.num_samples,
                "sample_rate_hz": SAMPLE_RATE_HZ,
                "labels": list(entry.tags),
                "label": entry.label,
                "split": split,
                "group": entry.group,
                "path": printable(entry.path),
                "source": entry.source,
                "license": entry.license,
                "start_s": clip.start_s,
            }
        )
        self.labels.update(entry.tags)
        self.clip_ids.add(clip.clip_id)
        self.samples += clip.num_samples

    def finish(self, name: str) -> Manifest:
        """Close the shards and write the manifest and both lists beside them."""
        if not self.writers:
            path, reason, _ = self.rejected[0]
            raise CorpusError(f"none of the {len(self.rejected)} recordings could be used; the first, {path}: {reason}")
        shards: list[Shard] = []
        for split in SPLITS:
            if split in self.writers:
                shards += self.writers[split].finish()
        manifest = Manifest(
            name=name,
            sample_rate_hz=SAMPLE_RATE_HZ,
            clip_samples=clip_samples(self.options),
            options=self.options,
            label_names=tuple(sorted(self.labels)),
            rows={split: sum(shard.rows for shard in shards if shard.split == split) for split in SPLITS if split in self.writers},
            shards=tuple(shards),
        )
        _write_csv(self.folder / REJECTED_NAME, ("path", "reason", "exception"), self.rejected)
        _write_csv(self.folder / NOTES_NAME, ("path", "note"), self.notes)
        (self.folder / MANIFEST_NAME).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
        return manifest


def _write_csv(path: Path, header: tuple[str, ...], rows: list[tuple[str, str, str]] | list[tuple[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _refuse_target(out: Path, overwrite: bool) -> None:
    if not out.exists():
        return
    if not overwrite:
        raise CorpusError(f"{out} exists already: choose another folder or pass --overwrite")
    if not (out / MANIFEST_NAME).is_file():
        raise CorpusError(f"{out} is not a corpus, so it is not overwritten: choose another folder")


@contextmanager
def _new_folder(out: Path, overwrite: bool) -> Iterator[Path]:
    """A folder to write into that takes the place of `out` if the block ends well, and vanishes if not."""
    partial = out.parent / f".{out.name}.{uuid.uuid4().hex}.partial"
    replaced = partial.with_suffix(".replaced")
    try:
        partial.mkdir(parents=True)
        yield partial
        if overwrite and out.exists():
            out.rename(replaced)
        partial.rename(out)
    except OSError as error:
        if replaced.exists():
            replaced.rename(out)
        raise CorpusError(f"the corpus {out} cannot be written ({error.strerror}): free space or choose another folder") from error
    finally:
        for left in (partial, replaced):
            shutil.rmtree(left, ignore_errors=True)
