"""A wish to stop: noted, then insisted on, and never while something is saved."""

import os
import signal
import time

import pytest

from drive_rl.run.process import signals
from drive_rl.run.process.signals import StopNow, StopRequest, stop_on_signals


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "PATIENCE_S", 0.2)
    monkeypatch.setattr(signals, "_AGAIN_S", 0.05)


def asked_every_moment() -> None:
    with stop_on_signals():
        for _ in range(1000):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.02)


def test_a_block_that_does_not_end_is_ended_however_often_it_is_asked() -> None:
    begin = time.monotonic()
    with pytest.raises(StopNow):
        asked_every_moment()
    assert time.monotonic() < begin + 10
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_what_is_being_saved_is_saved() -> None:
    saved: list[bool] = []

    def save_slowly() -> None:
        with stop_on_signals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            with stop.saving():
                time.sleep(0.5)
                saved.append(stop.signal == signal.SIGHUP)
            time.sleep(20)

    with pytest.raises(StopNow):
        save_slowly()
    assert saved == [True]


def test_a_second_ctrl_c_is_obeyed_at_once() -> None:
    def ask_twice() -> None:
        with stop_on_signals():
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
            time.sleep(20)

    with pytest.raises(KeyboardInterrupt):
        ask_twice()


def test_a_stop_is_known_by_what_a_library_makes_of_it() -> None:
    wrapped = SystemError("returned a result with an exception set")
    wrapped.__cause__ = StopNow()
    stop = StopRequest()
    assert stop.caused(wrapped)
    assert stop.caused(StopNow())
    assert not stop.caused(SystemError())


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        with stop_on_signals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
