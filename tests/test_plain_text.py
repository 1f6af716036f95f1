"""What a stranger's file holds never steers the terminal: refused where text is read, escaped where it is printed."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import check, run_main

from drive_rl.config.reader import load_run, load_world
from drive_rl.errors import DriveRLError

STEERING = ["\x1b[2J", "\x9b2J", "\x07", "\u202eabc", "\u2066abc", "\u2028", "\x7f", "\r"]


def shelf(folder: Path, name: str, raw: dict[str, Any]) -> Path:
    (folder / "envs").mkdir(exist_ok=True)
    path = folder / "envs" / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"base": "lane_follow"} | raw, allow_unicode=False))
    return path


@pytest.mark.parametrize("bad", [bad for bad in STEERING if not bad.isspace()])
def test_text_of_a_spec_is_refused(tmp_path: Path, bad: str) -> None:
    tier = {"min_radius_m": 50, "weight": 1}
    for raw in ({"description": f"road {bad}!"}, {"road": {"tiers": {f"t{bad}!": tier}}}, {f"key{bad}!": 1}):
        with pytest.raises(DriveRLError) as error:
            load_world(str(shelf(tmp_path, "w", raw)))
        assert bad not in str(error.value)
        assert ascii(bad[0])[1:-1] in str(error.value)
    with pytest.raises(DriveRLError, match="which is not printable"):
        load_run("quickstart", [f"project={bad!a}".replace("'", '"')])


def test_a_description_is_one_line(tmp_path: Path) -> None:
    path = shelf(tmp_path, "w", {"description": "two\n  lines,\tand größer: 日本 \u200c\n"})
    assert load_world(str(path)).description == "two lines, and größer: 日本 \u200c"


def test_nothing_steers_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    for number, bad in enumerate(STEERING):
        shelf(tmp_path, f"w{number}", {"description": f"a{bad}b"})
        shelf(tmp_path, f"k{number}", {f"key{bad}": bad})
        shelf(tmp_path, f"name{bad}", {})
    monkeypatch.setenv("DRIVE_RL_PATH", str(tmp_path))
    assert run_main(["list"], monkeypatch) == 0
    said = capfd.readouterr()
    for words in (["show", "k0"], ["show", f"name{STEERING[0]}"], ["show", STEERING[0]], ["show", STEERING[3]]):
        code = run_main(words, monkeypatch)
        refused = capfd.readouterr()
        check(code, refused.err)
        said = type(said)(said.out + refused.out, said.err + refused.err)
    for bad in STEERING:
        assert bad not in said.out
        assert bad not in said.err


def test_an_error_keeps_its_lines() -> None:
    assert str(DriveRLError("one\ntwo\t3 \x1b[0m größe")) == "one\ntwo\t3 \\x1b[0m größe"
