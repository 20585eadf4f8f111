"""Who makes a corpus, and what is said of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cpc_core.errors import ConfigError
from study.cli.output import say

if TYPE_CHECKING:
    from cpc_core.corpus.corpus import Corpus
    from cpc_core.corpus.importer import ImportSummary, PartRunner
    from cpc_core.corpus.manifest import ImportOptions
    from cpc_core.corpus.workspace import Workspace

FEW_PARTS = 3
"""A shard is about 50 minutes of audio, made in less than half a minute: for fewer than these, Ray's start takes longer."""

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
    from cpc_core.corpus.importer import in_this_process

    def run(work: Workspace, names: Sequence[str], on_recordings: Callable[[int], None]) -> None:
        here = tasks == 0 or (tasks is None and address is None and len(names) <= FEW_PARTS)
        if here:
            in_this_process(work, names, on_recordings)
            return
        from cluster.importing import import_with_ray

        import_with_ray(work, names, on_recordings, address=address, tasks=tasks)

    return run


@contextmanager
def said_if_interrupted() -> Iterator[None]:
    """Says how to go on after Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        say("interrupted; the same command goes on with the shards that are finished")
        raise


def tell(summary: ImportSummary, clip_s: float) -> None:
    """Says what an import made."""
    clips = ", ".join(f"{rows} {split}" for split, rows in summary.rows.items())
    say(
        f"{summary.recordings} recordings → {clips} clips of {clip_s:g} s, {summary.audio_s / 60:.1f} minutes of audio, in {summary.corpus}"
    )
    if summary.kept:
        say(f"{summary.kept} recordings were finished by an earlier import that was interrupted")
    if summary.rejected:
        say(f"{summary.rejected} could not be used: {summary.corpus / 'rejected.csv'} says why")
    if summary.noted:
        say(f"{summary.noted} were repaired: {summary.corpus / 'notes.csv'} says how")
    if summary.divided_groups:
        say(f"groups in more than one split: {summary.divided_groups}, as the source asks; what is held out is not unseen")


def describe(corpus: Corpus) -> None:
    """Says what stands in a corpus's manifest, its splits apart."""
    manifest, totals = corpus.manifest, corpus.manifest.totals
    clip_s = manifest.clip_samples / manifest.sample_rate_hz
    say(f"{corpus.name}: clips of {clip_s:g} s at {manifest.sample_rate_hz} Hz, in {corpus.folder}")
    say(f"hash {corpus.hash} (schema {manifest.schema_version})")
    say(
        f"{totals.recordings} recordings, {totals.audio_s / 60:.1f} minutes without padding; "
        f"{totals.rejected} refused (rejected.csv), {totals.noted} repaired (notes.csv)"
    )
    options = manifest.options.model_dump(mode="json")
    say("imported with " + ", ".join(f"{name} {value}" for name, value in options.items()))
    frequent = sorted(manifest.label_rows.items(), key=lambda item: (-item[1], item[0]))
    more = f", and {len(frequent) - SHOWN_LABELS} more" if len(frequent) > SHOWN_LABELS else ""
    named = ", ".join(f"{name} {rows}" for name, rows in frequent[:SHOWN_LABELS]) + more
    say(f"labels ({len(frequent)}): {named}\n" if frequent else "no labels\n")
