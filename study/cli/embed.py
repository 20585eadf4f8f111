"""`cpc embed`: features of many recordings, in one Parquet file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from study.analysis.labels import count_text
from study.cli.output import message

if TYPE_CHECKING:
    from cpc_core.embed.parts import Part
    from cpc_core.embed.run import EmbedSummary, PartRunner
    from cpc_core.embed.workspace import Workspace
    from cpc_core.export.encoder import Encoder

FEW_HOURS = 1.0
"""Hours of audio that are embedded without Ray, whose start takes longer than they would gain."""


def embed(
    model: str,
    source: str,
    /,
    *,
    out: Annotated[str, Parameter(name=["--out", "-o"])],
    layer: str = "contexts",
    pooling: Literal["mean", "mean_std"] = "mean",
    frames: bool = False,
    window_s: float | None = None,
    tasks: Annotated[int | None, Parameter(validator=Number(gte=0))] = None,
    address: str | None = None,
    strict: bool = False,
    overwrite: bool = False,
) -> None:
    """Writes a trained model's features of many recordings into one Parquet file.

    Parameters
    ----------
    model
        An export, a path or a URI; the best trial of a study (demo:best), a trial by its number
        (demo:3), or a checkpoint's folder.
    source
        A corpus (a folder, a URI, or `sample`); a folder or a table of recordings as
        `cpc data import` reads it; a text file with a path in each line, or a table with a column
        path; or one recording. Of any format, rate, channels and length.
    out
        The file to write, a path or a URI. Remarks on recordings, such as why one cannot be read,
        are in NAME.notes.csv beside it.
    layer
        A layer of the encoder (encoder.0, …; the last one is latents) or of the context networks
        (context.0, …; the last one is contexts).
    pooling
        The mean over the frames of a clip, or that and the standard deviation.
    frames
        A row per frame, every 20 ms, instead of a row per clip.
    window_s
        A row per window of so many seconds, each embedded as if alone; the last of a clip may be
        shorter. By default a row is a whole clip or recording.
    tasks
        Parts of ten minutes that are embedded at the same time by actors of Ray; 0 embeds them in
        this process, without Ray. By default 0 for up to an hour of audio, else as many as there
        are CPUs, or four for each GPU.
    address
        Of a running Ray cluster to embed on.
    strict
        End with exit code 1 if a recording could not be used; the file is written nevertheless.
    overwrite
        Replace a file of features that exists already; nothing else.
    """
    import torch

    from cpc_core.embed.options import EmbedOptions
    from cpc_core.embed.run import embed_source
    from cpc_core.embed.sources import open_recordings
    from cpc_core.errors import RejectedError
    from cpc_core.export.encoder import Encoder
    from cpc_core.export.manifest import export_id, local_export
    from cpc_core.export.reader import read_encoder
    from study.cli.progress import AudioProgress

    with local_export(model) as folder:
        encoder, identity = Encoder(read_encoder(folder)), export_id(folder)
    if torch.cuda.is_available():
        encoder.cuda()
    options = EmbedOptions(layer, None if frames else pooling, window_s)
    recordings = open_recordings(source)
    try:
        with AudioProgress("embedded") as progress:
            summary = embed_source(
                encoder,
                identity,
                recordings,
                out,
                options,
                overwrite=overwrite,
                run=part_runner(tasks, address),
                on_progress=progress.show,
            )
    except KeyboardInterrupt:
        message("interrupted; the same command goes on with the parts that are finished")
        raise
    _print_summary(summary, out)
    if strict and summary.metadata["rejected"]:
        raise RejectedError(
            f"recordings that could not be used: {summary.metadata['rejected']}, and --strict "
            f"allows none; {summary.notes} lists the reasons"
        )


def part_runner(tasks: int | None, address: str | None) -> PartRunner:
    """Runner on Ray, or in this process if that is requested or faster."""
    from cpc_core.embed.run import in_this_process

    def run(
        work: Workspace,
        parts: Sequence[Part],
        encoder: Encoder,
        on_seconds: Callable[[float], None],
    ) -> None:
        if in_one_process(sum(part.seconds for part in parts), tasks, address):
            in_this_process(work, parts, encoder, on_seconds)
            return
        from cluster.data.embedding import embed_with_ray

        embed_with_ray(work, parts, encoder, on_seconds, address=address, tasks=tasks)

    return run


def in_one_process(seconds: float, tasks: int | None, address: str | None) -> bool:
    """True if so much audio is embedded in this process, by request or because it is faster."""
    return tasks == 0 or (tasks is None and address is None and seconds <= FEW_HOURS * 3600)


def _print_summary(summary: EmbedSummary, out: str) -> None:
    told = summary.metadata
    kinds = {None: "frames", "mean": "means", "mean_std": "means and deviations"}
    message(
        f"{count_text(told['recordings'], 'recording')} → {kinds[told['pooling']]} of "
        f"{told['layer']}, {told['dims']} numbers each, in {out}"
    )
    if summary.kept_s:
        message(f"{summary.kept_s / 60:.1f} minutes were embedded by an earlier, interrupted call")
    if told["rejected"]:
        message(f"{told['rejected']} could not be used")
    if summary.notes is not None:
        message(f"reasons and remarks: {summary.notes}")
