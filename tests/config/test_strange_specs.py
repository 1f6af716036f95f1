"""Specs of strangers: what grows without end, hides a type, or points elsewhere is refused, at once and by name."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from drive_rl.config.raw import read_yaml
from drive_rl.config.reader import dump, load_perception, load_run, load_world, read_run
from drive_rl.config.specs.driver import DqnSpec, PpoSpec
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.config.specs.perception import PerceptionSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError

MERGES = "m0: &m0 {x: 1}\n" + "".join(f"m{k}: &m{k} {{<<: [{', '.join([f'*m{k - 1}'] * 9)}]}}\n" for k in range(1, 12))
LAUGHS = "m0: &m0 [x]\n" + "".join(f"m{k}: &m{k} [{', '.join([f'*m{k - 1}'] * 9)}]\n" for k in range(1, 12))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (MERGES, "more than 10,000 values"),
        (LAUGHS, "more than 10,000 values"),
        ("a: &a {k: 1}\nb: {<<: [" + "*a," * 9000 + "]}", "more than 10,000 values"),
        ("".join(f"k{n}: 0\n" for n in range(20_000)), "188,890 characters, expected at most 100,000"),
        ("".join(f"k{n}: 0\n" for n in range(9000)), "more than 10,000 values"),
        ("[" * 90_000, "nested deeper than 32 levels"),
        ("a: &a {<<: *a}", "*a refers to a value that contains itself"),
        ("seed: " + "1" * 6000, "a number of 6,000 digits"),
        ('a: "\\UFFFFFFFF"', "is not valid YAML"),
        ('description: "\\ud800"', "a character that a text file cannot hold"),
        ("%YAML 1." + "1" * 6000 + "\n--- a", "is not valid YAML"),
        ("a: 1\n---\nb: 2\n", "expected a single document"),
        ("a:\n\t- b\n", "cannot start any token"),
        ("seed: !!int 3\n", "expected plain values without tags"),
        ("a: !<" + "a" * 90_000 + "> b", "expected plain values without tags"),
        ("? [a]\n: b\n", "expected a mapping of keys"),
        ("true: b\n", "key 'true' is not text"),
        ("a: *b\n", "undefined alias"),
    ],
    ids=lambda text: text[:12],
)
def test_a_hostile_text_is_refused_in_a_line(tmp_path: Path, text: str, shown: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(DriveRLError) as error:
        load_world(str(path))
    assert shown in str(error.value)
    assert str(error.value).startswith(f"{path}: ")
    assert len(str(error.value)) < 600


def test_many_mistakes_are_listed_in_part(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("base: lane_follow\n" + "".join(f"k{n}: 0\n" for n in range(4000)))
    with pytest.raises(DriveRLError, match=r"and 3,980 more mistakes$"):
        load_world(str(tmp_path / "mine.yaml"))


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _folder(path: Path) -> None:
    path.mkdir()


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10**10)


@pytest.mark.parametrize(
    ("make", "shown"),
    [
        (_fifo, "not a regular file"),
        (_device, "not a regular file"),
        (_folder, "Is a directory"),
        (_sparse, "too large: 10,000,000,000 bytes"),
    ],
)
def test_what_is_no_ordinary_file_is_refused(tmp_path: Path, make: Any, shown: str) -> None:
    path = tmp_path / "spec.yaml"
    make(path)
    with pytest.raises(DriveRLError, match=shown):
        read_run(path)
    with pytest.raises(DriveRLError, match=f"{path}: (not a regular file|cannot be read)"):
        load_world(str(path))


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("base: lane_follow\r\n", encoding="utf-8-sig")
    assert load_world(str(tmp_path / "mine.yaml")).road == load_world("lane_follow").road


# --- numbers are numbers -------------------------------------------------------------------------------------------


ENTRIES = {"tiers": "easy.", "worlds": "parked_cars."}
"""Mappings of specs, and an entry that the files below have."""


def numbers(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the key of every value that is a number."""
    for name, field in model.model_fields.items():
        if name in ("streets", "train_worlds"):  # of no world below; in a list, whose entries no change reaches
            continue
        inner = [part for part in (field.annotation, *get_args(field.annotation)) if isinstance(part, type)]
        if specs := [part for part in inner if issubclass(part, BaseModel)]:
            entry = ENTRIES[name] if get_origin(field.annotation) is dict else ""
            yield from numbers(specs[0], f"{prefix}{name}.{entry}")
        elif {int, float} & set(inner) and get_origin(field.annotation) not in (tuple, dict):
            yield prefix + name


NUMBERS = [
    *(("world", key) for key in numbers(WorldSpec)),
    *(("quickstart", key) for key in numbers(RunSpec)),
    *(("quickstart", f"agent.{key}") for key in numbers(PpoSpec)),
    *(("dqn-lane-follow", f"agent.{key}") for key in numbers(DqnSpec)),
    *(("unet", key) for key in numbers(PerceptionSpec)),
]
LOADED = {
    "world": partial(load_world, "lane_follow"),
    "quickstart": partial(load_run, "quickstart"),
    "dqn-lane-follow": partial(load_run, "dqn-lane-follow"),
    "unet": partial(load_perception, "unet"),
}
MISTAKES_LISTED = 20


@pytest.mark.parametrize("value", ["true", "'3'", "1:30", "yes"])
def test_no_number_is_true_or_text(value: str) -> None:
    assert len(NUMBERS) > 240
    shown = value if value == "true" else repr(value.strip("'"))
    for start in range(0, len(NUMBERS), MISTAKES_LISTED):
        some = NUMBERS[start : start + MISTAKES_LISTED]
        for name in {name for name, _ in some}:
            keys = [key for of, key in some if of == name]
            with pytest.raises(DriveRLError) as error:
                LOADED[name]([f"{key}={value}" for key in keys])
            for key in keys:
                assert f"command line: {key} = {shown}: expected a" in str(error.value)


