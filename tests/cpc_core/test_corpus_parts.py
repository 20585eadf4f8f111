from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpc_core.corpus.importing.parts import Part, plan_parts
from cpc_core.corpus.manifest import LARGEST_SHARD_BYTES, SHARD_BYTES, ImportOptions
from cpc_core.corpus.sources.entry import Entry
from tests.helpers.recordings import noise, write_recording

OPTIONS = ImportOptions(clip_s=10.0)
CLIP_BYTES = 320_000


def entry(name: str, seconds: float, start_s: float = 0.0) -> Entry:
    return Entry(Path(name), "", (), "train", name, start_s, start_s + seconds)


def planned(entries: list[Entry], options: ImportOptions = OPTIONS) -> list[Part]:
    return list(plan_parts(Path("/nowhere"), entries, options))


def clips(part: Part) -> int:
    return sum(round((each.end_s or 0) - each.start_s) // 10 for each in part.entries)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 3000))
def test_shards_are_of_64_to_128_mib_where_there_is_enough_audio(count: int) -> None:
    parts = planned([entry(str(index), 10.0) for index in range(count)])
    sizes = [clips(part) * CLIP_BYTES for part in parts]
    assert sum(sizes) == count * CLIP_BYTES
    assert max(sizes) <= LARGEST_SHARD_BYTES + CLIP_BYTES
    if count * CLIP_BYTES > LARGEST_SHARD_BYTES:
        assert min(sizes) >= 60 * 2**20
        assert max(sizes) - min(sizes) <= CLIP_BYTES


def test_a_large_corpus_has_shards_of_the_planned_size() -> None:
    parts = planned([entry(str(index), 10.0) for index in range(20_000)])
    assert all(abs(clips(part) * CLIP_BYTES / SHARD_BYTES - 1) < 0.02 for part in parts)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 4000), min_size=1, max_size=30))
def test_every_entry_is_in_one_part_whatever_the_lengths(tens: list[int]) -> None:
    entries = [entry(str(index), 10.0 * count + 0.001) for index, count in enumerate(tens)]
    parts = planned(entries)
    assert sorted(each.path for part in parts for each in part.entries) == sorted(
        each.path for each in entries
    )
    assert all(part.entries for part in parts)
    assert [part.name for part in parts] == [f"train-{number:05d}" for number in range(len(parts))]


def test_entries_of_one_recording_stay_together_and_in_order() -> None:
    entries = [entry(f"{index % 7}", 10.0, 10.0 * index) for index in range(2000)]
    parts = planned(entries)
    assert len(parts) > 1
    for name in {each.path for each in entries}:
        (holder,) = [part for part in parts if any(each.path == name for each in part.entries)]
        starts = [each.start_s for each in holder.entries if each.path == name]
        assert all(left < right for left, right in pairwise(starts))


def test_the_order_of_the_source_does_not_matter() -> None:
    entries = [entry(str(index), 10.0) for index in range(1000)]
    assert planned(entries) == planned(entries[::-1])


def test_a_part_survives_being_written_down(tmp_path: Path) -> None:
    name = "caf\u00e9 \udcff\n.wav"
    write_recording(tmp_path / "a.wav", noise(0.1))
    (tmp_path / "a.wav").rename(tmp_path / name)
    (part,) = plan_parts(
        tmp_path, [Entry(Path(name), "x", ("x", "y"), "dev", "g", 0.5, None, "s", "l")], OPTIONS
    )
    assert part.versions[0][0] == (tmp_path / name).stat().st_size
    assert Part.from_json(part.to_json()) == part


def test_unknown_lengths_are_read_from_the_recordings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cpc_core.corpus.importing.parts.SHARD_BYTES", 10 * 3200)
    monkeypatch.setattr("cpc_core.corpus.importing.parts.LARGEST_SHARD_BYTES", 12 * 3200)
    for index in range(8):
        write_recording(tmp_path / f"{index}.wav", noise(0.5, index))
    entries = [Entry(Path(f"{index}.wav"), "", (), "train", str(index)) for index in range(8)]
    entries.append(Entry(Path("missing.wav"), "", (), "train", "missing"))
    split, crop = ImportOptions(clip_s=0.1), ImportOptions(clip_s=0.1, long_files="crop")
    assert sorted(len(part.entries) for part in plan_parts(tmp_path, entries, split)) == [
        2,
        2,
        2,
        3,
    ]
    assert [len(part.entries) for part in plan_parts(tmp_path, entries, crop)] == [9]
