"""Plugins: loading a file, names, what a spec demands, what a run records. Nothing of it stays loaded."""

import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from drive_rl.config import extensions
from drive_rl.config.extensions import find, forgotten, load_file, plugins, registered, reserve
from drive_rl.config.reader import dump, load_agent, load_run, load_world, parse_run, read_run
from drive_rl.config.specs.copies import copies, recorded
from drive_rl.errors import DriveRLError

ENCODER = "from drive_rl import extend\n@extend.encoder('{name}')\ndef make(channels, height, width): ...\n"
TERM = "from drive_rl import extend\n@extend.reward_term('gentle')\ndef term(speed_mps): return 1.0\n"


@pytest.fixture(autouse=True)
def nothing_loaded() -> Iterator[None]:
    with forgotten():
        yield


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return write(tmp_path / "mine.py", ENCODER.format(name="mine"))


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_file_registers_its_names_once(mine: Path) -> None:
    assert load_file(mine) == load_file(mine)
    assert [plugin.file for plugin in plugins()] == [mine]
    assert list(registered("encoder", installed=False)) == ["mine"]
    assert load_agent("ppo", ["encoder.kind=mine"]).encoder.kind == "mine"  # pyright: ignore


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        (
            "import nowhere_at_all\n",
            r"line 1: ModuleNotFoundError: No module named 'nowhere_at_all'; it is .*; fix: install",
        ),
        ("x = (\n", "line 1: SyntaxError: '\\(' was never closed; fix"),
        ("import sys\nsys.exit(0)\n", "line 2: SystemExit: 0; fix"),
        ("x = 1\n", r"registers nothing; expected a decorator of drive_rl\.extend; fix"),
        (ENCODER.format(name="small"), "registers the encoder 'small', a name that drive-rl itself has; fix"),
        (ENCODER.format(name="Mine!"), "encoder 'Mine!': expected a name of lower-case letters"),
        (TERM.replace("gentle", "lane"), "registers the reward term 'lane', a name that drive-rl itself has"),
        ("from drive_rl import extend\nextend.driver('x')(3)\n", "driver 'x': is not callable"),
    ],
)
def test_a_plugin_that_cannot_be_used_leaves_nothing(code: str, wrong: str, tmp_path: Path) -> None:
    modules = set(sys.modules)
    with pytest.raises(DriveRLError, match=wrong) as caught:
        load_file(write(tmp_path / "bad.py", ENCODER.format(name="first") + code if "extend" in code else code))
    assert str(tmp_path / "bad.py") in str(caught.value) or "expected a name" in wrong or "callable" in wrong
    assert not plugins()
    assert not registered("encoder", installed=False)
    assert not [name for name in set(sys.modules) - modules if name.startswith("drive_rl_plugin")]


@pytest.mark.parametrize("code", ["import beside_it\n", "import beside_it.part\n", "from . import beside_it\n"])
def test_a_module_beside_a_plugin_is_not_imported(code: str, tmp_path: Path) -> None:
    write(tmp_path / "beside_it.py", "")
    with pytest.raises(DriveRLError) as caught:
        load_file(write(tmp_path / "bad.py", code))
    assert f"a plugin file stands alone: its folder, {tmp_path}, is not searched" in str(caught.value)
    assert "fix: move that code into the plugin file" in str(caught.value)


def test_an_edited_file_replaces_what_it_registered(mine: Path, tmp_path: Path) -> None:
    load_file(mine)
    two = write(tmp_path / "mine.py", ENCODER.format(name="mine") + TERM)
    load_file(two)
    assert [plugin.source for plugin in plugins()] == [two.read_bytes()]
    assert find("reward_term", "gentle") is not None
    load_file(write(mine, TERM))
    assert not registered("encoder", installed=False), "the file registers it no more"
    for wrong in ("x = (\n", "x = 1\n", ENCODER.format(name="small")):
        with pytest.raises(DriveRLError, match="fix"):
            load_file(write(mine, wrong))
        assert find("reward_term", "gentle") is not None, "the last that could be loaded stays"
    load_file(write(mine, TERM))
    assert [plugin.source for plugin in plugins()] == [TERM.encode()]


def test_a_script_that_runs_again_registers_anew(mine: Path) -> None:
    for code in (mine.read_text(), mine.read_text(), mine.read_text() + "# edited\n"):
        exec(compile(write(mine, code).read_text(), str(mine), "exec"), {"__name__": "script"})
    found = find("encoder", "mine")
    assert found is not None
    assert found.plugin.source == mine.read_bytes()
    assert copies(recorded(load_run("quickstart", ["agent.encoder.kind=mine"]))) == {
        "plugins/mine.py": mine.read_bytes()
    }


