"""Settings of an embedding: which features, and of which pieces of a recording."""

from __future__ import annotations

from dataclasses import dataclass

from cpc_core.errors import ConfigError
from cpc_core.evaluation.features import Pooling
from cpc_core.export.encoder import CONTEXTS, LATENTS, Encoder


@dataclass(frozen=True)
class EmbedOptions:
    """Settings of an embedding.

    Attributes:
        layer: One of `Encoder.layers`, `latents` or `contexts`.
        pooling: Over the frames of a clip; None for a row per frame.
        window_s: Seconds of the consecutive windows into which clips are cut before they are
            embedded, each as if alone; None for whole clips.
    """

    layer: str = CONTEXTS
    pooling: Pooling | None = "mean"
    window_s: float | None = None

    def require_possible(self, encoder: Encoder) -> None:
        """Checks the settings against an encoder.

        Raises:
            ConfigError: It has no such layer, or the windows are of no use.
        """
        if self.layer not in (*encoder.layers, LATENTS, CONTEXTS):
            raise ConfigError(
                f"the model has no layer {self.layer}: use {LATENTS}, {CONTEXTS}, or one of "
                f"{', '.join(encoder.layers)}"
            )
        if self.window_s is None:
            return
        if self.pooling is None:
            raise ConfigError("frames are of whole recordings: drop --window-s or --frames")
        if not encoder.frame_s(self.layer) <= self.window_s < float("inf"):
            raise ConfigError(
                f"a window of {self.window_s:g} s cannot be embedded: name one of at least "
                f"{encoder.frame_s(self.layer):g} s, the length of a frame"
            )

    def dims(self, encoder: Encoder) -> int:
        """Numbers in the embedding of a row."""
        return encoder.dims(self.layer) * (2 if self.pooling == "mean_std" else 1)
