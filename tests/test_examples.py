"""The recipes for other tools: those run here whose packages are here; `benchmarks/other_tools.py` tries them all."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest
import yaml
from other_tools import ID, TOOLS
from stable_baselines3 import PPO

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
PAGE = (ROOT / "docs" / "howto" / "other_tools.md").read_text(encoding="utf-8")
OF_RL_ZOO = {"n_timesteps", "n_envs"}


@pytest.mark.parametrize(("script", "needs"), [("cleanrl_ppo.py", "torch"), ("torchrl_ppo.py", "torchrl")])
@pytest.mark.filterwarnings("ignore")  # of the tool's import
def test_it_learns_from_the_command_line_and_prints_the_return(script: str, needs: str) -> None:
    pytest.importorskip(needs)
    small = ["--steps", "256", "--cars", "4", "--rollout", "32", "--env", "drive_rl:drive_rl/LaneFollow-v1"]
    done = subprocess.run([sys.executable, EXAMPLES / script, *small], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(",")[0] for line in lines] == ["128 steps", "256 steps"]
    assert all(re.search(r"return (-?\d+\.\d|nan)$", line) for line in lines)


def test_rl_zoo_finds_ids_that_exist_and_arguments_that_ppo_takes() -> None:
    recipes = yaml.safe_load((EXAMPLES / "rl_zoo_ppo.yml").read_text(encoding="utf-8"))
    assert ID in recipes
    for name, recipe in recipes.items():
        assert name in gymnasium.registry
        assert recipe.keys() - OF_RL_ZOO <= inspect.signature(PPO).parameters.keys()


def test_the_page_names_the_versions_that_are_tried() -> None:
    pinned = [tool.requirement.partition("==")[2] for tool in TOOLS.values() if "==" in tool.requirement]
    assert len(pinned) == 4
    for version in pinned:
        assert re.search(rf"\| (Ray )?{re.escape(version)}, 20\d\d-\d\d \|", PAGE), version
    for path in EXAMPLES.iterdir():
        assert f"`{path.name}`" in PAGE, path.name