def test_two_plugins_may_not_share_a_name(mine: Path, tmp_path: Path) -> None:
    load_file(mine)
    with pytest.raises(DriveRLError, match=rf"two\.py: registers the encoder 'mine', a name that {mine} has"):
        load_file(write(tmp_path / "two.py", ENCODER.format(name="mine") + "# another\n"))
    with pytest.raises(DriveRLError, match="a name that drive-rl itself has"):
        reserve("encoder", ["mine"])
    extensions._loaded.reserved["encoder"].discard("mine")


@pytest.mark.parametrize("name", ["nowhere.py", "folder.py", "mine.txt"])
def test_what_is_no_python_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(DriveRLError, match="fix"):
        load_file(tmp_path / name)


def test_an_unknown_name_is_refused_with_the_nearest(mine: Path) -> None:
    load_file(mine)
    with pytest.raises(DriveRLError, match=r"encoder\.kind = 'min'.*did you mean 'mine'.*--plugin FILE\.py"):
        load_agent("ppo", ["encoder.kind=min"])
    with pytest.raises(DriveRLError, match=r"reward\.extra\.gentl = 1: no plugin registers such a reward term"):
        load_world("lane_follow", ["reward.extra.gentl=1"])


def test_a_spec_demands_and_runs_nothing(mine: Path, tmp_path: Path) -> None:
    world = write(tmp_path / "w.yaml", "base: lane_follow\nplugins: [mine.py]\n")
    with pytest.raises(DriveRLError, match=r"w\.yaml: plugins: mine\.py: this plugin is needed.*--plugin .*mine\.py"):
        load_world(str(world))
    assert not plugins()
    load_file(mine)
    assert load_world(str(world)).plugins[0].file == str(mine)
    assert load_run("quickstart", [f"world={world}"]).plugins[0].file == str(mine)
    assert not load_run("quickstart", [f"world={world}"]).world.plugins


@pytest.mark.parametrize("name", ["mine.py", "renamed.py"])
def test_the_same_code_under_another_name_meets_a_demand(name: str, mine: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    load_file(write(tmp_path / "elsewhere" / name, mine.read_text()))
    world = write(tmp_path / "w.yaml", "base: lane_follow\nplugins: [mine.py]\n")
    spec = recorded(load_world(str(world)))
    assert list(copies(spec).values()) == [mine.read_bytes()]


@pytest.mark.parametrize("state", ["edited", "missing"])
@pytest.mark.parametrize("is_given", [False, True])
def test_a_recorded_plugin_that_is_lost(state: str, is_given: bool, mine: Path, tmp_path: Path) -> None:
    load_file(mine)
    home = write(tmp_path / "run" / "spec.yaml", dump(recorded(load_run("quickstart", ["agent.encoder.kind=mine"]))))
    copy = write(home.parent / "plugins" / "mine.py", mine.read_text() + "# edited\n")
    with forgotten():
        if is_given:
            load_file(copy)
        if state == "missing":
            copy.unlink()
        with pytest.raises(DriveRLError) as caught:
            read_run(home)
        said = str(caught.value)
        assert f"{copy} {'is missing' if state == 'missing' else 'was edited (SHA-256'}" in said
        assert f"--plugin {copy}" not in said, "the very file that does not do"
        assert "fix: restore it, or --plugin FILE.py with the code of that SHA-256, under any name" in said
    with forgotten():
        load_file(write(tmp_path / "kept.py", mine.read_text()))
        assert read_run(home).agent.encoder.kind == "mine"


def test_a_plugin_that_a_spec_names_is_not_there(tmp_path: Path) -> None:
    world = write(tmp_path / "w.yaml", "base: lane_follow\nplugins: [nowhere.py]\n")
    with pytest.raises(DriveRLError, match=r"nowhere\.py to read; fix: correct the path"):
        load_world(str(world))


def test_trust_runs_what_a_spec_names(mine: Path, tmp_path: Path) -> None:
    run = write(
        tmp_path / "r.yaml", "base: quickstart\nagent: {base: ppo, encoder: {kind: mine}}\nplugins: [mine.py]\n"
    )
    extensions.trust_specs()
    assert load_run(str(run)).agent.encoder.kind == "mine"
    assert [plugin.file for plugin in plugins()] == [mine]


def test_trust_does_not_run_an_edited_file(mine: Path, tmp_path: Path) -> None:
    demand = f"base: lane_follow\nplugins: [{{file: mine.py, sha256: {'0' * 64}}}]\n"
    extensions.trust_specs()
    with pytest.raises(
        DriveRLError, match=r"\(SHA-256 0{12}\): .*mine\.py was edited \(SHA-256 \w{12}\); fix: restore it"
    ):
        load_world(str(write(tmp_path / "w.yaml", demand)))
    assert not plugins()


def test_a_run_records_what_it_uses_and_asks_for_it(mine: Path, tmp_path: Path) -> None:
    unused = write(tmp_path / "unused.py", ENCODER.format(name="unused"))
    for file in (mine, unused):
        load_file(file)
    spec = recorded(load_run("quickstart", ["agent.encoder.kind=mine"]))
    assert [plugin.file for plugin in spec.plugins] == ["plugins/mine.py"]
    assert copies(spec) == {"plugins/mine.py": mine.read_bytes()}
    home = write(tmp_path / "run" / "spec.yaml", dump(spec))
    write(tmp_path / "run" / "plugins" / "mine.py", mine.read_text())
    assert read_run(home) == spec
    with forgotten():
        with pytest.raises(DriveRLError, match=r"spec\.yaml: plugins: plugins/mine\.py .*--plugin .*plugins/mine\.py"):
            read_run(home)
        load_file(home.parent / "plugins" / "mine.py")
        assert read_run(home) == parse_run(home.read_text(), home) == spec
    with forgotten():
        load_file(write(tmp_path / "new" / "mine.py", mine.read_text() + "# changed\n"))
        with pytest.raises(DriveRLError, match=r"new/mine\.py was given, and its code is not the same"):
            read_run(home)


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [
        ("plugins/mine.py", "../../mine.py", "file = '../../mine.py': expected a copy beside it, plugins/NAME.py"),
        ("plugins/mine.py", "/etc/mine.py", "file = '/etc/mine.py': expected a copy beside it"),
        ("plugins/mine.py", "spec.yaml", "file = 'spec.yaml': expected a copy beside it"),
        ("plugins/mine.py", "plugins/a/mine.py", "expected a copy beside it"),
        ("plugins/mine.py", "plugins/..py", "expected a copy beside it"),
        ("  sha256: ", "# ", "plugins/mine.py: sha256 is missing"),
        ("  sha256: ", "  sha256: x", r"plugins.0.sha256 = 'x\w*...': expected text of the form"),
        (
            "- file: plugins/mine.py\n",
            "- 3\n#",
            "plugins.0 = 3: expected a path, or a mapping of file, package, sha256",
        ),
    ],
)
def test_a_recorded_spec_names_copies_beside_it(
    right: str, wrong: str, expected: str, mine: Path, tmp_path: Path
) -> None:
    """An export writes them under these names."""
    load_file(mine)
    text = dump(recorded(load_run("quickstart", ["agent.encoder.kind=mine"])))
    assert right in text
    spec = write(tmp_path / "spec.yaml", text.replace(right, wrong))
    with pytest.raises(DriveRLError, match=f"spec.yaml: .*{expected}.*"):
        read_run(spec)


