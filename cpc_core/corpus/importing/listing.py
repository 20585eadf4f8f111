"""Recordings of a source, each with its split, and an account of every other file below it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cpc_core.audio import printable
from cpc_core.corpus.importing.clips import cut_clips
from cpc_core.corpus.importing.splits import with_splits
from cpc_core.corpus.importing.workspace import Workspace
from cpc_core.corpus.manifest import ImportOptions, Manifest
from cpc_core.corpus.sources.entry import Entry, Remark, Source
from cpc_core.corpus.sources.files import HIDDEN, LINK, is_audio, walk
from cpc_core.corpus.sources.split_folders import names_split
from cpc_core.errors import AudioError, TableError

_TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".json", ".jsonl", ".parquet", ".xls", ".xlsx"})
_FOLD = re.compile(r"(?:fold|cv|split|part)[-_ ]?\d+", re.IGNORECASE)
_NAMED = 3


@dataclass
class Listing:
    """Recordings and other files of a source.

    Attributes:
        entries: The recordings, each with its split.
        notes: Path and text of every remark of the source on its own files.
        ignored: Files below the source's folder that are neither recordings nor described by a
            remark, by their ending; audio among them is of no row of a table.
        tables: The first of those files that look like tables.
        unlabelled: Number of recordings without a label.
        unlearnable: Labels that no training recording has, sorted.
    """

    entries: list[Entry]
    notes: list[tuple[str, str]]
    ignored: dict[str, int]
    tables: list[str]
    unlabelled: int
    unlearnable: list[str]

    @classmethod
    def of(cls, source: Source, options: ImportOptions, work: Workspace) -> Listing:
        """Lists a source.

        Args:
            source: Recordings.
            options: Settings of the import.
            work: Where the corpus is written: if that is below the source, it is no part of it.

        Raises:
            CorpusError: A table lists nothing or is not understood, or a folder cannot be listed.
        """
        entries: list[Entry] = []
        remarks: list[Remark] = []
        for item in source.entries():
            if isinstance(item, Entry):
                entries.append(item)
            else:
                remarks.append(item)
        if not entries:
            raise TableError(f"{source.folder} lists no recordings: add one row per recording")
        named = {entry.path for entry in entries} | {remark.path for remark in remarks}
        ignored: Counter[str] = Counter()
        tables: list[str] = []
        for path, kind in _others(source.folder, named, work):
            ignored[kind] += 1
            is_table = kind in _TABLE_SUFFIXES or (kind == ".txt" and names_split(path.stem))
            if is_table and len(tables) < _NAMED:
                tables.append(printable(path))

        def usable(entry: Entry) -> bool:
            try:
                return next(cut_clips(source.folder, entry, options), None) is not None
            except AudioError:
                return False

        entries = with_splits(entries, options.dev_fraction, options.seed, usable)
        learnt = {tag for entry in entries if entry.split == "train" for tag in entry.tags}
        return cls(
            entries=entries,
            notes=[(printable(each.path), each.note) for each in remarks if each.note],
            ignored=dict(sorted(ignored.items())),
            tables=tables,
            unlabelled=sum(not entry.tags for entry in entries),
            unlearnable=sorted({tag for entry in entries for tag in entry.tags} - learnt),
        )

    def remarks(self, manifest: Manifest) -> tuple[str, ...]:
        """Sentences for the user of the corpus that the listing became."""
        found = [f"{path}: {note}" if path != "." else note for path, note in self.notes]
        found += _on_files(self.ignored, self.tables)
        found += _on_labels(manifest, self.unlabelled)
        if self.unlearnable and "train" in manifest.rows:
            named = ", ".join(self.unlearnable[:_NAMED])
            more = " …" if len(self.unlearnable) > _NAMED else ""
            found.append(
                f"labels of no training recording, so that no probe learns them: {named}{more}"
            )
        if "train" not in manifest.rows:
            found.append("no training clips came out: the corpus can be probed, not trained on")
        elif "dev" not in manifest.rows:
            found.append(
                "no dev clips came out, and training needs some: import more recordings, or raise "
                "--dev-fraction, or name dev recordings where the source names the splits"
            )
        return tuple(found)


def _others(folder: Path, named: set[Path], work: Workspace) -> Iterator[tuple[Path, str]]:
    """Files below a folder that no entry and no remark names, with their kinds."""
    own = [Path(each) for each in (work.target, work.folder) if work.target.is_local]
    outside = [each.relative_to(folder) for each in own if each.is_relative_to(folder)]
    for found in walk(folder):
        if found.path in named:
            continue
        if any(found.path.is_relative_to(each) for each in outside):
            continue
        yield found.path, found.kind


def _on_files(ignored: dict[str, int], tables: Sequence[str]) -> Iterator[str]:
    audio = {kind: count for kind, count in ignored.items() if is_audio(Path(f"x{kind}"))}
    links = ignored.get(LINK, 0)
    others = {kind: count for kind, count in ignored.items() if kind not in audio and kind != LINK}
    if audio:
        yield f"audio files that the table does not list, left out: {_counts(audio)}"
    if links:
        yield f"links to what is read at another place below the source, left out: {links}"
    if others:
        text = f"files left out by their endings: {_counts(others)}"
        yield text + (f" ({HIDDEN}: named with a dot)" if HIDDEN in others else "")
    if tables:
        yield (
            f"tables that were not used: {', '.join(tables)}; one with the columns path, label and "
            "perhaps split is used if it is named instead of the folder, or is called labels.csv"
        )


def _counts(kinds: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def _on_labels(manifest: Manifest, unlabelled: int) -> Iterator[str]:
    names = manifest.label_names
    clips = sum(manifest.rows.values())
    if not names:
        yield "no recording has a label: models can be trained, but no probe can score them"
        return
    if len(names) == 1 and manifest.label_rows[names[0]] == clips and clips > 1:
        yield (
            f"every recording has the label {names[0]!r}, so a probe has nothing to tell apart: "
            "name the folder that holds the classes, or a table of labels"
        )
    elif all(map(_FOLD.fullmatch, names)):
        yield f"the labels look like folds ({', '.join(names[:3])} …): name a table of labels"
    if unlabelled:
        yield f"recordings without a label, which no probe is trained on: {unlabelled}"
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(" ".join(name.casefold().split()), []).append(name)
    if pairs := [" and ".join(map(repr, same)) for same in alike.values() if len(same) > 1]:
        yield f"labels that differ in capitals or blanks alone: {', '.join(pairs[:3])}"
