"""`cpc data info`: the contents of a corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from study.cli.output import Format, message, print_rows

if TYPE_CHECKING:
    from cpc_core.corpus.corpus import Corpus
    from cpc_core.corpus.manifest import Split

SHOWN_LABELS = 10


def info(
    corpus: str = "sample",
    /,
    *,
    output: Annotated[Format, Parameter(name=["--output", "-o"])] = "table",
) -> None:
    """Show what a corpus contains.

    Parameters
    ----------
    corpus
        A corpus folder or URI, or `sample` for the bundled audio.
    output
        Format of the result.
    """
    from cpc_core.corpus.sample import open_corpus

    opened = open_corpus(corpus)
    print_corpus(opened)
    print_rows([_row(opened, split) for split in opened.splits], output)


def print_corpus(corpus: Corpus) -> None:
    """Prints the contents of a manifest, except for the splits."""
    manifest, totals = corpus.manifest, corpus.manifest.totals
    clip_s = manifest.clip_samples / manifest.sample_rate_hz
    message(
        f"{corpus.name}: clips of {clip_s:g} s at {manifest.sample_rate_hz} Hz, in {corpus.folder}"
    )
    message(f"hash {corpus.hash} (schema {manifest.schema_version})")
    message(
        f"{totals.recordings} recordings, {totals.audio_s / 60:.1f} minutes without padding; "
        f"{totals.rejected} refused (rejected.csv), "
        f"{totals.noted} repaired or reinterpreted (notes.csv)"
    )
    if manifest.ignored:
        kinds = ", ".join(f"{count} {kind}" for kind, count in manifest.ignored.items())
        message(f"files of the source that were left out: {kinds}")
    options = manifest.options.model_dump(mode="json", exclude_none=True)
    message("imported with " + ", ".join(f"{name} {value}" for name, value in options.items()))
    frequent = sorted(manifest.label_rows.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{name} {rows}" for name, rows in frequent[:SHOWN_LABELS])
    more = f", and {len(frequent) - SHOWN_LABELS} more" if len(frequent) > SHOWN_LABELS else ""
    message(f"labels ({len(frequent)}): {named}{more}\n" if frequent else "no labels\n")


def _row(corpus: Corpus, split: Split) -> dict[str, str | float]:
    shards = [shard for shard in corpus.manifest.shards if shard.split == split]
    audio_s = corpus.rows(split) * corpus.clip_samples / corpus.manifest.sample_rate_hz
    return {
        "split": split,
        "clips": corpus.rows(split),
        "minutes": audio_s / 60,
        "shards": len(shards),
        "row_groups": len(corpus.row_groups(split)),
        "mib": sum(shard.bytes for shard in shards) / 2**20,
    }