def test_a_spec_without_plugins_is_as_it_was() -> None:
    spec = load_run("quickstart")
    assert recorded(spec) is spec
    assert "plugins" not in dump(spec)
    assert "extra" not in dump(spec)


def test_plugins_of_one_name_are_both_kept(tmp_path: Path) -> None:
    first = write(tmp_path / "a" / "mine.py", ENCODER.format(name="first"))
    second = write(tmp_path / "b" / "mine.py", TERM)
    load_file(first)
    load_file(second)
    spec = recorded(load_run("quickstart", ["agent.encoder.kind=first", "world.reward.extra.gentle=1"]))
    assert sorted(copies(spec)) == ["plugins/mine-2.py", "plugins/mine.py"]
    assert set(copies(spec).values()) == {first.read_bytes(), second.read_bytes()}


def test_the_command_line_cannot_demand() -> None:
    with pytest.raises(DriveRLError, match=r"plugins: cannot be overridden; fix: --plugin FILE\.py"):
        load_run("quickstart", ["plugins=[mine.py]"])


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package whose module registers the encoder `packaged`."""
    module = write(tmp_path / "my_drive_package.py", ENCODER.format(name="packaged"))
    info = tmp_path / "my_drive_package-1.2.dist-info"
    write(info / "METADATA", "Metadata-Version: 2.1\nName: my-drive-package\nVersion: 1.2\n")
    write(info / "entry_points.txt", "[drive_rl]\nmine = my_drive_package\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_drive_package", raising=False)
    assert metadata.version("my-drive-package") == "1.2"
    return module


def test_an_installed_package_is_imported_when_its_name_is_asked_for(package: Path, tmp_path: Path) -> None:
    load_run("quickstart")
    assert not plugins()
    assert find("encoder", "packaged") is not None
    spec = recorded(load_run("quickstart", ["agent.encoder.kind=packaged"]))
    assert spec.plugins[0].package == "my-drive-package 1.2"
    assert not copies(spec)
    home = write(tmp_path / "run" / "spec.yaml", dump(spec))
    assert read_run(home) == spec
    sys.modules.pop("my_drive_package")
    write(package, ENCODER.format(name="packaged") + "# version 1.3\n")
    with forgotten(), pytest.raises(DriveRLError, match=r"my-drive-package 1\.2 .*is installed; fix: install"):
        read_run(home)


def test_a_broken_package_is_named(package: Path) -> None:
    write(package, "import nowhere_at_all\n")
    with pytest.raises(DriveRLError, match=r"my-drive-package 1\.2 .*cannot be loaded: .*nowhere_at_all"):
        find("encoder", "packaged")
