"""The history of a trial: the curve of any metric over its steps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from cpc_core.report import Report
from study.folders.metrics_log import Columns, Curve


class History(Protocol):
    """Reports of a trial, which are read where they are asked for."""

    @property
    def reports(self) -> tuple[Report, ...]:
        """All reports in the order of the log."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that some report has."""

    def curve(self, metric: str) -> Curve:
        """A metric over the steps; empty where no report has it."""


@dataclass(frozen=True)
class GivenHistory:
    """Reports that lie in memory.

    Attributes:
        reports: In the order of the log.
    """

    reports: tuple[Report, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that some report has."""
        return self._columns.metrics

    def curve(self, metric: str) -> Curve:
        """A metric over the steps; empty where no report has it."""
        return self._columns.curve(metric)

    @cached_property
    def _columns(self) -> Columns:
        return Columns.of(self.reports)
