"""One try of the fuzz: a fresh `drive-rl` with odd environment variables. It does not know the other tries."""

import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ENVIRONMENT_SHARE = 0.01
"""Share of the tries; small, for each starts an interpreter."""

_LIMIT_S = 60.0  # includes seconds of imports, so more than within a worker

NAMES = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "NUMBA_CACHE_DIR", "NUMBA_DISABLE_JIT", "TORCH_LOGS",
    "OPENCV_IO_MAX_IMAGE_PIXELS", "DRIVE_RL_PATH", "HOME", "LANG", "LC_ALL", "COLUMNS", "TERM",
    "WANDB_MODE", "WANDB_PROJECT", "WANDB_BASE_URL", "WANDB_RUN_ID", "WANDB_RESUME", "WANDB_SILENT", "WANDB_CONSOLE",
    "WANDB_INIT_TIMEOUT", "WANDB_TAGS", "WANDB_CONFIG_PATHS", "WANDB_DISABLE_GIT", "WANDB_DIR", "TMPDIR", "DISPLAY",
    "CUDA_VISIBLE_DEVICES", "MPLBACKEND", "NO_COLOR", "FORCE_COLOR", "XDG_CACHE_HOME",
)  # fmt: skip
VALUES = ("", "0", "-1", "1", "100000", "2147483648", "9" * 40, "x", "true", "bogus", "a/b", "/", "/dev/null", "größe",
          "..", "nope://x", "a" * 300, ":", "1.5", "[1]", "\n", "online", "offline", "disabled", "C")  # fmt: skip


def try_environment(seed: int, ground: Path) -> str:
    """Run `show` or `train` with odd variables; return the finding, or an empty text."""
    rng = random.Random(f"environment:{seed}")
    odd = {rng.choice(NAMES): rng.choice(VALUES) for _ in range(rng.randint(1, 3))}
    env = {**os.environ, "WANDB_MODE": "offline", **odd}
    if odd.get("WANDB_MODE") == "online":
        env["WANDB_MODE"] = "offline"  # no try reaches the internet
    words = rng.choice([
        ["show", "quickstart"],
        ["train", str(ground / "ppo.yaml"), "--no-film", "--track", rng.choice(["none", "wandb", "csv"])],
    ])  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "drive_rl", *words], env=env, cwd=folder, capture_output=True, text=True,
                errors="replace", timeout=_LIMIT_S, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"hang: over {_LIMIT_S:g} s with {odd}"
    if done.returncode < 0:
        return f"crash: signal {-done.returncode} with {odd}"
    if "Traceback (most recent call last)" in done.stderr or done.returncode not in (0, 2):
        return f"traceback: exit code {done.returncode} with {odd}: {done.stderr[-800:]}"
    return ""
