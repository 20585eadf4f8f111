"""Trials that were trained before: studies that lie side by side in a folder share them.

A trial is found by its trajectory, the hash of everything that decides its steps but their number.
One that ended after the same number of steps is taken over whole; of any other, the newest
checkpoint that this trial would have made, too. Only files are read, so a study that is running
elsewhere is neither disturbed nor waited for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cpc_core.config import CpcConfig, trajectory
from cpc_core.report import Report
from study.folders.study_folder import StudyFolder
from study.folders.trial_folder import Identity, TrialFolder

_TRIAL = re.compile(r"t\d+")


_UNREADABLE = (OSError, ValueError, TypeError)
"""What reading another study's files may raise: they may be damaged, another version's, or not for
everybody to see.
"""


@dataclass(frozen=True)
class Source:
    """A trial whose steps are another's, too.

    Attributes:
        folder: The trial.
        step: Up to which step they are.
        ended: Whether its ending is the other's as well.
    """

    folder: TrialFolder
    step: int
    ended: bool


class TrialReuse:
    """The trials of the studies beside a study, and its own. What they are is read once, how far
    they are each time.

    Args:
        study: The study folder.
    """

    def __init__(self, study: Path) -> None:
        self._parent = study.absolute().parent
        self._known: dict[Path, set[str]] = {}
        self._alike: dict[str, list[tuple[Path, Identity]]] = {}

    def donor(self, trajectory_id: str, config: CpcConfig, own: Path) -> Source | None:
        """The trial that saves the most steps.

        Args:
            trajectory_id: Of the trial that is about to be trained.
            config: Its configuration.
            own: Its folder.
        """
        self._look_around()
        others = [
            found for found in self._alike.get(trajectory_id, ()) if found[0] != own.absolute()
        ]
        alike = [_donor(path, identity, config) for path, identity in others]
        donors = [donor for donor in alike if donor is not None]
        return max(donors, key=lambda donor: (donor.ended, donor.step), default=None)

    def adopt(self, trajectory_id: str, config: CpcConfig, own: TrialFolder) -> bool:
        """Begins a trial with what another one has trained; returns whether there was such a
        trial.
        """
        # A trial that is in training drops old checkpoints: then the next best is taken. An error
        # of the disk is this study's own.
        for _ in range(3):
            donor = self.donor(trajectory_id, config, Path(own.path))
            if donor is None:
                return False
            with suppress(FileNotFoundError, ValueError, TypeError):
                own.copy_from(donor.folder, config, donor.step, ended=donor.ended)
                return True
        return False

    def _look_around(self) -> None:
        """Reads what has appeared since: each ask does, so that it lists names and looks at new
        ones only.
        """
        for trials in self._parent.glob("*/trials"):
            known = self._known.setdefault(trials, set())
            names: set[str] = set()
            with suppress(OSError), os.scandir(trials) as entries:
                names = {entry.name for entry in entries}
            for name in sorted(names - known):
                path = trials / name
                identity = _identity(path) if _TRIAL.fullmatch(name) else None
                # A folder that was made a moment ago gets its identity in the next one.
                if identity is not None:
                    known.add(name)
                    self._alike.setdefault(identity.trajectory_id, []).append((path, identity))


@dataclass(frozen=True)
class ReuseForecast:
    """Trials of a grid that others have trained, counted.

    Attributes:
        whole: To their end.
        begun: To a checkpoint from which they go on.
    """

    whole: int
    begun: int

    @property
    def words(self) -> str:
        """The counts as one sentence; empty where nothing was trained yet."""
        parts = [
            (self.whole, "taken over as trained already"),
            (self.begun, "continued from a checkpoint"),
        ]
        listed = " and ".join(f"{count} {what}" for count, what in parts if count)
        return f"of these trials {listed}, from studies beside it" if listed else ""


def forecast_reuse(
    study: StudyFolder, configs: Iterable[CpcConfig], corpus_hash: str
) -> ReuseForecast:
    """What a study in that folder would find trained in the studies beside it.

    Args:
        study: The study folder, which need not exist.
        configs: Its trials.
        corpus_hash: Hash of its corpus manifest.
    """
    own, shared = study.trial(0), TrialReuse(Path(study.path))
    donors = [
        shared.donor(trajectory(config, corpus_hash), config, Path(own.path)) for config in configs
    ]
    ended = [
        donor.ended for donor in donors if donor is not None and donor.folder.study != own.study
    ]
    return ReuseForecast(whole=sum(ended), begun=len(ended) - sum(ended))


def _folder(path: Path) -> TrialFolder:
    return TrialFolder(path.parents[1], int(path.name.removeprefix("t")))


def _identity(path: Path) -> Identity | None:
    with suppress(*_UNREADABLE):
        return _folder(path).identity()
    return None


def _donor(path: Path, identity: Identity, config: CpcConfig) -> Source | None:
    with suppress(*_UNREADABLE):
        return _read_donor(_folder(path), identity, config)
    return None


def _read_donor(folder: TrialFolder, identity: Identity, config: CpcConfig) -> Source | None:
    # The folder may have been deleted and made again since its identity was read.
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
    # Off the cadence of reports a trial has reported and saved only because it ended there; this
    # one would not have.
    steps = [step for step in folder.steps() if step % config.training.report_every == 0]
    usable = [step for step in steps if step < config.training.steps and step in log]
    return Source(folder, max(usable), False) if usable else None
