"""The public contract checks: ours keep them, and each check catches a plugin that does not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from drive_rl.config.extensions import Kind, forgotten
from drive_rl.config.specs.learner import ENCODERS
from drive_rl.config.specs.perception import HEADS
from drive_rl.errors import DriveRLError
from drive_rl.sim.task.outcome import TERMS
from drive_rl.testing import ContractError, check, check_data_folder, check_plugin

OURS: list[tuple[Kind, str]] = [
    *(("encoder", name) for name in ENCODERS),
    *(("reward_term", name) for name in TERMS),
    ("driver", "reference"),
    *(("head", name) for name in HEADS),
]


@pytest.fixture(autouse=True)
def nothing_loaded() -> Iterator[None]:
    with forgotten():
        yield


@pytest.mark.parametrize(("kind", "name"), OURS)
def test_ours_keep_the_contract(kind: Kind, name: str) -> None:
    check(kind, name)


HEAD = "import itertools, torch, numpy as np\nfrom torch import nn\nfrom drive_rl import extend\n"
MODEL = "@extend.perception_model('bad', {'outputs': {'output': {'kind': 'classes', 'map': {'road': [0]}}}})\n"
CONV = "nn.Conv2d(c, 4, 5, 4), nn.ReLU(), nn.Flatten()"
DRIVER = """
@extend.driver("bad")
class Bad:
    observation, actions = "state", "continuous"
    def __init__(self, world): self.count = itertools.count()
    def act(self, state): return {act}
"""
HEAD_OF = """
class Noise(nn.Module):
    def forward(self, x): return x + torch.rand(1)
class Mean(nn.Module):
    def forward(self, x): return x - x.mean()
class Half(nn.Linear):
    def forward(self, x): return x @ self.weight.T
@extend.head("bad", scores={{"e": -1}})
class Bad:
    def __init__(self, world): pass
    def build(self, shape): {build}
    def target(self, samples): return samples.lane[:, :1]
    def loss(self, p, t): return {loss}
    def score(self, p, t): return {{'e': abs(p - t).mean()}}
