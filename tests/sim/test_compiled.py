"""Compiled code is never older than the formulas it came from."""

import os
from pathlib import Path

from drive_rl.sim import drop_stale_code


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
