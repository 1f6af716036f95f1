"""A real browser, for tests of films and pages."""

import shutil
from pathlib import Path

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


@pytest.fixture
def browser(tmp_path: Path) -> list[str]:
    """Return the command that opens a page, without the page."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser on PATH: {', '.join(BROWSERS)}")
    return [found, *SWITCHES, f"--user-data-dir={tmp_path / 'profile'}"]