@pytest.mark.parametrize("value", ["1", "'true'", "yes", "on"])
def test_true_and_false_alone_are_booleans(value: str) -> None:
    with pytest.raises(DriveRLError, match=r"fit\.augment = .*expected true or false"):
        load_perception("unet", [f"fit.augment={value}"])
    with pytest.raises(DriveRLError, match=r"agent\.encoder\.frozen = .*expected true or false"):
        load_run("quickstart", [f"agent.encoder.frozen={value}"])


@pytest.mark.parametrize("key", ["task.start_speed_mps", "task.steer_grid", "appearance.wear"])
def test_no_number_of_a_list_is_true(key: str) -> None:
    with pytest.raises(DriveRLError, match=rf"{key}\.0 = true: expected a number"):
        load_world("lane_follow", [f"{key}=[true, 1]"])


@pytest.mark.parametrize(
    ("written", "read"), [("1000", 1000), ("1_000", 1000), ("+1000", 1000), ("1e3", 1000), ("1E+3", 1000), ("1e0", 1)]
)
def test_whole_numbers_are_read_the_same_in_files_and_overrides(tmp_path: Path, written: str, read: int) -> None:
    (tmp_path / "mine.yaml").write_text(f"base: quickstart\ncheckpoint_every: {written}\n")
    assert load_run(str(tmp_path / "mine.yaml")).checkpoint_every == read
    assert load_run("quickstart", [f"checkpoint_every={written}"]).checkpoint_every == read


@pytest.mark.parametrize(
    ("written", "read"),
    [("0.25", 0.25), (".25", 0.25), ("25e-2", 0.25), ("2.5E-1", 0.25), ("1", 1), ("1.", 1), ("0.2_5", 0.25)],
)
def test_numbers_are_read_the_same_in_files_and_overrides(tmp_path: Path, written: str, read: float) -> None:
    (tmp_path / "mine.yaml").write_text(f"base: lane_follow\ntask: {{start_offset_m: {written}}}\n")
    assert load_world(str(tmp_path / "mine.yaml")).task.start_offset_m == read
    assert load_world("lane_follow", [f"task.start_offset_m={written}"]).task.start_offset_m == read


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("1:30", "'1:30'"),  # 90 in YAML 1.1
        ("017", "'017'"),  # 15
        ("0x10", "'0x10'"),
        ("0o17", "'0o17'"),
        ("0b11", "'0b11'"),
        ("64.0", "64.0"),
        ("64.5", "64.5"),
        (".inf", "inf"),
        (".nan", "nan"),
        ("2024-01-01", "'2024-01-01'"),
        ("yes", "'yes'"),
        ("1__0", "'1__0'"),
    ],
)
def test_what_only_looks_like_a_number_is_refused_as_it_was_written(tmp_path: Path, written: str, shown: str) -> None:
    (tmp_path / "mine.yaml").write_text(f"base: lane_follow\ncamera: {{width_px: {written}}}\n")
    shown = rf"camera\.width_px = {shown}: expected a whole number"
    with pytest.raises(DriveRLError, match=shown):
        load_world(str(tmp_path / "mine.yaml"))
    with pytest.raises(DriveRLError, match=shown):
        load_world("lane_follow", [f"camera.width_px={written}"])


@pytest.mark.parametrize(
    "text", ["no", "on", "1:30", "1e3", "017", "2024-01-01", "=", "12", "~", "true", "1_0", ".5e3"]
)
def test_text_that_looks_like_something_else_is_written_so_that_it_reads_back(tmp_path: Path, text: str) -> None:
    run = load_run("quickstart").model_copy(update={"project": text})
    (tmp_path / "spec.yaml").write_text(dump(run))
    assert read_run(tmp_path / "spec.yaml") == run


def test_words_of_yaml_1_1_are_text(tmp_path: Path) -> None:
    assert load_run("quickstart", ["project=off"]).project == "off"
    (tmp_path / "mine.yaml").write_text("a: yes\nb: 2024-01-01\nc: =\nd: ~\ne: TRUE\n")
    assert read_yaml(tmp_path / "mine.yaml") == {"a": "yes", "b": "2024-01-01", "c": "=", "d": None, "e": True}


# --- nothing is fetched ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        "timm:hf-hub:owner/name",
        "timm:hf_hub:owner/name",
        "timm:local-dir:/tmp/model",
        "timm:https://example.org/model",
        "timm:../model",
        "timm:/etc/passwd",
        "timm:",
        "timm:resnet18\n",
        "timm:Resnet 18",
        "hf-hub:owner/name",
    ],
)
def test_an_encoder_is_a_plain_name_of_timm(kind: str) -> None:
    with pytest.raises(DriveRLError, match=r"agent\.encoder\.kind = .*(timm\.list_models|not printable)"):
        load_run("quickstart", [f"agent.encoder.kind={kind!r}".replace("'", '"')])
    with pytest.raises(DriveRLError, match=r"model\.encoder\.kind = .*(timm\.list_models|not printable)"):
        load_perception("unet", [f"model.encoder.kind={kind!r}".replace("'", '"')])


def test_plain_names_of_timm_are_taken() -> None:
    run = load_run("quickstart", ["agent.encoder.kind=timm:vit_base_patch16_224.augreg_in21k"])
    assert run.agent.encoder.kind == "timm:vit_base_patch16_224.augreg_in21k"
