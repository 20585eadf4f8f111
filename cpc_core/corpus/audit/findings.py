"""Findings of an audit as plain values, for the table, the JSON and the page alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from cpc_core.corpus.manifest import Split

Verdict: TypeAlias = Literal["good", "look", "broken"]
"""`look`: may be intended. `broken`: the corpus is damaged and must not be trained on."""


@dataclass(frozen=True)
class ClipRef:
    """Reference to a clip: its position in the corpus and its origin.

    Attributes:
        shard: Name of the shard.
        row_group: Row group in the shard.
        row: Row in the row group.
        split: Its split.
        path: Its recording.
        start_s: Start of the clip in the recording.
        label: Primary label, empty where it has none.
        group: Unit that a drawn split does not separate.
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
    """Outcome of one check.

    Attributes:
        check: Name of the check.
        verdict: Severity.
        count: Number of clips, pairs, labels, … that the check found.
        detail: Noun phrase for the things counted, with the criterion.
        examples: Some of them; each is one clip or a pair of clips.
    """

    check: str
    verdict: Verdict
    count: int
    detail: str
    examples: tuple[tuple[ClipRef, ...], ...] = ()


@dataclass(frozen=True)
class Damage:
    """Damage to a shard since it was written.

    Attributes:
        shard: Name of the shard.
        row_group: Row group that cannot be read; None for the file as a whole.
        reason: The problem, as text that follows the name.
    """

    shard: str
    row_group: int | None
    reason: str


@dataclass(frozen=True)
class Histogram:
    """Distribution of a measure over the clips.

    Attributes:
        measure: Its name.
        unit: Its unit.
        edges: `[bins + 1]`; clips beyond the outer edges are counted in the outer bins.
        counts: `[bins]` clips of each bin.
    """

    measure: str
    unit: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class LabelCount:
    """Number of clips with a label, in each split."""

    label: str
    rows: dict[Split, int]

    @property
    def total(self) -> int:
        """Clips of all splits."""
        return sum(self.rows.values())


@dataclass(frozen=True)
class AuditResult:
    """Result of an audit.

    Attributes:
        corpus: The corpus's name.
        hash: Its hash.
        clip_s: Length of every clip.
        sample_rate_hz: Rate of every clip.
        audio_s: Seconds of recordings in the readable clips, padding not counted.
        rows: Clips of each split, according to the manifest.
        histograms: Distributions over the readable clips.
        labels: Labels by falling count.
        findings: One for each check, in the order of the checks.
        damages: Damages to shards.
        samples: Clips to look at and listen to, of as many labels as possible.
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
        """True if the corpus must not be trained on."""
        return any(finding.verdict == "broken" for finding in self.findings)
