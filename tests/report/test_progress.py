"""Progress without a terminal: a plain line now and then."""

import time

import pytest

from drive_rl.report.film.film import FilmProgress
from drive_rl.report.progress import counted, film_bar, shown


def test_lines_come_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    with shown("eval", every_s=30) as show:
        for share in (0.1, 0.2, 0.5, 1.0):
            show(share, "words")
            now_s += 20
    assert capsys.readouterr().err == "eval: 50%, words\n"


def test_counts_add_up(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    with counted("data", 4000) as advance, film_bar(2) as film:
        advance(1000)
        now_s += 60
        advance(1000)
        film(FilmProgress(3.0, 2, 0.5))
    assert capsys.readouterr().err == "data: 50%, 2,000 of 4,000\nfilm: 75%, 3.0 s of film, road 2 of 2\n"
