"""Recordings of any format, rate and channel count, decoded to mono float32 samples at 16 kHz.

libsndfile reads what it knows, FFmpeg the rest and what libsndfile would read in part. The format
is recognised by content, whatever the suffix.
"""

from cpc_core.audio.files import printable, require_file
from cpc_core.audio.reading import Recording, duration_s, read_audio, read_blocks

__all__ = ["Recording", "duration_s", "printable", "read_audio", "read_blocks", "require_file"]
