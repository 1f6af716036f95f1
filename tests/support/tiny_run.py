"""The smallest experiment that trains, evaluates and saves, as files in a folder: tiny.yaml and its run."""

from pathlib import Path

import pytest
from command_line import run_main

TINY = """\
world: {base: lane_follow, road: {length_m: 60}, task: {time_limit_s: 4}}
agent:
  {base: ppo, num_envs: 2, steps_per_update: 16, batch_size: 16, epochs: 1, hidden: [8], encoder: {features: 8},
   guidance: {batch_size: 16}}
budget_steps: 32
checkpoint_every: 32
evaluation: {every_steps: 32, episodes: 1}
track: none
"""


def train_tiny(folder: Path) -> Path:
    """Write tiny.yaml and easy.yaml, a world, to a folder, and train runs/tiny; return the folder."""
    (folder / "tiny.yaml").write_text(TINY)
    (folder / "easy.yaml").write_text("base: lane_follow\nroad: {tiers: {medium: null, hard: null}}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run_main(["train", "tiny.yaml", "--no-film"], patch) == 0
    return folder


def the_run(here: Path) -> Path:
    """Return the one run of runs/tiny."""
    (run,) = (here / "runs" / "tiny").iterdir()
    return run
