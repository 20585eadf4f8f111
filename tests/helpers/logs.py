"""What can be compared of the logs of two trainings."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from study.folders.trial_folder import TrialFolder


def log_without_timing(study: Path, number: int) -> list[dict[str, Any]]:
    """Every whole line of a trial's log, without what depends on the clock."""
    entries = [asdict(entry) for entry in TrialFolder(study, number).log()]
    for entry in entries:
        del entry["elapsed_s"]
        entry["metrics"].pop("clips_per_s", None)
    return entries
