"""Plugins that fail only once they are used in earnest, or that edit what is not theirs."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import check, run_main
from small_runs import SMALL

pytestmark = pytest.mark.usefixtures("nothing_loaded")

Cli = Callable[..., str]

ENCODER = """
import sys, torch
from torch import nn
from drive_rl import extend

class Late(nn.Flatten):
    calls = 0
    def forward(self, pictures):
        self.calls += 1
        found = super().forward(pictures)
        return found if self.calls < {calls} else {late}

@extend.encoder("e")
def e(channels, height, width): return nn.Sequential(Late())
"""
GRADIENT = """
import torch
from torch import nn
from drive_rl import extend

class Broken(torch.autograd.Function):
    calls = 0
    @staticmethod
    def forward(ctx, x): return x.clone()
    @staticmethod
    def backward(ctx, gradient):
        Broken.calls += 1
        return gradient if Broken.calls < 3 else gradient.no_such

class Layer(nn.Linear):
    def forward(self, x): return Broken.apply(super().forward(x))

@extend.encoder("e")
def e(channels, height, width): return nn.Sequential(nn.Flatten(), Layer(channels * height * width, 4))
"""
IN_PLACE = """
from torch import nn
from drive_rl import extend

class Layer(nn.Linear):
    def forward(self, x): return super().forward(x).exp().add_(1)

@extend.encoder("e")
def e(channels, height, width): return nn.Sequential(nn.Flatten(), Layer(channels * height * width, 4), nn.Softplus())

class Worse(nn.Linear):
    def forward(self, x):
        y = super().forward(x).exp()
        z = y * y
        y.add_(1)
        return z

@extend.encoder("f")
def f(channels, height, width): return nn.Sequential(nn.Flatten(), Worse(channels * height * width, 4))
"""
TERM = """
from drive_rl import extend
@extend.reward_term("t")
def t(time_s): return 1.0 if time_s > 3.0 or time_s < 0.05 else {late}
"""
HEAD = """
import sys, torch
from torch import nn
from drive_rl import extend

class Net(nn.Linear):
    calls = 0
    def forward(self, x):
        self.calls += 1
        {forward}
        return super().forward(x)

@extend.head("h", scores={{"mae": -1}})
class H:
    calls = 0
    def __init__(self, world): pass
    def build(self, shape): return Net(shape[0], 1)
    def target(self, samples):
        {target}
        return samples.lane[:, :1].copy()
    def loss(self, predicted, target):
        H.calls += 1
        {loss}
        return (predicted - target).abs().mean()
    def score(self, predicted, target): return {{"mae": abs(predicted - target).mean()}}
"""
DRIVER = """
import numpy as np
from drive_rl import extend
@extend.driver("d")
class D:
    observation, actions = "camera", "continuous"
    def __init__(self, world): pass
    def act(self, camera):
        steer = (camera[:, -1].mean((1, 2)) - camera[:, 0].mean((1, 2))) / 255
        {edit}
        return np.stack([steer, 0 * steer + 0.3], axis=1)
"""
SMALL_RUN = [word for word in SMALL if "guidance" not in word]
TRAIN = ["train", "quickstart", *SMALL_RUN, "agent.guidance=null", "--plugin", "p.py"]
FIT = ["perception", "fit", "unet", "model.heads=[lane,h]", "track=none", "data.per_road=2", "--plugin", "p.py"]
FIT += ["world.camera.width_px=32", "world.camera.height_px=32", "fit.val_samples=4", "fit.batch_size=8"]
FIT += ["fit.samples=64", "fit.evaluate_every=32"]


@pytest.fixture
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("late")


def head(forward: str = "pass", target: str = "pass", loss: str = "pass") -> str:
    return HEAD.format(forward=forward, target=target, loss=loss)


@pytest.fixture
def failed(
    here: Path, done: Cli, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run a command that must fail after its run has begun; the run is whole, and can be resumed."""

    def fail(*words: str) -> str:
        capfd.readouterr()
        code = run_main(list(words), monkeypatch)
        err = capfd.readouterr().err
        said = check(code, err[err.index("error: ") :])
        assert len(list(here.glob("runs/*/*/last/manifest.json"))) == 1
        shown = done("list", "--plugin", "p.py")
        assert "stopped" in shown
        assert "BROKEN" not in shown
        return said

    return fail


def late(body: str, calls: int = 6) -> str:
    return f"if self.calls > {calls}: {body}"


