"""Messages of native code: with the file that they concern, and not on the terminal."""

from __future__ import annotations

import os
import sys

import pytest

from cpc_core.audio.messages import native_messages


def test_messages_are_taken_once_and_python_keeps_stderr(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with native_messages() as messages:
        os.write(2, b"a warning\n\na warning\nanother\n")
        sys.stderr.write("progress\n")
        assert messages.take() == ("a warning", "another")
        assert messages.take() == ()
        os.write(2, b"".join(b"frame %d\n" % number for number in range(9)))
        assert messages.take() == ("frame 0", "frame 1", "frame 2")
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "progress\nafterwards\n"


def test_stderr_is_restored_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    before = sys.stderr
    with pytest.raises(ValueError, match="x"), native_messages():
        raise ValueError("x")
    assert sys.stderr is before
    os.write(2, b"there\n")
    assert capfd.readouterr().err == "there\n"
