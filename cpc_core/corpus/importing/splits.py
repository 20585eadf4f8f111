"""Train and dev split of recordings for which the source names none."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace

from cpc_core.corpus.sources.entry import Entry

SURELY_USABLE = 20
"""Recordings of dev that are tried before they are drawn: enough that dev is never empty."""


def with_splits(
    entries: list[Entry],
    dev_fraction: float,
    seed: int,
    usable: Callable[[Entry], bool] = lambda entry: True,
) -> list[Entry]:
    """The entries, each with a split; splits that the source names do not change.

    Of the entries without one, whole groups go to dev until it has its share of them, in an order
    hashed from the seed and the group's name: a recording added later moves no other one unless dev
    was about to be full. Recordings that cannot be used do not count, and one usable group always
    remains for training.

    Args:
        entries: Recordings.
        dev_fraction: Share of dev.
        seed: Seed of the draw.
        usable: True if an entry has a clip. Called for the first groups only, because it may have
            to decode them: until dev has `SURELY_USABLE` recordings.
    """
    groups: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.split is None:
            groups[entry.group].append(entry)
    order = sorted(groups, key=lambda group: hashlib.sha256(f"{seed}/{group}".encode()).digest())
    held_out_share = dev_fraction * sum(map(len, groups.values()))
    kept = next((group for group in reversed(order) if any(map(usable, groups[group]))), None)
    dev: set[str] = set()
    held_out = 0
    for group in order:
        if held_out >= held_out_share:
            break
        if group == kept:
            continue
        tried = max(0, SURELY_USABLE - held_out)
        held_out += sum(map(usable, groups[group][:tried])) + len(groups[group][tried:])
        dev.add(group)
    return [
        entry
        if entry.split is not None
        else replace(entry, split="dev" if entry.group in dev else "train")
        for entry in entries
    ]


def groups_in_several_splits(entries: list[Entry]) -> int:
    """Number of groups with entries in more than one split, which only the source can cause."""
    pairs = {(entry.group, entry.split) for entry in entries}
    return sum(splits > 1 for splits in Counter(group for group, _ in pairs).values())
