"""The metrics log of a trial as curves: read where they are asked for, and only what is new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cpc_core.report import Report
from study.folders.growing_file import GrowingFile
from study.folders.json_file import parse_as
from study.folders.trial_folder import LOG, TrialFolder

Stamp = tuple[int, int]
"""Time of a file's last change in ns, and its bytes."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A metric of one trial over its steps.

    Attributes:
        steps: `[n]` optimizer steps, ascending.
        values: `[n]`, finite.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Line:
    step: int
    metrics: dict[str, float]


@dataclass(frozen=True, eq=False)
class Columns:
    """Reports of one trial as columns.

    Attributes:
        steps: `[n]` optimizer steps, in the order of the reports.
        metrics: Names of the m metrics, in the order of their first report.
        values: `[n, m]`, NaN where a report lacks a metric.
    """

    steps: NDArray[np.int64]
    metrics: tuple[str, ...]
    values: NDArray[np.float64]

    @classmethod
    def of(cls, reports: Sequence[Report | _Line]) -> Columns:
        """The columns of some reports."""
        names = tuple(dict.fromkeys(name for report in reports for name in report.metrics))
        rows = [[report.metrics.get(name, np.nan) for name in names] for report in reports]
        return cls(
            np.array([report.step for report in reports], dtype=np.int64),
            names,
            np.array(rows, dtype=np.float64).reshape(len(reports), len(names)),
        )

    def curve(self, metric: str) -> Curve:
        """A metric over the steps, where finite; of several reports at a step, the last one."""
        if metric not in self.metrics:
            return Curve(np.empty(0, np.int64), np.empty(0))
        column = self.values[:, self.metrics.index(metric)]
        finite = np.isfinite(column)
        steps, column = self.steps[finite], column[finite]
        if (np.diff(steps) <= 0).any():
            steps, last = np.unique(steps[::-1], return_index=True)
            column = column[::-1][last]
        return Curve(steps, column)

    def followed_by(self, more: Columns) -> Columns:
        """These reports, then later ones."""
        names = tuple(dict.fromkeys((*self.metrics, *more.metrics)))
        values = np.full((len(self.steps) + len(more.steps), len(names)), np.nan)
        for part, rows in ((self, slice(len(self.steps))), (more, slice(len(self.steps), None))):
            values[rows, [names.index(name) for name in part.metrics]] = part.values
        return Columns(np.concatenate([self.steps, more.steps]), names, values)


_NOTHING = Columns.of(())


class MetricsLog:
    """The metrics log of one trial, which may be growing.

    Attributes:
        folder: The trial's folder.
    """

    def __init__(self, folder: TrialFolder) -> None:
        self.folder = folder
        self._stamp: Stamp | None = None
        self._forget()

    def _forget(self) -> None:
        self._file: GrowingFile | None = None
        self._columns: Columns = _NOTHING
        self._columns_stamp: Stamp | None = None

    def changed(self, stamp: Stamp | None) -> None:
        """Takes note that the log has another stamp; None where there is no log."""
        self._stamp = stamp

    def last(self) -> Report | None:
        """The last report; None before the first one.

        Raises:
            ConfigError: It is damaged.
        """
        return None if self._stamp is None else self.folder.last_report()

    @property
    def reports(self) -> tuple[Report, ...]:
        """All reports, read again each time.

        Raises:
            ConfigError: A line is damaged.
        """
        return () if self._stamp is None else self.folder.log()

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that some report has."""
        return self._read().metrics

    def curve(self, metric: str) -> Curve:
        """A metric over the steps.

        Raises:
            ConfigError: A line is damaged.
        """
        return self._read().curve(metric)

    def _read(self) -> Columns:
        now: Stamp | None = self._stamp
        if now != self._columns_stamp:
            if now is None:
                self._forget()
            elif self.folder.path.is_local:
                self._columns = self._read_on()
            else:
                self._columns = Columns.of(self.folder.log())
            self._columns_stamp = now
        return self._columns

    def _read_on(self) -> Columns:
        """All columns, of which only the new ones are read."""
        file = self._file or GrowingFile(Path(self.folder.path / LOG))
        try:
            if not file.continues():
                self._forget()
                file = GrowingFile(Path(self.folder.path / LOG))
            text = b"[" + b",".join(file.new_lines()) + b"]"
            columns = self._columns.followed_by(Columns.of(parse_as(text, list[_Line])))
        except FileNotFoundError:
            self._forget()
            return _NOTHING
        except ValueError:
            self._forget()
            # Names the damaged line.
            return Columns.of(self.folder.log())
        self._file = file
        return columns
