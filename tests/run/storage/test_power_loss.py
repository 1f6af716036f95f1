"""What a power loss leaves, on a real ext4: a whole checkpoint, all rows up to it, whole files."""

import itertools
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import with_support
from disk_image import IMPOSSIBLE, WHY, lose_power, make_image, mounted

from drive_rl.run.metrics import MetricsFile, read_metrics
from drive_rl.run.storage.atomic import read_json, sweep, write_directory, write_json
from drive_rl.run.storage.manifest import verify, write_manifest


def write_for_ever(root: Path, saved: Path) -> None:
    """Save as training does, and note in `saved`, on another disk, how far it has come."""
    metrics = MetricsFile(root / "metrics.csv")
    for n in itertools.count():
        metrics.append(n, {"x": n})
        metrics.sync()
        with write_directory(root / "run" / "last") as new:
            (new / "weights").write_bytes(bytes([n % 256]) * 100_000)
            write_json(new / "counters.json", {"n": n})
            write_manifest(new, {"algorithm": "PPO", "num_timesteps": n})
        write_json(root / "eval.json", {"n": n})
        saved.write_text(f"{n}\n")


def check(root: Path, at_least: int) -> None:
    sweep(root / "run")
    verify(root / "run" / "last", ("weights", "counters.json"))
    n = read_json(root / "run" / "last" / "counters.json", "")["n"]
    assert n >= at_least
    assert read_json(root / "eval.json", "")["n"] >= at_least
    assert [row["x"] for row in read_metrics(root / "metrics.csv")][: n + 1] == list(range(n + 1))
    assert [path.name for path in (root / "run").iterdir()] == ["last"]


@pytest.mark.skipif(IMPOSSIBLE, reason=WHY)
def test_a_power_loss_leaves_the_newest_checkpoint(tmp_path: Path) -> None:
    image, copy, saved = tmp_path / "image", tmp_path / "copy", tmp_path / "saved"
    saved.touch()
    make_image(image, 24)
    with mounted(image, tmp_path / "disk") as disk:
        writer = subprocess.Popen([sys.executable, __file__, str(disk), str(saved)], env=with_support())
        try:
            for loss in range(8):
                before = saved.read_text()
                while (now := saved.read_text()) in ("", before):
                    assert writer.poll() is None
                    time.sleep(0.001)
                time.sleep(0.002 * loss)  # wherever it is by then
                lose_power(image, disk, writer.pid, copy, commit=loss % 2 == 0)
                with mounted(copy, tmp_path / "after") as after:
                    check(after, at_least=int(now))
        finally:
            writer.kill()
            writer.wait()


if __name__ == "__main__":
    write_for_ever(Path(sys.argv[1]), Path(sys.argv[2]))