CASES = {
    "encoder raises": (ENCODER.format(calls=20, late="found.no_such"), "encoder e: its network fails: AttributeError"),
    "encoder exits": (ENCODER.format(calls=20, late="sys.exit(0)"), "encoder e: its network fails: SystemExit: 0; fix"),
    "encoder of other rows": (
        ENCODER.format(calls=20, late="torch.cat((found, found))"),
        "encoder e: its network fails: TypeError: returned a tensor (",
    ),
    "encoder of NaN": (
        ENCODER.format(calls=20, late="found * torch.nan"),
        "encoder e: its network fails: ValueError: returned NaN or infinite numbers, as after steps of too large a lea",
    ),
    "encoder of another length": (
        ENCODER.format(calls=20, late="found[:, :5]"),
        "encoder e: its network fails: RuntimeError: mat1 and mat2 shapes",
    ),
    "gradient": (
        GRADIENT,
        "p.py: line 13: AttributeError: 'Tensor' object has no attribute 'no_such'; fix: correct the",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_encoder_that_fails_late(case: str, here: Path, failed: Cli) -> None:
    code, expected = CASES[case]
    (here / "p.py").write_text(code)
    said = failed(*TRAIN, "agent.encoder.kind=e")
    assert "p.py: " in said
    assert expected in said


def test_an_encoder_that_cannot_learn_leaves_no_run(here: Path, refused: Cli) -> None:
    (here / "p.py").write_text(IN_PLACE)
    said = refused(*TRAIN, "agent.encoder.kind=f")
    assert "encoder f: cannot learn from pictures (B, 3, 16, 24): RuntimeError: one of the variables" in said
    (here / "p.py").write_text(ENCODER.format(calls=1, late="found.no_such if self.training else found"))
    said = refused(*TRAIN, "agent.encoder.kind=e")
    assert "encoder e: cannot learn from pictures (B, 3, 16, 24): AttributeError" in said


def test_a_run_whose_encoder_fails_after_some_steps_drives(here: Path, done: Cli, failed: Cli) -> None:
    (here / "p.py").write_text(ENCODER.format(calls=150, late="sys.exit(0)"))
    assert "encoder e: its network fails: SystemExit: 0" in failed(*TRAIN, "agent.encoder.kind=e")
    done("eval", "runs/quickstart", "--episodes", "1", "engine=batch", "--plugin", "p.py")


@pytest.mark.parametrize("engine", ["bullet", "batch"])
def test_a_reward_term_that_fails_where_it_was_not_tried(engine: str, here: Path, refused: Cli) -> None:
    (here / "p.py").write_text(TERM.format(late="1.0 / (time_s * 0)"))
    (here / "d.py").write_text(DRIVER.format(edit="pass"))
    (here / "d.yaml").write_text("algorithm: d\n")
    words = [
        "eval",
        "d.yaml",
        f"engine={engine}",
        "--episodes",
        "1",
        "world.reward.extra.t=1",
        "world.road.length_m=60",
    ]
    said = refused(*words, "--plugin", "p.py", "--plugin", "d.py")
    assert "p.py: reward term t: fails at time_s = 0.1: ZeroDivisionError" in said


LATE_HEADS = {
    "forward raises": (head(forward=late("x.no_such")), "head h: its network fails: AttributeError"),
    "forward exits": (head(forward=late("sys.exit(0)")), "head h: its network fails: SystemExit: 0"),
    "forward of other rows": (head(forward=late("return x[:1]")), "TypeError: returned a tensor (1, 128) for 8 pic"),
    "loss raises": (head(loss=late("1 / 0").replace("self", "H")), "head h: loss fails: ZeroDivisionError"),
    "loss exits": (head(loss=late("sys.exit(0)").replace("self", "H")), "head h: loss fails: SystemExit: 0"),
}


@pytest.mark.parametrize("case", LATE_HEADS)
def test_a_head_that_fails_late(case: str, here: Path, failed: Cli) -> None:
    code, expected = LATE_HEADS[case]
    (here / "p.py").write_text(code)
    said = failed(*FIT)
    assert "p.py: head h: " in said
    assert expected in said


def test_a_head_that_cannot_learn_leaves_no_run(here: Path, refused: Cli) -> None:
    (here / "p.py").write_text(head(forward="y = x.exp(); z = y * y; y.add_(1); return z[:, :1]"))
    assert "head h: its module cannot learn from (2, 128): RuntimeError: one of the variables" in refused(*FIT)


EDITS = [
    "samples.lane[:] = 0",
    "torch.from_numpy(samples.lane).zero_()",
    "samples.images[:] = 0; samples.classes[:] = 1",
]


def test_what_a_head_edits_is_its_own(here: Path, done: Cli) -> None:
    lane = []
    for i, edit in enumerate(["pass", *EDITS]):
        code = head(target=f"truth = samples.lane[:, :1].copy(); {edit}; return truth", forward="x.mul_(2)")
        (here / "p.py").write_text(code)
        done(*FIT, "--runs", str(i))
        with next(here.glob(f"{i}/*/*/metrics.csv")).open() as file:
            lane.append([value for row in csv.reader(file) for value in row[1:]])
    assert len(lane[0]) > 4
    assert lane[1:] == lane[:1] * len(EDITS)


@pytest.mark.parametrize("engine", ["bullet", "batch"])
def test_what_a_driver_edits_is_its_own(engine: str, here: Path, done: Cli) -> None:
    (here / "d.yaml").write_text("algorithm: d\n")
    for name, edit in (("as_it_was", "pass"), ("edited", "camera[:] = 255")):
        (here / "p.py").write_text(DRIVER.format(edit=edit))
        words = ["eval", "d.yaml", f"engine={engine}", "--episodes", "2", "world.road.length_m=60"]
        done(*words, "--plugin", "p.py", "--out", f"{name}.json")
    assert (here / "edited.json").read_text() == (here / "as_it_was.json").read_text()
