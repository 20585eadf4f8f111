"""What an audit of a corpus found, as plain values: the table, the JSON and the page show the same
ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from cpc_core.corpus.manifest import Split

Verdict: TypeAlias = Literal["good", "look", "broken"]
"""`look`: a user may have meant it so. `broken`: the corpus is not what was imported, and cannot be
trained on.
"""


@dataclass(frozen=True)
class ClipRef:
    """A clip, by where it is and where it came from.

    Attributes:
        shard: Name of the shard.
        row_group: Row group in it.
        row: Row in that.
        split: Its split.
        path: Its recording.
        start_s: Where it begins in the recording.
        label: Primary label, empty where it has none.
        group: What a drawn split keeps together.
    """

    shard: str
    row_group: int
    row: int
    split: Split
    path: str
    start_s: float
    label: str
    group: str


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: What was looked at.
        verdict: How bad it is.
        count: How many there are of what was looked for.
        detail: In words, with the measure that decides.
        examples: Some of them; each the one clip or the pair of clips that it concerns.
    """

    check: str
    verdict: Verdict
    count: int
    detail: str
    examples: tuple[tuple[ClipRef, ...], ...] = ()


@dataclass(frozen=True)
class Damage:
    """A shard that is not as it was written.

    Attributes:
        shard: Name of the shard.
        row_group: The row group that cannot be read; None where it is the file as a whole.
        reason: What is wrong with it.
    """

    shard: str
    row_group: int | None
    reason: str


@dataclass(frozen=True)
class Histogram:
    """How a measure is distributed over the clips.

    Attributes:
        measure: Its name.
        unit: Its unit.
        edges: Edges of the bins; clips beyond the outer ones are counted in the outer bins.
        counts: Clips of each bin, one less than edges.
    """

    measure: str
    unit: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class LabelCount:
    """Clips that carry a label, in each split."""

    label: str
    rows: dict[Split, int]

    @property
    def total(self) -> int:
        """Clips of all splits."""
        return sum(self.rows.values())


@dataclass(frozen=True)
class AuditResult:
    """A whole audit.

    Attributes:
        corpus: The corpus's name.
        hash: Its hash.
        clip_s: Length of every clip.
        sample_rate_hz: Rate of every clip.
        audio_s: Seconds of recordings in the clips that could be read, padding not counted.
        rows: Clips of each split, as the manifest says.
        histograms: Over the clips that could be read.
        labels: By falling count.
        findings: One for each check, in the order of the checks.
        damages: Shards that are not as they were written.
        samples: Clips to look at and listen to: one of each of the commonest labels.
    """

    corpus: str
    hash: str
    clip_s: float
    sample_rate_hz: int
    audio_s: float
    rows: dict[Split, int]
    histograms: tuple[Histogram, ...]
    labels: tuple[LabelCount, ...]
    findings: tuple[Finding, ...]
    damages: tuple[Damage, ...]
    samples: tuple[ClipRef, ...]

    @property
    def is_broken(self) -> bool:
        """Whether the corpus must not be trained on."""
        return any(finding.verdict == "broken" for finding in self.findings)
