import pytest

from drive_rl.run.save_clock import SaveClock


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the time, to be set [s]."""
    clock = [1000.0]
    monkeypatch.setattr("drive_rl.run.save_clock.time.perf_counter", lambda: clock[0])
    return clock


def save(clock: SaveClock, now: list[float], cost_s: float) -> None:
    with clock.saving():
        now[0] += cost_s


def test_the_first_save_is_due_at_once(now: list[float]) -> None:
    assert SaveClock().due()


def test_cheap_saves_are_due_twice_a_minute_or_when_urgent(now: list[float]) -> None:
    clock = SaveClock()
    save(clock, now, 0.01)
    now[0] += 1
    assert not clock.due()
    assert clock.due(urgent=True)
    now[0] += 29
    assert clock.due()


def test_costly_saves_take_at_most_a_share_of_the_time(now: list[float]) -> None:
    clock = SaveClock()
    save(clock, now, 2.0)
    now[0] += 99
    assert not clock.due()
    assert not clock.due(urgent=True)
    now[0] += 1
    assert clock.due(), "2 s are 2 % of 100 s"