"""
BAD = {
    "a draw in eval mode": (
        f"class Noise(nn.Module):\n    def forward(self, x): return x + torch.rand(1)\n"
        f"@extend.encoder('bad')\ndef bad(c, h, w): return nn.Sequential({CONV}, Noise())\n",
        "the same features of the same pictures",
    ),
    "weights beside torch's seed": (
        f"count = itertools.count(1)\n@extend.encoder('bad')\ndef bad(c, h, w):\n    made = nn.Sequential({CONV})\n"
        "    made[0].weight.data.fill_(next(count))\n    return made\n",
        "the same weights after the same torch.manual_seed",
    ),
    "batch statistics in eval mode": (
        f"class Mean(nn.Module):\n    def forward(self, x): return x - x.mean(0)\n"
        f"@extend.encoder('bad')\ndef bad(c, h, w): return nn.Sequential({CONV}, Mean())\n",
        "do not depend on the rest of the batch",
    ),
    "a weight without a gradient": (
        f"class Cut(nn.Module):\n    def forward(self, x): return x.detach()\n"
        f"@extend.encoder('bad')\ndef bad(c, h, w): return nn.Sequential({CONV}, Cut())\n",
        "a gradient for every weight",
    ),
    "actions that drift": (DRIVER.format(act="np.full((len(state), 2), next(self.count) / 100)"), "that begins alike"),
    "actions too large": (DRIVER.format(act="np.full((len(state), 2), 3.0)"), "actions in Box"),
    "actions of the batch": (
        DRIVER.format(act="np.arange(2.0 * len(state)).reshape(-1, 2) / 100"),
        "depends on its own row alone",
    ),
    "a metric that counts": (
        "count = itertools.count()\n@extend.metric('bad')\ndef bad(episodes): return next(count)\n",
        "the same value again",
    ),
    "a metric of nothing": ("@extend.metric('bad')\ndef bad(episodes): return sum(1 for _ in episodes) / 0\n", "fails"),
    "a metric of some episodes alone": (
        "@extend.metric('bad')\ndef bad(episodes): return 1 / len(episodes)\n",
        "a number or None of no episodes, too",
    ),
    "a head with a draw in eval mode": (
        HEAD_OF.format(build="return nn.Sequential(nn.Linear(shape[0], 1), Noise())", loss="(p - t).abs().mean()"),
        "the same predictions of the same pictures|do not depend on the rest of the batch",
    ),
    "a head that cannot learn": (
        HEAD_OF.format(build="return nn.Linear(shape[0], 1)", loss="1 + 0 * (p - t).mean()"),
        "a loss that falls as it learns",
    ),
    "a head of a part of its weights": (
        HEAD_OF.format(build="return Half(shape[0], 1)", loss="(p - t).abs().mean()"),
        "a gradient for every weight; none for network.bias",
    ),
    "a head that counts the batch": (
        HEAD_OF.format(build="return nn.Sequential(nn.Linear(shape[0], 1), Mean())", loss="(p - t).abs().mean()"),
        "do not depend on the rest of the batch",
    ),
    "a head whose score is of no use": (
        HEAD_OF.format(build="return nn.Linear(shape[0], 1)", loss="(p - t).abs().mean()").replace("'e': ", "'f': "),
        r"score returned \['f'\]: expected \['e'\]",
    ),
    "a format of everything": (
        "@extend.data_format('bad', files='any')\nclass Bad:\n    @staticmethod\n"
        "    def detect(folder): return {'train': [folder]}\n    @staticmethod\n    def read(*_): return []\n",
        "an empty mapping",
    ),
    "a perception model that draws": (
        MODEL + "def bad(): return lambda x: np.random.default_rng().normal(size=(len(x), 1, 80, 160))\n",
        "the same classes of the same pictures",
    ),
    "a perception model that counts the batch": (
        MODEL + "def bad(): return lambda x: x.mean(axis=1, keepdims=True) - x.mean()\n",
        "classes that does not depend on the rest of the batch",
    ),
    "a perception model of another shape": (
        MODEL + "def bad(): return lambda x: x.mean()\n",
        "expected tensors or arrays",
    ),
    "a format without read": (
        "@extend.data_format('bad', files='any')\nclass Bad:\n    @staticmethod\n    def detect(folder): return {}\n",
        "has no static method read",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_check_can_fail(case: str, tmp_path: Path) -> None:
    code, expected = BAD[case]
    (tmp_path / "bad.py").write_text(HEAD + code)
    with pytest.raises((ContractError, DriveRLError), match=expected):
        check_plugin(tmp_path / "bad.py")


def test_drivers_are_checked_with_options(tmp_path: Path) -> None:
    code = DRIVER.format(act="np.full((len(state), 2), self.pedal)").replace(
        "world): ", "world, pedal): self.pedal = pedal; "
    )
    (tmp_path / "mine.py").write_text(HEAD + code)
    with pytest.raises(DriveRLError, match=r"options\.pedal: is missing; fix: add it"):
        check_plugin(tmp_path / "mine.py")
    assert check_plugin(tmp_path / "mine.py", {"bad": {"pedal": 0.5}}) == ["driver bad"]
    with pytest.raises(ContractError, match="actions in Box"):
        check_plugin(tmp_path / "mine.py", {"bad": {"pedal": 1.5}})
    with pytest.raises(DriveRLError, match="registers no driver 'worse'; fix: one of bad"):
        check_plugin(tmp_path / "mine.py", {"worse": {}})


def test_a_data_folder_with_a_broken_picture(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        "from drive_rl import extend\nfrom drive_rl.perception.data.records import Record\n"
        "@extend.data_format('bad', files='any')\nclass Bad:\n"
        "    detect = staticmethod(lambda folder: {'train': [folder]} if [*folder.glob('*.png')] else {})\n"
        "    read = staticmethod(lambda folder, files, skipped: [Record(f.name, f) for f in folder.glob('*.png')])\n"
    )
    check_plugin(tmp_path / "bad.py")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "broken.png").write_bytes(b"nothing")
    with pytest.raises(DriveRLError, match=r"none of its pictures can be used|no usable picture"):
        check_data_folder("bad", tmp_path / "data")
