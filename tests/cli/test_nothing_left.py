"""A command that is refused leaves no file and no folder behind, however late it is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

Refused = Callable[..., str]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["bench", "perception", "nope"], "unknown perception model 'nope'; fix: one of "),
        (["bench", "perception", "nope", "runs/tiny"], "runs/tiny: is a driver"),
        (["bench", "perception", "pilotnet-160", "--data", "nowhere"], "nowhere"),
        (["bench", "perception", "pilotnet-160", "--data", "easy.yaml"], "easy.yaml"),
        (["bench", "perception", "pilotnet-160", "--require", "speed>=1"], "speed"),
        (["bench", "perception", "pilotnet-160", "--out", "easy.yaml"], "easy.yaml: a file is where a folder"),
        (["perception", "explain", "runs/tiny"], "is a driver"),
        (["perception", "explain", "unet-160", "--out", "deep/a.png"], "deep is not a folder"),
        (["perception", "explain", "unet-160", "--out", "a.doc"], "a.doc"),
        (["perception", "fit", "unet", "data.folder=nowhere"], "nowhere"),
        (["perception", "fit", "unet", "model.init_from=nope"], "nope"),
        (["data", "make", "lane_follow", "--out", "a/b/data"], "is not a folder"),
        (["data", "make", "town", "--split", "val", "--samples", "8001"], "fix: 1 to 8000 pictures"),
        (["data", "make", "town", "world.camera.renderer=tiny"], "fix: world.camera.renderer=field"),
        (["data", "make", "town", "--out", "runs", "--overwrite"], "runs: is not a data set that drive-rl made"),
        (["data", "record", "tiny.yaml"], "has no teacher; fix: "),
        (["data", "record", "dagger", "--out", "a/b/demos"], "is not a folder"),
        (["data", "record", "dagger", "--out", "runs"], "runs: exists already"),
        (["data", "record", "dagger", "agent.teacher=nope"], "nope"),
        (["train", "tiny.yaml", "--runs", "a/b", "agent.init_from=nope", "agent.guidance=null"], "nope"),
        (["train", "dagger", "--runs", "a/b", "agent.teacher=nope"], "nope"),
        (["train", "dagger", "--runs", "a/b", "agent.demonstrations=nowhere"], "nowhere"),
        (["train", "tiny.yaml", "--runs", "a/b", "agent.encoder.init_from=nope"], "nope"),
        (["train", "tiny.yaml", "--runs", "a/b", "--seeds", "0"], "--seeds"),
        (["train", "tiny.yaml", "--runs", "a/b", "--seeds", "2", "agent.gamma=7"], "agent.gamma = 7"),
        (["train", "tiny.yaml", "--seeds", "2", "agent.encoder.init_from=nope"], "nope"),
        (["train", "--resume", "runs/tiny", "--runs", "a/b"], "has trained for 32 steps already"),
        (["render", "reference", "--seeds", "1", "--out", "x.doc"], "unknown kind of film"),
        (["render", "reference", "--out", "a/b.mp4"], "is not a folder"),
        (["compare", "reference", "nope", "--out", "c.json"], "nope"),
        (["compare", "reference", "runs/tiny", "--out", "a/c.json"], "a is not a folder"),
        (["compare", "reference", "runs/tiny", "--episodes", "0"], "episodes"),
        (["export", "runs/tiny", "lane_follow"], "is the name of a world"),
        (["track", "runs/tiny"], "nothing to record in"),
        (["train", "tiny.yaml", "--runs", "/proc/x"], "/proc/x/tiny: no file can be made there"),
        (["train", "tiny.yaml", "--runs", "/proc/x", "--seeds", "2"], "/proc/x/tiny: no file can be made there"),
        (["train", "tiny.yaml", "--runs", "x" * 300], ": no file can be made there (File name too long)"),
        (["eval", "reference", "--out", "/proc/x.json"], "/proc: no file can be made there"),
        (["render", "reference", "--out", "/proc/x.mp4"], "/proc: no file can be made there"),
        (["compare", "reference", "runs/tiny", "--out", "/proc/x.json"], "/proc: no file can be made there"),
        (["data", "make", "lane_follow", "--out", "/proc/x"], "/proc: no file can be made there"),
        (["data", "record", "dagger", "--out", "/proc/x"], "/proc: no file can be made there"),
        (["bench", "perception", "pilotnet-160", "--out", "/proc/x"], "/proc/x: no file can be made there"),
    ],
)  # fmt: skip
def test_nothing_is_left(refused: Refused, here: Path, words: list[str], expected: str) -> None:
    assert expected in refused(*words)
