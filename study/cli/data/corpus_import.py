"""`cpc data import`: recordings turned into a corpus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from cpc_core.errors import ConfigError
from study.cli.output import message, next_steps, stderr

if TYPE_CHECKING:
    from cpc_core.corpus.importing.run import ImportSummary, PartRunner
    from cpc_core.corpus.importing.workspace import Workspace
    from cpc_core.corpus.manifest import ImportOptions

FEW_PARTS = 3
"""Largest number of shards imported without Ray, whose start takes longer than these would. A shard
is about 50 minutes of audio, imported in less than half a minute.
"""


def import_(
    source: str,
    /,
    *,
    out: Annotated[str, Parameter(name=["--out", "-o"])],
    kind: str = "auto",
    clip_s: float = 10.0,
    long: Literal["split", "crop"] = "split",
    pad: Literal["zero", "repeat", "loop"] = "zero",
    shortest_s: float | None = None,
    dev_fraction: float = 0.05,
    seed: int = 0,
    tasks: Annotated[int | None, Parameter(validator=Number(gte=0))] = None,
    address: str | None = None,
    strict: bool = False,
    overwrite: bool = False,
) -> None:
    """Turn recordings into a corpus of Parquet shards. Interrupted, the same command resumes; the
    result is the same.

    Parameters
    ----------
    source
        A folder with labels.csv, labels.tsv or labels.parquet, or such a table (path, label or
        labels, split, start_s, end_s, fold, task, target, …); the folder of AudioSet, ESC-50,
        UrbanSound8K, FSD50K or DCASE scenes; or a folder with one sub-folder of audio per class,
        perhaps within train, valid and test. Several labels are joined by |. Links are followed.
    out
        The corpus to create: a folder, or a URI such as s3://bucket/corpus.
    kind
        Format of the source: labels, audioset, esc50, urbansound8k, fsd50k, scenes or folder; auto
        recognises it by its files.
    clip_s
        Seconds of every clip.
    long
        Clips of longer recordings: consecutive ones, or the first one alone.
    pad
        Filling of shorter recordings: zeros, which take part in no number, or the recording again,
        counted as audio. loop is an older name of repeat.
    shortest_s
        Seconds below which a recording is refused, and the rest of a longer one left out; by
        default 0.05 for recordings and a tenth of the clip for rests.
    dev_fraction
        Share of recordings held out for development where the source names no splits; drawn among
        those that can be used.
    seed
        Seed of the draw of that share.
    tasks
        Shards imported at the same time by Ray; 0 imports them in this process, without Ray. By
        default 0 for up to three shards, which are about two hours of audio, else as many as there
        are CPUs. The corpus is the same.
    address
        Of a running Ray cluster to import on.
    strict
        End with exit code 1 if a recording could not be used; the corpus is created nevertheless.
    overwrite
        Replace a corpus that exists already.
    """
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from cpc_core.corpus.importing.run import REJECTED_NAME, import_source
    from cpc_core.corpus.sources.detect import open_source
    from cpc_core.errors import RejectedError
    from study.cli.progress import LinesNowAndThen

    options = import_options(
        clip_s=clip_s,
        long_files=long,
        padding="repeat" if pad == "loop" else pad,
        shortest_s=shortest_s,
        dev_fraction=dev_fraction,
        seed=seed,
    )
    if not source.strip():
        raise ConfigError("the source is empty: name a folder (. is this one)")
    opened = open_source(Path(source), None if kind == "auto" else kind)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=stderr, transient=True) as progress:
            task, lines = progress.add_task("importing", total=None), LinesNowAndThen()

            def show(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)
                lines.say(lambda: f"imported {done} of {total} recordings")

            summary = import_source(
                opened,
                out,
                options,
                overwrite=overwrite,
                run=part_runner(tasks, address),
                on_progress=show,
            )
    except KeyboardInterrupt:
        message("interrupted; the same command resumes with the shards that are finished")
        raise
    print_summary(summary, clip_s)
    if strict and (rejected := summary.corpus.manifest.totals.rejected):
        raise RejectedError(
            f"recordings that could not be used: {rejected}, and --strict allows none; "
            f"{summary.corpus.folder / REJECTED_NAME} lists the reasons"
        )
    next_steps(f"cpc data info {out}", f"cpc trial run --corpus {out}")


def import_options(**settings: object) -> ImportOptions:
    """Options of an import.

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
    """Runner on Ray, or in this process if that is requested or faster."""
    from cpc_core.corpus.importing.run import in_this_process

    def run(work: Workspace, names: Sequence[str], on_recordings: Callable[[int], None]) -> None:
        if tasks == 0 or (tasks is None and address is None and len(names) <= FEW_PARTS):
            in_this_process(work, names, on_recordings)
            return
        from cluster.data.importing import import_with_ray

        import_with_ray(work, names, on_recordings, address=address, tasks=tasks)

    return run


def print_summary(summary: ImportSummary, clip_s: float) -> None:
    """Prints the result of an import."""
    from cpc_core.corpus.importing.run import NOTES_NAME, REJECTED_NAME
    from cpc_core.corpus.manifest import SHORTEST_RECORDING_S
    from study.analysis.labels import count_text

    folder, manifest = summary.corpus.folder, summary.corpus.manifest
    totals = manifest.totals
    clips = ", ".join(f"{rows} {split}" for split, rows in manifest.rows.items())
    message(
        f"{count_text(totals.recordings, 'recording')} → {clips} clips of {clip_s:g} s, "
        f"{totals.audio_s / 60:.1f} minutes of audio, in {folder}"
    )
    if summary.kept:
        message(f"{summary.kept} recordings were finished by an earlier, interrupted import")
    if totals.left_out_s:
        rest_s = manifest.options.shortest_rest_s
        message(
            f"rests shorter than {rest_s:g} s were left out, {totals.left_out_s:.3g} s in all: "
            f"--shortest-s {SHORTEST_RECORDING_S:g} would keep them"
        )
    if totals.rejected:
        message(f"{totals.rejected} could not be used; reasons: {folder / REJECTED_NAME}")
    if totals.noted:
        message(f"{totals.noted} were repaired or reinterpreted; notes: {folder / NOTES_NAME}")
    if summary.divided_groups:
        message(
            f"groups in more than one split: {summary.divided_groups}, as the source specifies; "
            "held-out clips are not unseen"
        )
    for remark in summary.remarks:
        message(remark)
