"""Splits in the names of folders: `train/dog/1.wav`, `dog/test/2.wav`."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from cpc_core.corpus.manifest import Split
from cpc_core.errors import TableError

_WORDS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "tr": "train",
    "dev": "dev",
    "devel": "dev",
    "development": "dev",
    "val": "dev",
    "valid": "dev",
    "validate": "dev",
    "validation": "dev",
    "cv": "dev",
    "test": "test",
    "testing": "test",
    "tests": "test",
    "tt": "test",
    "eval": "test",
    "evaluate": "test",
    "evaluation": "test",
}
_FILLER = r"(?:[-_ .]?(?:set|data|dataset|split|audio|clips|files|wav|wavs|clean|other)|[-_]\d+)*"
_NAME = re.compile(rf"({'|'.join(_WORDS)}){_FILLER}")


@dataclass(frozen=True)
class SplitFolders:
    """Folders of one level that are splits.

    Attributes:
        level: Their position in a path.
        splits: Name → split; None for training recordings of which dev is to be drawn, because no
            folder is dev.
        is_wrapped: True if all lie in one folder, which is no label.
    """

    level: int
    splits: dict[str, Split | None]
    is_wrapped: bool

    def of(self, path: Path) -> Split | None:
        """Split of a recording."""
        return self.splits[path.parts[self.level]]

    def label(self, path: Path) -> str:
        """The folder of a recording that is its class, empty if there is none."""
        folders = list(path.parts[:-1])
        del folders[: self.level + 1 if self.is_wrapped else 0]
        if not self.is_wrapped:
            del folders[self.level]
        return folders[0] if folders else ""

    @property
    def note(self) -> str:
        """The reading, as text."""
        named = ", ".join(
            f"{name} is {split or 'train'}" for name, split in sorted(self.splits.items())
        )
        above = "" if self.is_wrapped else ", the labels are the folders above them"
        drawn = "; dev is drawn from train" if None in self.splits.values() else ""
        return f"the folders are splits and no labels: {named}{above}{drawn}"


def split_folders(paths: Collection[Path]) -> SplitFolders | None:
    """The level of folders that are splits, or None if there is none.

    Raises:
        TableError: Folders of splits and other folders lie side by side.
    """
    for level in range(3):
        names = {path.parts[level] if len(path.parts) > level + 1 else "" for path in paths}
        splits = {name: split for name in names if (split := _split(name)) is not None}
        if len(splits) == len(names) and (level == 0 or len(set(splits.values())) > 1):
            wrapped = level == 0 or len({path.parts[0] for path in paths}) == 1
            return SplitFolders(level, _readings(splits), wrapped)
        others = sorted(names - splits.keys())
        inner = {path.parts[1] for path in paths if len(path.parts) > 2 and path.parts[0] in splits}
        if level == 0 and (len(set(splits.values())) > 1 or inner & {*others}):
            raise TableError(
                f"the folders {', '.join(sorted(splits))} are named like splits, but "
                f"{others[0] or 'recordings beside them'} is not: move it away, or write a "
                "labels.csv with the columns path, label and split"
            )
    return None


def names_split(name: str) -> bool:
    """True for a name such as `train`, `Validation` or `testing_list`."""
    return _split(re.sub(r"[-_ ]?(list|files?)$", "", name.casefold())) is not None


def _split(name: str) -> Split | None:
    found = _NAME.fullmatch(name.casefold())
    return _WORDS[found[1]] if found else None


def _readings(splits: dict[str, Split]) -> dict[str, Split | None]:
    """Splits of the folders where `eval` lies beside a test split, or nothing is dev."""
    evaluation = {name for name in splits if name.casefold().startswith("eval")}
    if any(split == "test" and name not in evaluation for name, split in splits.items()):
        splits = splits | dict.fromkeys(evaluation, "dev")
    if "dev" in splits.values():
        return dict(splits)
    return {name: None if split == "train" else split for name, split in splits.items()}
