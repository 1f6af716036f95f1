"""Plugins of every kind whose code raises, exits, or returns something else: one paragraph and exit code 2."""

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import DRIVE_RL, call, run_main

HEAD = "import sys\nimport numpy as np\nimport torch\nfrom torch import nn\nfrom drive_rl import extend\n"
DRIVER = """
@extend.driver("d")
class D:
    observation, actions = "state", "continuous"
    def __init__(self, world): {init}
    def begin(self, rows): {begin}
    def act(self, state): {act}
"""
ENCODER = "@extend.encoder('e')\ndef e(channels, height, width): {body}\n"
NETWORK = "class N(nn.Flatten):\n    def forward(self, x): return {body}\n"
METRIC = "@extend.metric('m'{about})\ndef m(rows): {body}\n"
TERM = "@extend.reward_term('t')\ndef t({parameters}): {body}\n"
FORMAT = """
from drive_rl.perception.data.records import LaneTruth, Record, State
@extend.data_format("f", files="x")
class F:
    @staticmethod
    def detect(folder): {detect}
    @staticmethod
    def read(folder, files, skipped):
        {read}
        for path in files: yield Record("there", path, {labels})
"""
AN_HEAD = """
@extend.head("h", scores={{}})
class H:
    {reads}
    def __init__(self, world): {init}
    def build(self, shape): return nn.Linear(shape[0], 1)
    def target(self, samples): return samples.lane[:, :1]
    def loss(self, predicted, target): {loss}
    def score(self, predicted, target): return {{}}
"""
EVAL = ["eval", "reference", "engine=batch", "--episodes", "1", "world.road.length_m=60", "world.task.time_limit_s=2"]
DRIVE = ["eval", "d.yaml", *EVAL[2:]]
TRAIN = ["train", "quickstart", "agent.guidance=null", "agent.encoder.kind=e", "track=none", "engine=batch"]
FIT = ["perception", "fit", "unet", "model.heads=[lane,h]", "fit.val_samples=2", "track=none"]
FIT += ["world.camera.width_px=32", "world.camera.height_px=32", "data.per_road=2"]
READ = ["perception", "fit", "unet", "model.heads=[segmentation]", "data.folder=pictures", "data.format=f", *FIT[5:8]]

Cli = Callable[..., str]


def driver(init: str = "pass", begin: str = "pass", act: str = "return np.zeros((len(state), 2))") -> str:
    return DRIVER.format(init=init, begin=begin, act=act)


def data_format(detect: str = "return {'train': [folder / 'a.png']}", read: str = "pass", labels: str = "") -> str:
    return FORMAT.format(detect=detect, read=read, labels=labels)


def head(
    reads: str = "reads = 'features'", init: str = "pass", loss: str = "return (predicted - target).mean()"
) -> str:
    return AN_HEAD.format(reads=reads, init=init, loss=loss)


