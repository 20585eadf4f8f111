"""The train and dev split of recordings for which the source names none."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace

from cpc_core.corpus.manifest import Split
from cpc_core.corpus.sources.entry import Entry


def with_splits(entries: list[Entry], dev_fraction: float, seed: int) -> list[Entry]:
    """The same entries, each with a split; splits that the source names are kept.

    Of the entries without one, whole groups go to dev until it has its share of them, in an order
    hashed from the seed and the group's name: a recording added later moves no other one unless it
    tips the balance. One group always stays for training.
    """
    sizes = Counter(entry.group for entry in entries if entry.split is None)
    wanted = dev_fraction * sizes.total()
    dev: set[str] = set()
    held_out = 0
    for group in sorted(sizes, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())[
        :-1
    ]:
        if held_out >= wanted:
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
    """How many groups are in more than one split: only a source that names the splits itself can
    ask for that.
    """
    first: dict[str, Split | None] = {}
    return len(
        {
            entry.group
            for entry in entries
            if first.setdefault(entry.group, entry.split) != entry.split
        }
    )
