"""The checks of an audit over what was measured of every clip."""

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
"""Level below which a clip is next to silence: its noise floor is what a model would learn."""


OFFSET_DB = -40.0
"""Constant offset, 1 % of full scale, that an amplifier or converter adds and no sound has."""


NARROW_HZ = 5500.0
"""A recording at 8 kHz holds nothing above, whatever its rate is now: 4 kHz, and the slope of the
filter that resampled it.
"""


IMBALANCE = 20.0
"""How many times more clips the commonest label may have than the rarest."""


@dataclass(frozen=True, eq=False)
class MeasuredClips:
    """A corpus and what was measured of its clips.

    Attributes:
        folder: The corpus.
        manifest: What it holds.
        clips: Measures of the clips that could be read, `[N]` of `MEASURES`.
    """

    folder: StoragePath
    manifest: Manifest
    clips: NDArray[np.void]

    @property
    def splits(self) -> NDArray[np.int64]:
        """Position in `SPLITS` of every clip's split."""
        of_shard = np.array([SPLITS.index(shard.split) for shard in self.manifest.shards])
        found: NDArray[np.int64] = of_shard[self.clips["shard"]]
        return found

    def ref(self, clip: int) -> ClipRef:
        """The clip at a position of `clips`, by name."""
        record = self.clips[clip]
        shard = self.manifest.shards[record["shard"]]
        index, row = int(record["row_group"]), int(record["row"])
        group = RowGroup(self.folder / shard.file, index, shard.row_group_rows[index])
        (named,) = (
            read_row_group(group, ["path", "start_s", "label", "group"]).slice(row, 1).to_pylist()
        )
        return ClipRef(shard.file, index, row, shard.split, **named)

    def examples(self, clips: NDArray[np.int64]) -> tuple[tuple[ClipRef, ...], ...]:
        """The first few of the clips `[M]` or pairs of clips `[M, 2]`, by name."""
        return tuple(
            tuple(self.ref(int(clip)) for clip in np.atleast_1d(example))
            for example in clips[:EXAMPLES]
        )


def signal_findings(measured: MeasuredClips) -> list[Finding]:
    """Silence, clipping, offset, bandwidth and rate."""
    clips = measured.clips
    silent = clips["level_db"] <= SILENCE_DB
    quiet = (clips["level_db"] < QUIET_DB) & ~silent
    checks = (
        ("silence", silent, np.zeros(len(clips)), "clips of nothing but zeros"),
        (
            "near silence",
            quiet,
            clips["level_db"],
            f"clips with a level below {_signed(QUIET_DB)} dB of full scale",
        ),
        (
            "clipping",
            clips["clipped"] > 0,
            -clips["clipped"],
            f"clips with {CLIPPED_RUN} or more samples in a row at full scale",
        ),
        (
            "DC offset",
            clips["offset_db"] > OFFSET_DB,
            -clips["offset_db"],
            f"clips with a mean beyond {_signed(OFFSET_DB)} dB of full scale",
        ),
        (
            "bandwidth",
            (clips["bandwidth_hz"] < NARROW_HZ) & ~silent,
            clips["bandwidth_hz"],
            f"clips with nothing above {NARROW_HZ / 1000:g} kHz: recorded at 8 kHz, or low by nature",
        ),
        (
            "sample rate",
            clips["rate_hz"] != measured.manifest.sample_rate_hz,
            np.zeros(len(clips)),
            f"clips at another rate than {measured.manifest.sample_rate_hz} Hz",
        ),
    )
    return [_finding(measured, name, which, order, detail) for name, which, order, detail in checks]


def _finding(
    measured: MeasuredClips,
    check: str,
    which: NDArray[np.bool_],
    order: NDArray[np.floating],
    detail: str,
) -> Finding:
    """A finding about single clips, the worst first."""
    clips = np.flatnonzero(which)
    worst = clips[np.argsort(order[clips], kind="stable")]
    return _listed(measured, check, worst, detail)


def duplicate_findings(measured: MeasuredClips) -> list[Finding]:
    """The same samples twice, and the same recording twice at another level or from another
    rate.
    """
    exact, near = _equal_pairs(measured), _near_pairs(measured)
    splits = measured.splits
    both = np.concatenate((exact, near))
    across = both[splits[both[:, 0]] != splits[both[:, 1]]]
    return [
        _listed(measured, "exact duplicates", exact, "pairs of clips with the same samples"),
        _listed(
            measured,
            "near duplicates",
            near,
            f"further pairs of the same recording at another level or from another rate (fingerprints within {NEAR_BITS} of 256 bits)",
        ),
        _listed(
            measured,
            "content in two splits",
            across,
            "of these pairs have one clip in one split and one in another",
        ),
    ]


