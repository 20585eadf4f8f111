"""`cpc data info`: the contents of a corpus."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from study.cli.output import Format, print_rows


def info(
    corpus: str = "sample",
    /,
    *,
    output: Annotated[Format, Parameter(name=["--output", "-o"])] = "table",
) -> None:
    """Show what a corpus holds.

    Parameters
    ----------
    corpus
        A corpus folder or URI, or `sample` for the bundled audio.
    output
        Format of the result.
    """
    from cpc_core.corpus.sample import open_corpus
    from study.cli.data.corpus_import import print_corpus

    opened = open_corpus(corpus)
    print_corpus(opened)
    print_rows(
        [
            {
                "split": split,
                "clips": opened.rows(split),
                "minutes": opened.rows(split)
                * opened.clip_samples
                / opened.manifest.sample_rate_hz
                / 60,
                "shards": len(
                    shards := [shard for shard in opened.manifest.shards if shard.split == split]
                ),
                "row_groups": len(opened.row_groups(split)),
                "mib": sum(shard.bytes for shard in shards) / 2**20,
            }
            for split in opened.splits
        ],
        output,
    )
