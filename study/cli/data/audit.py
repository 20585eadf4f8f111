"""`cpc data audit`: checks of a corpus."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from study.cli.output import Format, message, next_steps, print_rows, stderr

if TYPE_CHECKING:
    from cpc_core.corpus.audit.findings import AuditResult, ClipRef, Finding


def audit(
    corpus: str = "sample",
    /,
    *,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
    html: Path | None = None,
    output: Annotated[Format, Parameter(name=["--output", "-o"])] = "table",
) -> None:
    """Check a corpus: damage, leakage, duplicates, silence, clipping, offset, bandwidth, labels.

    Findings do not make the command fail: whether they matter is for you to decide. Damage does,
    with exit code 1.

    Parameters
    ----------
    corpus
        A corpus folder or URI, or `sample` for the bundled audio.
    json_
        Print the whole result as one JSON object, with histograms and examples.
    html
        Write a page with histograms, spectrograms and players of sample clips; it needs no network.
    output
        Format of the table.
    """
    from rich.progress import MofNCompleteColumn, Progress

    from cpc_core.corpus.audit.run import audit
    from cpc_core.corpus.audit.samples import read_samples
    from cpc_core.corpus.sample import SAMPLE_NAME, sample_corpus
    from cpc_core.errors import DamageError

    folder = sample_corpus() if corpus == SAMPLE_NAME else corpus
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn())
    with Progress(*columns, console=stderr, transient=True) as progress:
        task = progress.add_task("auditing", total=None)
        result = audit(
            folder,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if json_:
        print(json.dumps(asdict(result), indent=2, ensure_ascii=False))  # noqa: T201
    else:
        _show(result, output)
    if html is not None:
        from dashboards.audit.page import write_audit

        message(f"page: {write_audit(result, read_samples(folder, result), html).absolute()}")
    if result.is_broken:
        shards = sorted({damage.shard for damage in result.damages})
        raise DamageError(
            f"{corpus} is damaged in {', '.join(shards)}: "
            "restore these files or import the corpus again"
        )
    next_steps(
        f"cpc trial run --corpus {corpus}" if html else f"cpc data audit {corpus} --html audit.html"
    )


def _show(result: AuditResult, output: Format) -> None:
    message(
        f"{result.corpus}: {sum(result.rows.values())} clips, "
        f"{result.audio_s / 60:.1f} minutes of recordings, hash {result.hash[:12]}"
    )
    print_rows([_row(finding, output) for finding in result.findings], output)
    for damage in result.damages:
        row_group = "" if damage.row_group is None else f", row group {damage.row_group}"
        message(f"{damage.shard}{row_group}: {damage.reason}")


def _row(finding: Finding, output: Format) -> dict[str, str | int]:
    """Columns of a finding.

    A table shows the example below the detail: a column of its own would be too narrow for paths.
    """
    row: dict[str, str | int] = {
        "result": finding.verdict,
        "check": finding.check,
        "count": finding.count,
    }
    example = " = ".join(map(_clip, finding.examples[0])) if finding.examples else ""
    if output == "table":
        return row | {"of what": finding.detail + (f"\nfor example {example}" if example else "")}
    return row | {"of what": finding.detail, "for example": example}


def _clip(clip: ClipRef) -> str:
    return f"{clip.path} ({clip.split}, {clip.start_s:g} s)"
