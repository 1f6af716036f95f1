"""Claim: the benefit of a perception model to a driver: steps and seconds until it drives 99 % of 100 val roads.

`lane-state` is fitted to predict the lane state from pictures; then `ppo-batch` is trained from scratch, with its
encoder initialised from that model (fine-tuned, or frozen), or on the model's predictions; each with several seeds,
evaluated on val roads in training and on test roads at the end. The time to fit the model is reported separately.
"""

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from record import Bench, median, run, show

DRIVE_RL = [sys.executable, "-m", "drive_rl"]


def variants(model: Path) -> dict[str, list[str]]:
    """Return the changes to the experiment for each way of using the model."""
    init = f"agent.encoder.init_from={model}"
    return {
        "from scratch": [],
        "encoder fine-tuned": [init],
        "encoder frozen": [init, "agent.encoder.frozen=true"],
        "perception model": [
            f"agent.perception_model={model}",
            "agent.observation=camera+state",
            "agent.guidance=null",
        ],
    }


def folder_of(output: str, here: Path) -> Path:
    """Return the run folder that a command printed."""
    found = re.search(r"^run: (.+)$", output, re.MULTILINE)
    assert found, output
    return here / found[1]


def learn(name: str, changes: list[str], seed: int, episodes: int, here: Path) -> dict[str, Any]:
    """Train a driver; return when it first reached 99 % of the val roads, and its success on test roads."""
    command = [*DRIVE_RL, "train", name, *changes, "--seed", str(seed), "--track", "none", "--no-film"]
    folder = folder_of(run(command, here)[0], here)
    history = json.loads((folder / "last" / "training.json").read_text(encoding="utf-8"))
    reached = next((row["step"] for row in history["evaluations"] if row["success"] >= 0.99), None)
    steps, train_s = history["evaluations"][-1]["step"], history["wall_s"] - history["evaluation_s"]
    out = folder / "test.json"
    scored = ["eval", folder, "--split", "test", "--episodes", episodes, "engine=batch", "--out", out]
    run([*DRIVE_RL, *(str(word) for word in scored)], here)
    success = json.loads(out.read_text(encoding="utf-8"))["score"]["success"]
    return {
        "steps": steps,
        "train_s": train_s,
        "steps_to_99": reached,
        "seconds_to_99": None if reached is None else train_s * reached / steps,
        "best_val": max(row["success"] for row in history["evaluations"]),
        "test": success,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--experiment", default="ppo-batch")
    parser.add_argument("--episodes", type=int, default=200, help="test roads")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes to the experiment")
    parser.add_argument("--fit", nargs="*", default=[], metavar="KEY=VALUE", help="changes to the perception recipe")
    bench = Bench("under_driver", parser)
    args = bench.args
    samples = []
    with tempfile.TemporaryDirectory() as temporary:
        here = Path(temporary)
        for seed in args.seeds:
            fit = ["perception", "fit", "lane-state", *args.fit, "--seed", str(seed), "--track", "none"]
            output, fit_s = run([*DRIVE_RL, *fit], here)
            for name, changes in variants(folder_of(output, here)).items():
                often = ["evaluation.every_steps=8000", "evaluation.episodes=100", *args.set]
                found = learn(args.experiment, [*often, *changes], seed, args.episodes, here)
                samples.append(
                    {"seed": seed, "variant": name, "fit_s": 0.0 if name == "from scratch" else fit_s, **found}
                )
                print(samples[-1], flush=True)
    figures, rows = {}, []
    for name in variants(Path()):
        own = [sample for sample in samples if sample["variant"] == name]
        reached = [s for s in own if s["steps_to_99"] is not None]
        figures[name] = {
            "reached": len(reached),
            "of": len(own),
            "steps_to_99": median([s["steps_to_99"] for s in reached]) if reached else None,
            "seconds_to_99": median([s["seconds_to_99"] for s in reached]) if reached else None,
            "test_success": median([s["test"]["value"] for s in own]),
            "fit_s": median([s["fit_s"] for s in own]),
        }
        rows.append(
            [name, f"{len(reached)} of {len(own)}", *(str(figures[name][key]) for key in list(figures[name])[2:])]
        )
    show("until 99 % of 100 val roads", ["variant", "seeds", "steps", "seconds", "test success", "fit [s]"], rows)
    bench.finish(figures, samples)


if __name__ == "__main__":
    main()
