"""Reuse of trained steps between studies in the same parent folder.

A trial is found by its trajectory, the hash of everything that decides its steps but their number.
One that ended after the same number of steps is reused whole; of any other, the newest checkpoint
that this trial would have made, too. Only files are read: a study that is running elsewhere is
neither disturbed nor waited for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cpc_core.config import CpcConfig, trajectory
from cpc_core.errors import CpcError
from cpc_core.report import Report
from study.folders.study_folder import SPEC, StudyFolder
from study.folders.trial_folder import Identity, TrialFolder
from study.spec.study_spec import StudySpec

_TRIAL = re.compile(r"t\d+")


_UNREADABLE = (OSError, ValueError, TypeError, CpcError)
"""Errors of files of other studies, which may be damaged, unreadable or of another version."""


@dataclass(frozen=True)
class Source:
    """A trial with steps that another one can reuse.

    Attributes:
        folder: The trial.
        step: The last such step.
        ended: True if its final outcome is reused, too.
    """

    folder: TrialFolder
    step: int
    ended: bool


class TrialReuse:
    """Trials of a study and of those in the same parent folder.

    Their identities are read once, their progress each time.

    Args:
        study: The study folder.
    """

    def __init__(self, study: Path) -> None:
        self._parent = study.absolute().parent
        self._known: dict[Path, set[str]] = {}
        self._alike: dict[str, list[tuple[Path, Identity]]] = {}

    def find_source(self, trajectory_id: str, config: CpcConfig, own: Path) -> Source | None:
        """The trial that saves the most steps.

        Args:
            trajectory_id: Of the trial that is about to be trained.
            config: Its configuration.
            own: Its folder.
        """
        self._read_new()
        others = [
            found for found in self._alike.get(trajectory_id, ()) if found[0] != own.absolute()
        ]
        found = [_source(path, identity, config) for path, identity in others]
        sources = [source for source in found if source is not None]
        return max(sources, key=lambda source: (source.ended, source.step), default=None)

    def copy_steps(self, trajectory_id: str, config: CpcConfig, own: TrialFolder) -> bool:
        """Copies the steps of the best source into a trial's folder; True if there was one."""
        # A source in training drops old checkpoints: then the next best is copied. An error of the
        # disk is this study's own.
        for _ in range(3):
            source = self.find_source(trajectory_id, config, Path(own.path))
            if source is None:
                return False
            with suppress(FileNotFoundError, ValueError, TypeError, CpcError):
                own.copy_from(source.folder, config, source.step, ended=source.ended)
                return True
        return False

    def _read_new(self) -> None:
        """Reads the identities of trials that were created since the last call."""
        for trials in self._parent.glob("*/trials"):
            known = self._known.setdefault(trials, set())
            names: set[str] = set()
            with suppress(OSError), os.scandir(trials) as entries:
                names = {entry.name for entry in entries}
            for name in sorted(names - known):
                path = trials / name
                identity = _identity(path) if _TRIAL.fullmatch(name) else None
                # A folder gets its identity a moment after it was created.
                if identity is not None:
                    known.add(name)
                    self._alike.setdefault(identity.trajectory_id, []).append((path, identity))


@dataclass(frozen=True)
class ReuseForecast:
    """Number of trials of a grid that other studies have trained.

    Attributes:
        whole: To their end.
        begun: To a checkpoint from which they resume.
    """

    whole: int
    begun: int

    @property
    def words(self) -> str:
        """The counts as one sentence; empty if nothing was trained yet."""
        parts = [
            (self.whole, "taken over as trained already"),
            (self.begun, "continued from a checkpoint"),
        ]
        listed = " and ".join(f"{count} {what}" for count, what in parts if count)
        return f"of these trials {listed}, from studies beside it" if listed else ""


def forecast_reuse(
    study: StudyFolder, configs: Iterable[CpcConfig], corpus_hash: str
) -> ReuseForecast:
    """Trials that a study in that folder would reuse from studies in the same parent folder.

    Args:
        study: The study folder, which need not exist.
        configs: Its trials.
        corpus_hash: Hash of its corpus manifest.
    """
    own, shared = study.trial(0), TrialReuse(Path(study.path))
    sources = [
        shared.find_source(trajectory(config, corpus_hash), config, Path(own.path))
        for config in configs
    ]
    ended = [
        source.ended
        for source in sources
        if source is not None and source.folder.study != own.study
    ]
    return ReuseForecast(whole=sum(ended), begun=len(ended) - sum(ended))


def earlier_looks(study: StudyFolder, spec: StudySpec, corpus_hash: str) -> dict[str, list[int]]:
    """Studies in the same parent folder that have evaluated other sets of the study's seeds.

    They ask for the same trials but for the seeds, some of which are the same. Theirs are counted
    too: a study may extend one that was deleted since.

    Args:
        study: The study folder, which need not exist; in an object store nothing is searched.
        spec: Its spec.
        corpus_hash: Hash of its corpus manifest.

    Returns:
        Folder name → seeds.
    """
    looks: dict[str, list[int]] = {}
    if not study.path.is_local:
        return looks
    own = Path(study.path)
    for path in sorted(own.parent.glob(f"*/{SPEC}")):
        other = StudyFolder(path.parent)
        with suppress(CpcError, *_UNREADABLE, KeyError):
            seeds, provenance = other.spec().seeds, other.provenance()
            overlap = set(seeds) & set(spec.seeds)
            if (
                path.parent != own
                and overlap
                and set(seeds) != set(spec.seeds)
                and _without_seeds(other.spec()) == _without_seeds(spec)
                and provenance["corpus_hash"] == corpus_hash
            ):
                looks |= {**provenance.get("earlier_looks", {}), path.parent.name: list(seeds)}
    return looks


def _without_seeds(spec: StudySpec) -> str:
    """Hash of the trials that a spec asks for, whatever their seeds."""
    return spec.model_copy(update={"name": "study", "question": "", "seeds": (0,)}).hash


def _folder(path: Path) -> TrialFolder:
    return TrialFolder(path.parents[1], int(path.name.removeprefix("t")))


def _identity(path: Path) -> Identity | None:
    with suppress(*_UNREADABLE):
        return _folder(path).identity()
    return None


def _source(path: Path, identity: Identity, config: CpcConfig) -> Source | None:
    with suppress(*_UNREADABLE):
        return _read_source(_folder(path), identity, config)
    return None


def _read_source(folder: TrialFolder, identity: Identity, config: CpcConfig) -> Source | None:
    # The folder may have been deleted and created again since its identity was read.
    if folder.identity() != identity:
        return None
    ending = folder.ending()
    if (
        ending is not None
        and ending.outcome in ("complete", "diverged")
        and identity.steps == config.training.steps
    ):
        return Source(folder, ending.step, True)
    log: dict[int, Report] = {entry.step: entry for entry in folder.log()}
    # Between the regular reports a trial has reported and saved only because it ended there, which
    # this one would not.
    steps = [step for step in folder.steps() if step % config.training.report_every == 0]
    usable = [step for step in steps if step < config.training.steps and step in log]
    return Source(folder, max(usable), False) if usable else None
