"""Files and folders appear whole or not at all. It covers `scratch`, too."""

import errno
import os
import threading
from pathlib import Path

import pytest

from drive_rl.errors import DriveRLError
from drive_rl.run.storage.atomic import (
    new_directory,
    read_json,
    remove_directory,
    settle,
    sweep,
    write_directory,
    write_file,
    write_json,
    write_text,
)
from drive_rl.run.storage.scratch import holding


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
def test_broken_json_names_the_file_and_the_fix(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DriveRLError, match=r"a\.json: cannot be read as JSON .*; do this"):
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
            pytest.raises(DriveRLError, match="a file is where a folder is needed"),
            write_directory(path),
        ):
            pass
    assert names(tmp_path) == ["runs"]


def test_a_crash_between_the_two_renames_is_fixed(tmp_path: Path) -> None:
    old = tmp_path / ".last.old"
    old.mkdir()
    (old / "one").write_text("one")
    settle(tmp_path / "last")
    assert names(tmp_path) == ["last"]
    assert names(tmp_path / "last") == ["one"]


def test_what_killed_writers_left_is_swept_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    for name in (".last.tmp-1", f".best.tmp-{os.getpid()}", ".last.old"):
        (tmp_path / name / "deep").mkdir(parents=True)
    (tmp_path / ".eval.json.tmp-99").touch()
    (tmp_path / "last").mkdir()
    others = [".gitignore", ".my.tmp-notes", ".tmp-3", "a.tmp-3", "last"]
    for name in others[:-1]:
        (tmp_path / name).touch()
    with write_directory(tmp_path / "step_9") as folder, write_file(tmp_path / "film.mp4") as film:
        sweep(tmp_path)
        assert names(tmp_path) == sorted([*others, folder.name, film.name])
    assert names(tmp_path) == sorted([*others, "film.mp4", "step_9"])


def test_a_writer_sweeps_leftovers_of_its_own_name_alone(tmp_path: Path) -> None:
    for name in (".a.json.tmp-1", ".b.json.tmp-1"):
        (tmp_path / name).touch()
    write_json(tmp_path / "a.json", 1)
    assert names(tmp_path) == [".b.json.tmp-1", "a.json"]
    (tmp_path / "runs" / ".20260101T000000Z-s0.tmp-1").mkdir(parents=True)
    new_directory(tmp_path / "runs", "x", lambda folder: None)
    assert names(tmp_path / "runs") == ["x"]


def test_files_within_a_folder_that_is_being_written_take_their_names_at_once(tmp_path: Path) -> None:
    with write_directory(tmp_path / "last") as folder:
        with write_file(folder / "a") as path:
            assert path == folder / "a"
            path.touch()
        write_text(folder / "b", "b")
    assert names(tmp_path / "last") == ["a", "b"]


def test_a_folder_is_removed_with_what_a_crash_left_of_it(tmp_path: Path) -> None:
    (tmp_path / "step_9" / "deep").mkdir(parents=True)
    (tmp_path / ".step_9.old").mkdir()
    remove_directory(tmp_path / "step_9")
    remove_directory(tmp_path / "absent")
    assert names(tmp_path) == []


def test_many_files_are_one_folder_too(tmp_path: Path) -> None:
    with write_directory(tmp_path / "data") as folder:
        for number in range(200):
            (folder / str(number)).write_text(str(number))
    assert len(names(tmp_path / "data")) == 200


def test_a_reader_waits_for_the_writer_that_replaces_a_folder(tmp_path: Path) -> None:
    """A reader between the writer's two renames once brought the old folder back, and training died of it."""
    (tmp_path / ".last.old" / "one").mkdir(parents=True)
    reader = threading.Thread(target=settle, args=[tmp_path / "last"])
    with holding(tmp_path / ".last.old"):
        reader.start()
        reader.join(0.1)
        assert names(tmp_path) == [".last.old"]
        (tmp_path / "last" / "two").mkdir(parents=True)
    reader.join()
    assert names(tmp_path) == ["last"]
    assert names(tmp_path / "last") == ["two"]


@pytest.mark.parametrize("number", [1, 2])
def test_an_interrupt_between_two_renames_leaves_the_older_folder(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python runs signal handlers when a call returns: the rename is done, and the next line is not."""
    folder, calls, rename = tmp_path / "last", [0], os.rename
    with write_directory(folder) as new:
        (new / "which").write_text("older")

    def interrupted(source: Path, target: Path) -> None:
        rename(source, target)
        calls[0] += 1
        if calls[0] == number:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt), write_directory(folder) as new:
            (new / "which").write_text("newer")
    settle(folder)
    assert (folder / "which").read_text() == ("older" if number == 1 else "newer")
    assert [path.name for path in tmp_path.iterdir()] == ["last"]
