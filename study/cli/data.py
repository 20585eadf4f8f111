"""`cpc data`: audio in, and a look at what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from study.cli.output import Format, emit, next_steps, say, stderr

app = App(name="data", help="Import audio into a corpus, and look at one.")


@app.command(name="import")
def import_(
    source: Path,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    clip_s: float = 10.0,
    long: Literal["split", "crop"] = "split",
    pad: Literal["loop", "zero"] = "loop",
    dev_fraction: float = 0.05,
    seed: int = 0,
    overwrite: bool = False,
) -> None:
    """Turn a folder of audio into a corpus of Parquet shards.

    Parameters
    ----------
    source
        A folder with a labels.csv (path, label or tags, split, …), or with one sub-folder of audio per class.
    out
        The corpus folder to make.
    clip_s
        Seconds of every clip.
    long
        What becomes of longer recordings: consecutive clips, or the first one alone.
    pad
        How shorter recordings are filled: repeated, or with zeros.
    dev_fraction
        Share of recordings held out for development where labels.csv names no splits.
    seed
        Draws that share.
    overwrite
        Replace a corpus that is already there.
    """
    from rich.progress import Progress

    from cpc_core.corpus.importer import import_folder
    from cpc_core.corpus.manifest import ImportOptions

    options = ImportOptions(clip_s=clip_s, long_files=long, padding=pad, dev_fraction=dev_fraction, seed=seed)
    with Progress(console=stderr, transient=True) as progress:
        task = progress.add_task("importing", total=None)
        summary = import_folder(
            source, out, options, overwrite=overwrite, on_progress=lambda done, total: progress.update(task, completed=done, total=total)
        )
    clips = ", ".join(f"{rows} {split}" for split, rows in summary.rows.items())
    say(f"{summary.recordings} recordings → {clips} clips of {clip_s:g} s, {summary.audio_s / 60:.1f} minutes of audio, in {out}")
    if summary.rejected:
        say(f"{summary.rejected} could not be used: {out / 'rejected.csv'} says why")
    if summary.noted:
        say(f"{summary.noted} were repaired: {out / 'notes.csv'} says how")
    next_steps(f"cpc data info {out}", f"cpc trial run --corpus {out}")


@app.command
def info(corpus: str = "sample", /, *, output: Annotated[Format, Parameter(name=["--output", "-o"])] = "table") -> None:
    """Show what a corpus holds.

    Parameters
    ----------
    corpus
        A corpus folder, or `sample` for the bundled audio.
    output
        Format of the result.
    """
    from cpc_core.corpus.sample import open_corpus
    from cpc_core.geometry import SAMPLE_RATE_HZ

    opened = open_corpus(corpus)
    clip_s = opened.clip_samples / SAMPLE_RATE_HZ
    say(f"{opened.name}: clips of {clip_s:g} s at {SAMPLE_RATE_HZ} Hz, {len(opened.manifest.label_names)} labels, hash {opened.hash[:12]}")
    emit(
        [
            {
                "split": split,
                "clips": opened.rows(split),
                "minutes": opened.rows(split) * clip_s / 60,
                "row_groups": len(opened.row_groups(split)),
            }
            for split in opened.splits
        ],
        output,
    )
