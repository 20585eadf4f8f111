from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from study.control.signals import (
    STOP_SIGNALS,
    StopSignals,
    ignored_by_children,
    interrupting,
)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_second_signal_is_an_interrupt(number: signal.Signals) -> None:
    before, signals = signal.getsignal(number), StopSignals()
    with pytest.raises(KeyboardInterrupt), signals.caught():
        os.kill(os.getpid(), number)
        assert signals.came
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_every_signal_interrupts_a_command(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), interrupting():
        os.kill(os.getpid(), number)


def test_what_nohup_ignores_stays_ignored() -> None:
    before, signals = signal.signal(signal.SIGHUP, signal.SIG_IGN), StopSignals()
    try:
        with interrupting(), signals.caught():
            os.kill(os.getpid(), signal.SIGHUP)
            assert not signals.came
    finally:
        signal.signal(signal.SIGHUP, before)


def test_signals_are_taken_back_from_a_library() -> None:
    signals = StopSignals()
    with signals.caught():
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signals.catch_again()
        os.kill(os.getpid(), signal.SIGUSR1)
        assert signals.came


def test_children_ignore_what_schedulers_send_to_all() -> None:
    code = "import os, sys; os.kill(os.getpid(), int(sys.argv[1])); print('lives')"
    with ignored_by_children():
        ends = [
            subprocess.run(
                [sys.executable, "-c", code, str(int(number))], check=False, capture_output=True
            ).stdout
            for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGTERM)
        ]
    assert ends == [b"lives\n", b"lives\n", b"lives\n", b""]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_while_children_start_takes_effect_afterwards(
    number: signal.Signals,
) -> None:
    signals = StopSignals()
    with signals.caught():
        with ignored_by_children():
            # To this thread: another of the test runner's would take it a moment later.
            signal.raise_signal(number)
            assert not signals.came
        assert signals.came


def test_a_second_ctrl_c_interrupts_a_start() -> None:
    with pytest.raises(KeyboardInterrupt), ignored_by_children():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("it goes on")


def test_another_thread_leaves_signals_alone() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def look() -> None:
        signals = StopSignals()
        with interrupting(), signals.caught(), ignored_by_children():
            signals.catch_again()
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]
