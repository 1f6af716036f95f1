"""Compiled code is never older than the formulas it came from."""

import os
import select
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import drive_rl
from drive_rl.sim import drop_stale_code
from drive_rl.sim.compiled import njit


def test_code_older_than_a_module_is_compiled_anew(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").mkdir()
    old = [tmp_path / "__pycache__" / name for name in ("batch._step-1.py311.nbi", "batch._step-1.py311.1.nbc")]
    fresh = tmp_path / "__pycache__" / "render.paint-1.py311.nbi"
    other = tmp_path / "__pycache__" / "batch.cpython-311.pyc"
    for number, path in enumerate([*old, other, tmp_path / "batch.py", tmp_path / "vehicle.py", fresh]):
        path.write_text("")
        os.utime(path, (number, number))
    drop_stale_code(tmp_path)
    assert not any(path.exists() for path in old)
    assert fresh.exists()
    assert other.exists()


def test_a_folder_without_compiled_code_is_fine(tmp_path: Path) -> None:
    (tmp_path / "batch.py").write_text("")
    drop_stale_code(tmp_path)


def test_a_function_is_compiled_once_for_literals_and_numbers() -> None:
    @njit
    def above(value: int) -> int:
        return value + 1

    @njit(error_model="numpy")
    def both(value: int) -> int:
        return above(0) + above(value)

    assert both(2) == 4
    assert len(cast(Any, above).signatures) == 1


_COMPILES_AFTER_A_LINE = """
import sys
from numba.core import event
from drive_rl.sim.task.reward import lane_term

class Wait(event.Listener):
    def on_start(self, event):
        print("compiling", flush=True)
        sys.stdin.readline()

    def on_end(self, event):
        pass

event.register("numba:compile", Wait())
lane_term(0.0, 2.0)
print(sum(lane_term.stats.cache_hits.values()))
"""


def test_a_process_waits_for_what_another_one_compiles_and_loads_it(tmp_path: Path) -> None:
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE) | {"text": True}
    command, own = [sys.executable, "-c", _COMPILES_AFTER_A_LINE], os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    with subprocess.Popen(command, env=own, **pipes) as first, subprocess.Popen(command, env=own, **pipes) as second:
        try:
            assert first.stdout
            assert second.stdout
            begun, _, _ = select.select([first.stdout, second.stdout], [], [], 100)
            compiles, waits = (first, second) if begun == [first.stdout] else (second, first)
            assert waits.stderr
            assert "compiling the simulator once" in waits.stderr.readline(), "it says what takes so long"
            assert compiles.communicate("\n\n\n")[0].split()[-1] == "0"
            assert waits.communicate()[0] == "1\n"
        finally:
            first.kill()
            second.kill()


def test_a_read_only_installation_without_a_home_keeps_its_code_in_a_private_folder(tmp_path: Path) -> None:
    """As in a container with `--user`. A file in the place of `__pycache__` keeps even root from writing there."""
    package = Path(drive_rl.__file__).parent
    shutil.copytree(package, tmp_path / "drive_rl", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(package.parent / "envs", tmp_path / "envs")
    (tmp_path / "drive_rl" / "sim" / "__pycache__").write_text("")
    (tmp_path / "tmp").mkdir()
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA", "XDG"))}
    surroundings |= {"HOME": "/dev/null", "TMPDIR": str(tmp_path / "tmp"), "PYTHONPATH": str(tmp_path)}
    script = (
        "import os, warnings; warnings.simplefilter('error')\n"
        "from drive_rl.sim.task.reward import lane_term\n"
        "assert lane_term(0.0, 2.0) == 1\n"
        "print(os.environ['NUMBA_CACHE_DIR'], sum(lane_term.stats.cache_hits.values()))\n"
    )

    def call() -> tuple[Path, int]:
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, env=surroundings, capture_output=True, text=True, timeout=100
        )
        assert done.returncode == 0, done.stderr
        folder, hits = done.stdout.split()
        return Path(folder), int(hits)

    folder, hits = call()
    assert folder.parent == tmp_path.resolve() / "tmp" / f"drive-rl-{os.geteuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert hits == 0
    assert list(folder.glob("*/reward.lane_term-*.nbc"))
    assert call() == (folder, 1), "the next process finds it"
    (tmp_path / "drive_rl" / "sim" / "road.py").open("a").write("# another release\n")
    assert call()[0] != folder, "and never code of other sources"
    assert {path.name for path in tmp_path.iterdir()} == {"drive_rl", "envs", "tmp"}, "no folder called ~"