def _listed(measured: MeasuredClips, check: str, clips: NDArray[np.int64], detail: str) -> Finding:
    """A finding about clips `[M]` or pairs of clips `[M, 2]`, the most telling first."""
    return Finding(
        check, "look" if len(clips) else "good", len(clips), detail, measured.examples(clips)
    )


def _equal_pairs(measured: MeasuredClips) -> NDArray[np.int64]:
    """Every clip that repeats the samples of an earlier one, after the first that has them, `[M,
    2]`; silence does not count.
    """
    heard = np.flatnonzero(measured.clips["level_db"] > SILENCE_DB)
    _, first, inverse = np.unique(
        measured.clips["content"][heard], return_index=True, return_inverse=True
    )
    repeats = np.flatnonzero(first[inverse] != np.arange(len(heard)))
    pairs: NDArray[np.int64] = heard[np.column_stack((first[inverse[repeats]], repeats))]
    return pairs


def _near_pairs(measured: MeasuredClips) -> NDArray[np.int64]:
    """Pairs of near fingerprints and about equal length, `[M, 2]`; of clips with equal samples the
    first one stands for all.
    """
    clips = measured.clips
    _, first = np.unique(clips["content"], return_index=True)
    # What is next to silence has no fingerprint of its own.
    candidates = np.sort(first[clips["level_db"][first] >= QUIET_DB])
    pairs, _ = near_pairs(clips["fingerprint"][candidates])
    pairs = candidates[pairs]
    seconds = clips["seconds"][pairs]
    alike: NDArray[np.bool_] = np.abs(seconds[:, 0] - seconds[:, 1]) <= 0.02 * seconds.max(
        axis=1, initial=0.0
    )
    return pairs[alike]


def leak_findings(measured: MeasuredClips) -> list[Finding]:
    """Recordings and groups that a split separates."""
    splits = measured.splits
    return [
        _leak(
            measured,
            "recording in two splits",
            measured.clips["recording"],
            splits,
            "recordings with clips in more than one split",
        ),
        _leak(
            measured,
            "group in two splits",
            measured.clips["group"],
            splits,
            "groups with clips in more than one split",
        ),
    ]


def _leak(
    measured: MeasuredClips,
    check: str,
    keys: NDArray[np.uint64],
    splits: NDArray[np.int64],
    detail: str,
) -> Finding:
    """Keys that occur with more than one split; an example is the first clip with the key, and the
    first in another split.
    """
    order = np.lexsort((splits, keys))
    turns = np.flatnonzero(
        (keys[order][1:] == keys[order][:-1]) & (splits[order][1:] != splits[order][:-1])
    )
    _, once = np.unique(keys[order][turns], return_index=True)
    pairs = np.column_stack((order[turns[once]], order[turns[once] + 1]))
    return _listed(measured, check, pairs[np.argsort(pairs[:, 0], kind="stable")], detail)


def label_findings(
    labels: tuple[LabelCount, ...], manifest: Manifest, unlabelled: int
) -> list[Finding]:
    """Labels that are rare, or missing in a split that has clips."""
    present = [split for split in SPLITS if manifest.rows.get(split)]
    missing = [label.label for label in labels if any(split not in label.rows for split in present)]
    ratio = labels[0].total / labels[-1].total if labels else 1.0
    commonest = (
        f"{labels[0].label} has {ratio:.3g} times the clips of {labels[-1].label}"
        if labels
        else "no clip has a label"
    )
    return [
        Finding(
            "unlabelled",
            "look" if unlabelled and labels else "good",
            unlabelled,
            "clips without any label",
        ),
        Finding(
            "imbalance",
            "look" if ratio > IMBALANCE else "good",
            len(labels),
            f"labels; {commonest}",
        ),
        Finding(
            "labels missing in a split",
            "look" if missing else "good",
            len(missing),
            "labels that a split has no clip of"
            + (f": {', '.join(missing[:EXAMPLES])}" if missing else ""),
        ),
    ]


def _signed(number: float) -> str:
    """With a true minus sign."""
    return f"{number:g}".replace("-", "−")
