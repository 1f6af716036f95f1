"""Files and folders appear whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from drive_rl.errors import DriveRLError
from drive_rl.run.files import read_json, settle, write_directory, write_json, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill_the_disk(path: Path, number: int) -> None:
    with write_directory(path) as folder:
        (folder / "two").write_text("two")
        raise OSError(number, os.strerror(number))


def test_text_and_json_come_back_and_leave_nothing_else(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": 1.5})
    write_json(tmp_path / "a.json", {"x": 2.5})
    write_text(tmp_path / "b.txt", "lane – µ")
    assert read_json(tmp_path / "a.json", "fix") == {"x": 2.5}
    assert (tmp_path / "b.txt").read_text(encoding="utf-8") == "lane – µ"
    assert names(tmp_path) == ["a.json", "b.txt"]


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert names(tmp_path) == []


@pytest.mark.parametrize("text", ["{", "\xff"])
def test_broken_json_names_the_file_and_the_mend(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DriveRLError, match=r"a\.json: cannot be read as JSON .*: do this"):
        read_json(tmp_path / "a.json", "do this")


def test_a_directory_replaces_the_old_one_whole(tmp_path: Path) -> None:
    for word in ("one", "two"):
        with write_directory(tmp_path / "last") as folder:
            (folder / word).write_text(word)
    assert names(tmp_path) == ["last"]
    assert names(tmp_path / "last") == ["two"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_keeps_the_old_directory(tmp_path: Path, number: int) -> None:
    with write_directory(tmp_path / "last") as folder:
        (folder / "one").write_text("one")
    with pytest.raises(DriveRLError, match=r"last: no space left .* free some space"):
        fill_the_disk(tmp_path / "last", number)
    assert names(tmp_path) == ["last"]
    assert names(tmp_path / "last") == ["one"]


def test_any_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), write_directory(tmp_path / "last"):
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_a_file_in_the_way_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("not a folder")
    for path in (tmp_path / "runs", tmp_path / "runs" / "last"):
        with (
            pytest.raises(DriveRLError, match="a file stands where a folder is needed"),
            write_directory(path),
        ):
            pass
    assert names(tmp_path) == ["runs"]


def test_a_crash_between_the_two_renames_is_mended(tmp_path: Path) -> None:
    old = tmp_path / ".last.old"
    old.mkdir()
    (old / "one").write_text("one")
    settle(tmp_path / "last")
    assert names(tmp_path) == ["last"]
    assert names(tmp_path / "last") == ["one"]
