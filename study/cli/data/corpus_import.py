"""`cpc data`: audio in, and a look at what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from cpc_core.errors import ConfigError
from study.cli.output import message, next_steps, stderr

if TYPE_CHECKING:
    from cpc_core.corpus.corpus import Corpus
    from cpc_core.corpus.importing.run import ImportSummary, PartRunner
    from cpc_core.corpus.importing.workspace import Workspace
    from cpc_core.corpus.manifest import ImportOptions


def import_(
    source: Path,
    /,
    *,
    out: Annotated[str, Parameter(name=["--out", "-o"])],
    kind: Literal["auto", "labels", "audioset", "esc50", "folder"] = "auto",
    clip_s: float = 10.0,
    long: Literal["split", "crop"] = "split",
    pad: Literal["loop", "zero"] = "loop",
    dev_fraction: float = 0.05,
    seed: int = 0,
    tasks: Annotated[int | None, Parameter(validator=Number(gte=0))] = None,
    address: str | None = None,
    strict: bool = False,
    overwrite: bool = False,
) -> None:
    """Turn recordings into a corpus of Parquet shards. Interrupted, the same command goes on; the
    result is the same.

    Parameters
    ----------
    source
        A folder with labels.csv or labels.parquet, or such a table (path, label or labels, split,
        start_s, end_s, …); AudioSet's or ESC-50's folder; or a folder with one sub-folder of audio
        per class.
    out
        The corpus to make: a folder, or a URI such as s3://bucket/corpus.
    kind
        What the source is; auto tells by the files that are there.
    clip_s
        Seconds of every clip.
    long
        What becomes of longer recordings: consecutive clips, or the first one alone.
    pad
        How shorter recordings are filled: repeated, or with zeros.
    dev_fraction
        Share of recordings held out for development where the source names no splits.
    seed
        Draws that share.
    tasks
        Shards made at the same time by Ray; 0 makes them in this process, without Ray. By default 0
        for up to three shards, which are about two hours of audio, else as many as there are CPUs.
        The corpus is the same.
    address
        Of a running Ray cluster to import on.
    strict
        End with exit code 1 if a recording could not be used; the corpus is made all the same.
    overwrite
        Replace a corpus that is already there.
    """
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from cpc_core.corpus.importing.run import import_source
    from cpc_core.corpus.sources.detect import open_source
    from cpc_core.errors import RejectedError
    from study.cli.data.corpus_import import (
        hint_on_interrupt,
        import_options,
        part_runner,
        print_summary,
    )

    options = import_options(
        clip_s=clip_s, long_files=long, padding=pad, dev_fraction=dev_fraction, seed=seed
    )
    opened = open_source(source, None if kind == "auto" else kind)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr, transient=True) as progress, hint_on_interrupt():
        task = progress.add_task("importing", total=None)
        summary = import_source(
            opened,
            out,
            options,
            overwrite=overwrite,
            run=part_runner(tasks, address),
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    print_summary(summary, clip_s)
    if strict and summary.rejected:
        listed = summary.corpus / "rejected.csv"
        raise RejectedError(
            f"recordings that could not be used: {summary.rejected}, and --strict allows none; {listed} says why"
        )
    next_steps(f"cpc data info {out}", f"cpc trial run --corpus {out}")


FEW_PARTS = 3
"""A shard is about 50 minutes of audio, made in less than half a minute: for fewer than these,
Ray's start takes longer.
"""


SHOWN_LABELS = 10


def import_options(**settings: object) -> ImportOptions:
    """The options of an import.

    Raises:
        ConfigError: A value is out of its range; names the option.
    """
    from pydantic import ValidationError

    from cpc_core.corpus.manifest import ImportOptions

    try:
        return ImportOptions.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        name = f"{first['loc'][0]} {first['input']}: " if first["loc"] else ""
        raise ConfigError(f"{name}{first['msg'].removeprefix('Value error, ')}") from error


def part_runner(tasks: int | None, address: str | None) -> PartRunner:
    """Ray, or this process where that is asked for or is faster."""
    from cpc_core.corpus.importing.run import in_this_process

    def run(work: Workspace, names: Sequence[str], on_recordings: Callable[[int], None]) -> None:
        here = tasks == 0 or (tasks is None and address is None and len(names) <= FEW_PARTS)
        if here:
            in_this_process(work, names, on_recordings)
            return
        from cluster.data.importing import import_with_ray

        import_with_ray(work, names, on_recordings, address=address, tasks=tasks)

    return run


@contextmanager
def hint_on_interrupt() -> Iterator[None]:
    """Says how to go on after Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        message("interrupted; the same command goes on with the shards that are finished")
        raise


def print_summary(summary: ImportSummary, clip_s: float) -> None:
    """Says what an import made."""
    clips = ", ".join(f"{rows} {split}" for split, rows in summary.rows.items())
    message(
        f"{summary.recordings} recordings → {clips} clips of {clip_s:g} s, {summary.audio_s / 60:.1f} minutes of audio, in {summary.corpus}"
    )
    if summary.kept:
        message(
            f"{summary.kept} recordings were finished by an earlier import that was interrupted"
        )
    if summary.rejected:
        message(f"{summary.rejected} could not be used: {summary.corpus / 'rejected.csv'} says why")
    if summary.noted:
        message(f"{summary.noted} were repaired: {summary.corpus / 'notes.csv'} says how")
    if summary.divided_groups:
        message(
            f"groups in more than one split: {summary.divided_groups}, as the source asks; what is held out is not unseen"
        )


def print_corpus(corpus: Corpus) -> None:
    """Says what stands in a corpus's manifest, its splits apart."""
    manifest, totals = corpus.manifest, corpus.manifest.totals
    clip_s = manifest.clip_samples / manifest.sample_rate_hz
    message(
        f"{corpus.name}: clips of {clip_s:g} s at {manifest.sample_rate_hz} Hz, in {corpus.folder}"
    )
    message(f"hash {corpus.hash} (schema {manifest.schema_version})")
    message(
        f"{totals.recordings} recordings, {totals.audio_s / 60:.1f} minutes without padding; "
        f"{totals.rejected} refused (rejected.csv), {totals.noted} repaired (notes.csv)"
    )
    options = manifest.options.model_dump(mode="json")
    message("imported with " + ", ".join(f"{name} {value}" for name, value in options.items()))
    frequent = sorted(manifest.label_rows.items(), key=lambda item: (-item[1], item[0]))
    more = f", and {len(frequent) - SHOWN_LABELS} more" if len(frequent) > SHOWN_LABELS else ""
    named = ", ".join(f"{name} {rows}" for name, rows in frequent[:SHOWN_LABELS]) + more
    message(f"labels ({len(frequent)}): {named}\n" if frequent else "no labels\n")
