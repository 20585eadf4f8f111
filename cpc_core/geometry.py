"""Frame arithmetic: the samples that a latent or a context frame covers.

samples  0 ──────── 955 ·························→ 16 kHz
z_0      [patch 955)
z_1        hop 320 [patch)
c_78     [z_0 … z_78] = 78 · 320 + 955 = 25 915 samples = 1.62 s
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SAMPLE_RATE_HZ = 16_000


@dataclass(frozen=True)
class Geometry:
    """Receptive fields of a strided encoder followed by a causal stride-1 context network.

    Attributes:
        hop_samples: Distance between neighbouring latents.
        patch_samples: Samples that a latent covers.
        context_frames: Latents that a context frame covers.
        lead_samples: Samples from the start of the patch of latent t to t · hop; 0 unpadded.
        padded: True if each layer's input is surrounded by kernel - stride zeros.
    """

    hop_samples: int
    patch_samples: int
    context_frames: int
    lead_samples: int = 0
    padded: bool = False

    @classmethod
    def of(
        cls,
        kernels: Sequence[int],
        strides: Sequence[int],
        context_kernels: Sequence[int],
        *,
        padded: bool = False,
    ) -> Geometry:
        """Geometry of convolutions `kernels`/`strides` followed by causal convolutions
        `context_kernels`.
        """
        hop, patch, lead = 1, 1, 0
        for kernel, stride in zip(kernels, strides, strict=True):
            patch += (kernel - 1) * hop
            lead += same_padding(kernel, stride)[0] * hop if padded else 0
            hop *= stride
        return cls(hop, patch, 1 + sum(kernel - 1 for kernel in context_kernels), lead, padded)

    @property
    def context_samples(self) -> int:
        """Samples that a context frame covers: 25 915 = 1.62 s for the paper's (section 3.1)."""
        return (self.context_frames - 1) * self.hop_samples + self.patch_samples

    @property
    def first_safe_step(self) -> int:
        """Smallest k for which z_{t+k} and c_t share no sample (section 2.1).

        z_{t+k} begins at sample (t+k)·hop - lead; c_t ends before sample t·hop - lead + patch. Both
        directions agree, because reversed latents have the same hop and patch.
        """
        return -(-self.patch_samples // self.hop_samples)

    def frames(self, samples: int) -> int:
        """Number of latents of a clip of `samples` samples, 0 where it is too short for one."""
        if self.padded:
            return samples // self.hop_samples
        return max(0, (samples - self.patch_samples) // self.hop_samples + 1)

    def samples(self, frames: int) -> int:
        """Fewest samples that give `frames` latents."""
        if self.padded:
            return frames * self.hop_samples
        return (frames - 1) * self.hop_samples + self.patch_samples


def same_padding(kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after a layer's input, for one output per whole stride."""
    return (kernel - stride) // 2, kernel - stride - (kernel - stride) // 2
