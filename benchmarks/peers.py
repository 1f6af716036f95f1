"""The environments that ours is compared with: their venv, `.bench-venv`, versions pinned; and one in a process."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

REQUIREMENTS = Path(__file__).with_name("peers-requirements.txt")
VENV = Path(__file__).resolve().parents[1] / ".bench-venv"


def peers_python() -> Path:
    """Return the interpreter of the peers' venv, which is made anew when its requirements have changed."""
    python, stamp = VENV / "bin" / "python", VENV / "installed.txt"
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"Installing the peers into {VENV.name} (once; about half a minute) ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "-qq", "--progress-bar", "off"]
        subprocess.run([*pip, "--only-binary", ":all:", "-r", REQUIREMENTS], check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return python


class Peer:
    """A peer's environment, in a process of its own interpreter that waits while others are timed.

    Args:
        python: The interpreter.
        script: A file beside this one. It prints what it is as JSON; then it reads seconds, a line each, and answers
            with what it measured in them.
        arguments: Its arguments.
    """

    def __init__(self, python: Path, script: str, *arguments: str) -> None:
        path = Path(__file__).with_name(script)
        self._process = subprocess.Popen(
            [python, path, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.about = self._answer()

    def block(self, seconds: float) -> Any:
        """Step for some seconds; return what it measured."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:  # a library may print, too
            if line.startswith(("{", *"0123456789")):
                return json.loads(line)
        raise SystemExit("the peer's process has ended; see its message above")


if __name__ == "__main__":
    frozen = subprocess.run([peers_python(), "-m", "pip", "freeze"], check=True, capture_output=True, text=True)
    print(frozen.stdout, end="")
