"""What all tests share: bytecode, one core each, a terminal's signals, in CI the same random cases, and a browser."""

import os
import shutil
import signal
import sys
from pathlib import Path

# Tests start many processes, and without bytecode each would compile the sources of the package again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side; threads would wait for one another

import pytest
import torch
from hypothesis import settings

sys.dont_write_bytecode = False
torch.set_num_threads(1)

# Started in the background or by `nohup`, the tests would inherit ignored signals.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _handler)

# CI tests a change, not chance: developers' machines and benchmarks/fuzz.py try new random cases.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


@pytest.fixture
def browser(tmp_path: Path) -> list[str]:
    """Return the command that opens a page, without the page."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser on PATH: {', '.join(BROWSERS)}")
    return [found, *SWITCHES, f"--user-data-dir={tmp_path / 'profile'}"]
