"""Checks of an audit over the measures of all clips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cpc_core.corpus.audit.findings import ClipRef, Finding, LabelCount
from cpc_core.corpus.audit.fingerprint import NEAR_BITS, near_pairs
from cpc_core.corpus.audit.measures import CLIPPED_RUN, SILENCE_DB
from cpc_core.corpus.manifest import SPLITS, Manifest
from cpc_core.corpus.row_groups import RowGroup, read_row_group
from cpc_core.storage_path import StoragePath

EXAMPLES = 8
"""Clips or pairs that a finding names."""

QUIET_DB = -60.0
"""Level below which a clip is nearly silent: a model would learn its noise floor."""

OFFSET_DB = -40.0
"""Constant offset, 1 % of full scale, that an amplifier or converter adds and no sound has."""

NARROW_HZ = 5500.0
"""Bandwidth below which a clip may come from 8 kHz: 4 kHz, and the slope of a resampling filter."""

IMBALANCE = 20.0
"""Largest unsuspicious ratio of clips between the commonest and the rarest label."""


@dataclass(frozen=True, eq=False)
class MeasuredClips:
    """Measures of the clips of a corpus.

    Attributes:
        folder: The corpus.
        manifest: Its description.
        clips: Measures of the clips that could be read, `[N]` of `MEASURES`.
    """

    folder: StoragePath
    manifest: Manifest
    clips: NDArray[np.void]

    @property
    def splits(self) -> NDArray[np.int64]:
        """Position in `SPLITS` of every clip's split, `[N]`."""
        of_shard = np.array([SPLITS.index(shard.split) for shard in self.manifest.shards])
        of_clip: NDArray[np.int64] = of_shard[self.clips["shard"]]
        return of_clip

    def ref(self, clip: int) -> ClipRef:
        """Reference to the clip at a position of `clips`; reads its row group."""
        record = self.clips[clip]
        shard = self.manifest.shards[record["shard"]]
        index, row = int(record["row_group"]), int(record["row"])
        group = RowGroup(self.folder / shard.file, index, shard.row_group_rows[index])
        table = read_row_group(group, ["path", "start_s", "label", "group"])
        (columns,) = table.slice(row, 1).to_pylist()
        return ClipRef(shard.file, index, row, shard.split, **columns)

    def finding(self, check: str, clips: NDArray[np.int64], detail: str) -> Finding:
        """Finding about clips `[M]` or pairs of clips `[M, 2]`, the best examples first."""
        examples = tuple(
            tuple(self.ref(int(clip)) for clip in np.atleast_1d(example))
            for example in clips[:EXAMPLES]
        )
        return Finding(check, "look" if len(clips) else "good", len(clips), detail, examples)


def signal_findings(measured: MeasuredClips) -> list[Finding]:
    """Silence, clipping, offset, bandwidth and rate, each with the worst clips first."""
    clips, rate_hz = measured.clips, measured.manifest.sample_rate_hz
    level, offset, bandwidth = clips["level_db"], clips["offset_db"], clips["bandwidth_hz"]
    silent = level <= SILENCE_DB

    def finding(
        check: str, found: NDArray[np.bool_], detail: str, order: NDArray[np.floating] | None = None
    ) -> Finding:
        positions = np.flatnonzero(found)
        if order is not None:
            positions = positions[np.argsort(order[positions], kind="stable")]
        return measured.finding(check, positions, detail)

    clip_s = measured.manifest.clip_samples / rate_hz
    return [
        finding(
            "padding",
            clips["seconds"] < clip_s / 2,
            "clips of which more than half is padding",
            order=clips["seconds"],
        ),
        finding("silence", silent, "clips of nothing but zeros"),
        finding(
            "near silence",
            (level < QUIET_DB) & ~silent,
            f"clips with a level below {_signed(QUIET_DB)} dB of full scale",
            order=level,
        ),
        finding(
            "clipping",
            clips["clipped"] > 0,
            f"clips with {CLIPPED_RUN} or more samples in a row at full scale",
            order=-clips["clipped"],
        ),
        finding(
            "DC offset",
            offset > OFFSET_DB,
            f"clips with a mean beyond {_signed(OFFSET_DB)} dB of full scale",
            order=-offset,
        ),
        finding(
            "bandwidth",
            (bandwidth < NARROW_HZ) & ~silent,
            f"clips with nothing above {NARROW_HZ / 1000:g} kHz: "
            "recorded at 8 kHz, or low by nature",
            order=bandwidth,
        ),
        finding(
            "sample rate", clips["rate_hz"] != rate_hz, f"clips at another rate than {rate_hz} Hz"
        ),
    ]


