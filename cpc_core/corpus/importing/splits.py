"""Train and dev split of recordings for which the source names none."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace

from cpc_core.corpus.sources.entry import Entry


def with_splits(entries: list[Entry], dev_fraction: float, seed: int) -> list[Entry]:
    """The entries, each with a split; splits that the source names do not change.

    Of the entries without one, whole groups go to dev until it has its share of them, in an order
    hashed from the seed and the group's name: a recording added later moves no other one unless dev
    was about to be full. One group always remains for training.
    """
    sizes = Counter(entry.group for entry in entries if entry.split is None)
    order = sorted(sizes, key=lambda group: hashlib.sha256(f"{seed}/{group}".encode()).digest())
    dev: set[str] = set()
    held_out = 0
    for group in order[:-1]:
        if held_out >= dev_fraction * sizes.total():
            break
        dev.add(group)
        held_out += sizes[group]
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
