"""Errors with exit codes of their own."""

from __future__ import annotations

from cpc_core.errors import CpcError


class NotFoundError(CpcError):
    """A study, trial or job that is not there. Exit code 3."""


class StudyFailedError(CpcError):
    """A study that ended without a result. Exit code 1."""


class UnreachableError(CpcError):
    """A cluster, a database or an object store that does not answer. Exit code 4."""