def duplicate_findings(measured: MeasuredClips) -> list[Finding]:
    """Clips with the same samples, and clips of the same recording at another level or rate."""
    exact, near = _equal_pairs(measured), _near_pairs(measured)
    splits = measured.splits
    both = np.concatenate((exact, near))
    across = both[splits[both[:, 0]] != splits[both[:, 1]]]
    return [
        measured.finding("exact duplicates", exact, "pairs of clips with the same samples"),
        measured.finding(
            "near duplicates",
            near,
            "further pairs of the same recording at another level or from another rate "
            f"(fingerprints within {NEAR_BITS} of 256 bits)",
        ),
        measured.finding(
            "content in two splits",
            across,
            "of these pairs have one clip in one split and one in another",
        ),
    ]


def _equal_pairs(measured: MeasuredClips) -> NDArray[np.int64]:
    """Every clip that repeats the samples of an earlier one, after the first such, `[M, 2]`.

    Silence does not count.
    """
    audible = np.flatnonzero(measured.clips["level_db"] > SILENCE_DB)
    _, first, inverse = np.unique(
        measured.clips["content"][audible], return_index=True, return_inverse=True
    )
    repeats = np.flatnonzero(first[inverse] != np.arange(len(audible)))
    pairs: NDArray[np.int64] = audible[np.column_stack((first[inverse[repeats]], repeats))]
    return pairs


def _near_pairs(measured: MeasuredClips) -> NDArray[np.int64]:
    """Pairs of near fingerprints and about equal length, `[M, 2]`.

    Of clips with equal samples only the first one is in a pair.
    """
    clips = measured.clips
    _, first = np.unique(clips["content"], return_index=True)
    # Nearly silent clips have no fingerprint of their own.
    candidates = np.sort(first[clips["level_db"][first] >= QUIET_DB])
    pairs, _ = near_pairs(clips["fingerprint"][candidates])
    pairs = candidates[pairs]
    seconds = clips["seconds"][pairs]
    alike: NDArray[np.bool_] = np.abs(seconds[:, 0] - seconds[:, 1]) <= 0.02 * seconds.max(
        axis=1, initial=0.0
    )
    return pairs[alike]


def leak_findings(measured: MeasuredClips) -> list[Finding]:
    """Recordings and groups with clips in several splits."""
    return [
        measured.finding(
            f"{unit} in two splits",
            _leaks(measured.clips[unit], measured.splits),
            f"{unit}s with clips in more than one split",
        )
        for unit in ("recording", "group")
    ]


def _leaks(keys: NDArray[np.uint64], splits: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs of clips `[M, 2]`, one for each key that occurs in several splits.

    A pair is the first clip with the key, and the first in another split.
    """
    order = np.lexsort((splits, keys))
    turns = np.flatnonzero(
        (keys[order][1:] == keys[order][:-1]) & (splits[order][1:] != splits[order][:-1])
    )
    _, once = np.unique(keys[order][turns], return_index=True)
    pairs = np.column_stack((order[turns[once]], order[turns[once] + 1]))
    return pairs[np.argsort(pairs[:, 0], kind="stable")]


def label_findings(
    labels: tuple[LabelCount, ...], manifest: Manifest, unlabelled: int
) -> list[Finding]:
    """Clips without labels, rare labels, and labels missing in a split that has clips."""
    present = [split for split in SPLITS if manifest.rows.get(split)]
    missing = [label.label for label in labels if any(split not in label.rows for split in present)]
    ratio, balance = 1.0, "no clip has a label"
    if labels:
        most, least = labels[0], labels[-1]
        ratio = most.total / least.total
        balance = f"{most.label} has {ratio:.3g} times the clips of {least.label}"
    named = f": {', '.join(missing[:EXAMPLES])}" if missing else ""
    return [
        Finding(
            "unlabelled",
            "look" if unlabelled and labels else "good",
            unlabelled,
            "clips without any label",
        ),
        Finding(
            "imbalance", "look" if ratio > IMBALANCE else "good", len(labels), f"labels; {balance}"
        ),
        Finding(
            "labels missing in a split",
            "look" if missing else "good",
            len(missing),
            f"labels that a split has no clip of{named}",
        ),
    ]


def _signed(number: float) -> str:
    """The number with a typographic minus sign."""
    return f"{number:g}".replace("-", "−")
