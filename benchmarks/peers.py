"""Make the peers' venv, `.bench-venv`: the environments that ours is compared with, versions pinned."""

import subprocess
import sys
from pathlib import Path

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


if __name__ == "__main__":
    frozen = subprocess.run([peers_python(), "-m", "pip", "freeze"], check=True, capture_output=True, text=True)
    print(frozen.stdout, end="")
