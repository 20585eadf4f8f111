"""Typed errors. Every message carries the offending value and what to do about it."""

from __future__ import annotations

import errno
from typing import ClassVar


class CpcError(Exception):
    """An error that a user can cause or meet; the command line prints it without a traceback.

    Attributes:
        exit_code: Of the command: 1 for work that failed, 2 for wrong usage, spec or input, 3 for
            something that was not found, 4 for a service that cannot be reached.
    """

    exit_code: ClassVar[int] = 2


class ConfigError(CpcError):
    """A configuration that cannot be trained, found before anything starts."""


class AudioError(CpcError):
    """A recording that cannot be read or that contains no usable samples."""


class PathError(CpcError):
    """A URI of no usable store, or one where a local path is needed."""

    exit_code = 3


class CorpusError(CpcError):
    """A corpus folder that is missing, empty, damaged or of another schema."""

    exit_code = 3


class TableError(CorpusError):
    """A table or a folder of recordings that cannot be understood."""

    exit_code = 2


class StorageError(CorpusError):
    """A path that cannot be written, or whose file system does not answer."""

    exit_code = 1


_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO})


def is_of_the_disk(error: OSError) -> bool:
    """True if a disk is full, over its quota, read-only or failing."""
    return error.errno in _DISK


class RejectedError(CorpusError):
    """Recordings that could not be used, in a strict import."""

    exit_code = 1


class DamageError(CorpusError):
    """Shards whose bytes differ from those that were written."""

    exit_code = 1


class CheckpointError(CpcError):
    """A checkpoint or export that is missing, damaged or belongs to another configuration."""

    exit_code = 3


class NonFiniteError(CpcError):
    """A number of a step that is not finite; it ends the trial.

    Args:
        step: Steps taken before the one in which the number occurred.
        term: Its quantity: `"audio"`, `"loss"` or `"gradient"`.
        value: The number.
    """

    def __init__(self, step: int, term: str, value: float) -> None:
        cure = (
            "the corpus holds samples that are no numbers, import it again"
            if term == "audio"
            else "lower optimizer.learning_rate or raise optimizer.warmup_steps"
        )
        super().__init__(f"{term} became {value} after {step} steps: {cure}")
        self.step, self.term, self.value = step, term, value

    def __reduce__(self) -> tuple[type[NonFiniteError], tuple[int, str, float]]:
        return type(self), (self.step, self.term, self.value)