pytestmark = pytest.mark.usefixtures("nothing_loaded")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe, and a folder of one picture."""
    import cv2

    folder = tmp_path_factory.mktemp("broken")
    (folder / "d.yaml").write_text("algorithm: d\n")
    (folder / "pictures").mkdir()
    cv2.imwrite(str(folder / "pictures" / "a.png"), np.zeros((40, 64, 3), np.uint8))
    cv2.imwrite(str(folder / "pictures" / "b.png"), np.zeros((40, 64, 3), np.uint8))
    return folder


TWO = "return {'train': [folder / 'a.png', folder / 'b.png']}"
CASES = {
    "driver exits when made": (DRIVE, driver(init="sys.exit(0)"), "cannot be made with options {}: SystemExit: 0"),
    "driver exits at the beginning": (DRIVE, driver(begin="sys.exit(0)"), "driver d: begin fails: SystemExit: 0"),
    "driver exits": (DRIVE, driver(act="sys.exit()"), "driver d: act fails: SystemExit"),
    "message of many lines": (
        DRIVE,
        driver(act="raise ValueError('a\\n\\nb' + 999 * 'x')"),
        "act fails: ValueError: a b" + 297 * "x" + "; fix",
    ),
    "message that fails": (
        DRIVE,
        driver(act="raise type('E', (Exception,), {'__str__': lambda self: 1 / 0})()"),
        "act fails: E: its message cannot be read; fix",
    ),
    "attribute that fails": (
        DRIVE,
        driver().replace('observation, actions = "state"', "observation, actions = property(lambda self: 1 / 0)"),
        "observation cannot be read: ZeroDivisionError",
    ),
    "attribute of another type": (
        DRIVE,
        driver().replace('= "state"', "= np.zeros(2)"),
        "observation = array([0., 0.]): expected one of camera",
    ),
    "driver of no known parameters": (DRIVE, "extend.driver('d')(dict)", "driver d: its parameters are not known: Val"),
    "encoder exits": (
        TRAIN,
        ENCODER.format(body="sys.exit(0)"),
        "encoder e: fails on pictures (B, 3, 40, 64): SystemE",
    ),
    "encoder is none": (TRAIN, ENCODER.format(body="return len"), "TypeError: made a builtin_function_or_method, exp"),
    "encoder of whole numbers": (
        TRAIN,
        NETWORK.format(body="x.flatten(1).int()") + ENCODER.format(body="return N()"),
        "returns torch.int32 for two black pictures, expected finite torch.float32; fix",
    ),
    "encoder of NaN": (
        TRAIN,
        NETWORK.format(body="x.flatten(1) * torch.nan") + ENCODER.format(body="return N()"),
        "returns torch.float32, not all finite, for two black pictures, expected finite",
    ),
    "encoder of nothing": (
        TRAIN,
        NETWORK.format(body="x.flatten(1)[:, :0]") + ENCODER.format(body="return N()"),
        "returns (2, 0) for two pictures, expected (2, n)",
    ),
    "metric exits": (EVAL, METRIC.format(about="", body="sys.exit(0)"), "metric m: fails: SystemExit: 0; fix"),
    "label of another type": (
        EVAL,
        METRIC.format(about=", label=3", body="return 1"),
        "label = 3: expected text on one",
    ),
    "unit of two lines": (
        EVAL,
        METRIC.format(about=", unit='a\\nb'", body="return 1"),
        "unit = 'a\\nb': expected text",
    ),
    "better": (EVAL, METRIC.format(about=", better=7", body="return 1"), "better = 7: expected 1, -1 or 0; fix"),
    "format of another type": (EVAL, "extend.data_format('f', files=3)(len)", "files = 3: expected text on one line"),
    "term raises": (
        [*EVAL, "world.reward.extra.t=1"],
        TERM.format(parameters="speed_mps", body="return 1 / speed_mps"),
        "reward term t: fails at speed_mps = 0: ZeroDivisionError",
    ),
    "term is no function": (
        [*EVAL, "world.reward.extra.t=1"],
        "extend.reward_term('t')(min)",
        "reward term t: is a builtin_function_or_method: expected a function; fix: write it with def",
    ),
    "term of a keyword": (
        [*EVAL, "world.reward.extra.t=1"],
        TERM.format(parameters="*, speed_mps", body="return 1.0"),
        "parameter 'speed_mps' is keyword-only; fix: name it alone",
    ),
    "head exits": (FIT, head(init="sys.exit(0)"), "head h: cannot be made for a world: SystemExit: 0; fix"),
    "head's attribute": (FIT, head(reads="reads = np.zeros(2)"), "head h: reads = array([0., 0.]): expected one of"),
    "complex loss": (FIT, head(loss="return (1j * predicted).sum()"), "loss returned a tensor () of predictions"),
    "format exits": (
        READ,
        data_format(detect="sys.exit(0)"),
        "detect(pictures): fails: SystemExit: 0; fix: correct it",
    ),
    "files that are none": (READ, data_format(detect="return {'train': 3}"), "fails: TypeError: 'int' object is not"),
    "files of an array": (READ, data_format(detect="return {'train': np.zeros(2)}"), "expected paths of one of train"),
    "reading exits": (READ, data_format(read="sys.exit(0)"), "read(pictures): fails: SystemExit: 0; fix: correct it"),
    "record of other types": (
        READ,
        data_format(labels="state=State((0.0,) * 6, 'easy', 'snow', 0)"),
        "yielded a Record with state = State(",
    ),
    "mask exits": (READ, data_format(TWO, labels="classes=sys.exit"), "there: classes fails: TypeError:"),
    "mask of another shape": (
        READ,
        data_format(TWO, labels="classes=lambda width, height: np.zeros((width, height), np.uint8)"),
        "there: classes returned (64, 40) of uint8: expected (40, 64) of uint8; fix",
    ),
    "mask of no class": (
        READ,
        data_format(TWO, labels="classes=lambda width, height: np.full((height, width), 200, np.uint8)"),
        "unknown class in a mask: there holds 200, expected 0 to 4 or 255",
    ),
    "lanes of another shape": (
        READ,
        data_format(TWO, labels="lanes=lambda width, height: LaneTruth((np.zeros(3),), None, width, height)"),
        "there: lanes returned no LaneTruth of arrays of numbers: AssertionError: a lane is (3,)",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_plugin_that_breaks_off(case: str, here: Path, refused: Cli) -> None:
    words, code, expected = CASES[case]
    (here / "bad.py").write_text(HEAD + code)
    assert expected in refused(*words, "--plugin", "bad.py")


def test_brackets_of_a_label_are_no_markup(here: Path, done: Cli) -> None:
    (here / "m.py").write_text(HEAD + METRIC.format(about=", label='[/x]', unit='[m]'", body="return 1"))
    assert "[/x]" in (said := done(*EVAL, "--plugin", "m.py"))
    assert "1 [m]" in said


def test_what_a_plugin_prints_is_no_part_of_the_json(here: Path) -> None:
    loud = "import os\nos.write(1, b'loud\\n')\nprint('loud')\n"
    (here / "loud.py").write_text(HEAD + loud + driver(act="print('loud'); return np.zeros((len(state), 2))"))
    assert json.loads(call(here, *DRIVE, "--json", "--plugin", "loud.py").stdout)["driver"] == "d.yaml"


def test_a_signal_while_a_plugin_loads_is_no_fault_of_it(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(60)\n")
    command = [*DRIVE_RL, "list", "--plugin", "slow.py"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "loading\n"
        process.send_signal(signal.SIGTERM)
        assert "error" not in process.stderr.read()
    assert process.returncode == 128 + signal.SIGTERM


def test_numba_without_a_compiler_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch, refused: Cli) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert "NUMBA_DISABLE_JIT = '1': expected 0: the simulator drives in compiled code alone; fix: unset" in refused(
        *EVAL
    )


def test_a_plugin_that_another_loads_is_forgotten_with_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "inner.py").write_text(HEAD + driver())
    (here / "outer.py").write_text("from drive_rl import extend\nextend.load('inner.py')\n1 / 0\n")
    assert run_main([*DRIVE, "--plugin", "outer.py"], monkeypatch) == 2
    assert run_main([*DRIVE, "--plugin", "inner.py"], monkeypatch) == 0
