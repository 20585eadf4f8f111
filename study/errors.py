"""Errors of studies."""

from __future__ import annotations

from cpc_core.errors import CpcError


class NotFoundError(CpcError):
    """A study, trial or job that does not exist."""

    exit_code = 3


class StudyFailedError(CpcError):
    """A study that ended without a result."""

    exit_code = 1


class UnreachableError(CpcError):
    """A cluster, a database or an object store that does not answer."""

    exit_code = 4
