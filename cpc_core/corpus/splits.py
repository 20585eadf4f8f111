"""The train and dev split of a source that names none."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace

from cpc_core.corpus.labels import Entry


def with_splits(entries: list[Entry], dev_fraction: float, seed: int) -> list[Entry]:
    """The same entries, each with a split; splits that the source names are kept.

    Whole groups go to dev until it has its share of the entries, in an order hashed from the seed and the group's name: a
    recording added later moves no other one unless it tips the balance. One group always stays for training.
    """
    if all(entry.split is not None for entry in entries):
        return entries
    sizes = Counter(entry.group for entry in entries)
    dev: set[str] = set()
    held_out = 0
    for group in sorted(sizes, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())[:-1]:
        if held_out >= dev_fraction * len(entries):
            break
        dev.add(group)
        held_out += sizes[group]
    return [replace(entry, split="dev" if entry.group in dev else "train") for entry in entries]
