"""Typed errors. Every message carries the offending value and what to do about it."""

from __future__ import annotations


class CpcError(Exception):
    """Base of every error a user can cause or meet; the command line prints it without a
    traceback.
    """


class ConfigError(CpcError):
    """A configuration that cannot be trained, found before anything starts."""


class AudioError(CpcError):
    """A recording that cannot be read or that holds no usable samples."""


class PathError(CpcError):
    """A URI of no usable store, or one where a local path is needed."""


class CorpusError(CpcError):
    """A corpus folder that is missing, empty, damaged or of another schema."""


class StorageError(CorpusError):
    """A path that cannot be written: a full disk, a missing permission, a store that is away."""


class RejectedError(CorpusError):
    """Recordings that could not be used, where the import was asked to be strict."""


class DamageError(CorpusError):
    """Shards that are not as they were written."""


class CheckpointError(CpcError):
    """A checkpoint or export that is missing, damaged or belongs to another configuration."""


class NonFiniteError(CpcError):
    """A number of a step stopped being finite; the trial ends instead of training on.

    Args:
        step: Steps that were taken before the one in which it was seen.
        term: Which quantity it was: `"audio"`, `"loss"` or `"gradient"`.
        value: Its value.
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
