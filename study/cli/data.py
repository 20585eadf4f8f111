"""`cpc data`: audio in, and a look at what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from study.cli.output import Format, emit, next_steps, stderr

app = App(name="data", help="Import audio into a corpus, and look at one.")
app.command("study.cli.auditing:audit", name="audit", help="Check a corpus for damage, leakage, duplicates and odd sounds.")


@app.command(name="import")
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
    """Turn recordings into a corpus of Parquet shards. Interrupted, the same command goes on; the result is the same.

    Parameters
    ----------
    source
        A folder with labels.csv or labels.parquet, or such a table (path, label or labels, split, start_s, end_s, …); AudioSet's
        or ESC-50's folder; or a folder with one sub-folder of audio per class.
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
        Shards made at the same time by Ray; 0 makes them in this process, without Ray. By default 0 for up to three shards, which
        are about two hours of audio, else as many as there are CPUs. The corpus is the same.
    address
        Of a running Ray cluster to import on.
    strict
        End with exit code 1 if a recording could not be used; the corpus is made all the same.
    overwrite
        Replace a corpus that is already there.
    """
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from cpc_core.corpus.importer import import_source
    from cpc_core.corpus.sources.detect import open_source
    from cpc_core.errors import RejectedError
    from study.cli.importing import import_options, part_runner, said_if_interrupted, tell

    options = import_options(clip_s=clip_s, long_files=long, padding=pad, dev_fraction=dev_fraction, seed=seed)
    opened = open_source(source, None if kind == "auto" else kind)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr, transient=True) as progress, said_if_interrupted():
        task = progress.add_task("importing", total=None)
        summary = import_source(
            opened,
            out,
            options,
            overwrite=overwrite,
            run=part_runner(tasks, address),
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    tell(summary, clip_s)
    if strict and summary.rejected:
        listed = summary.corpus / "rejected.csv"
        raise RejectedError(f"recordings that could not be used: {summary.rejected}, and --strict allows none; {listed} says why")
    next_steps(f"cpc data info {out}", f"cpc trial run --corpus {out}")


@app.command
def info(corpus: str = "sample", /, *, output: Annotated[Format, Parameter(name=["--output", "-o"])] = "table") -> None:
    """Show what a corpus holds.

    Parameters
    ----------
    corpus
        A corpus folder or URI, or `sample` for the bundled audio.
    output
        Format of the result.
    """
    from cpc_core.corpus.sample import open_corpus
    from study.cli.importing import describe

    opened = open_corpus(corpus)
    describe(opened)
    emit(
        [
            {
                "split": split,
                "clips": opened.rows(split),
                "minutes": opened.rows(split) * opened.clip_samples / opened.manifest.sample_rate_hz / 60,
                "shards": len(shards := [shard for shard in opened.manifest.shards if shard.split == split]),
                "row_groups": len(opened.row_groups(split)),
                "mib": sum(shard.bytes for shard in shards) / 2**20,
            }
            for split in opened.splits
        ],
        output,
    )
