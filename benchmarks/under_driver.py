"""Claim: what a perception model is worth under a driver: steps and seconds until 99 % of 100 val roads are driven.

`lane-state` learns to tell the lane state from pictures; then `ppo-batch` learns from scratch, with its encoder
started from that model (fine-tuned, or frozen), or with the model as eyes; each with several seeds, on val roads while
learning and on test roads at the end. The seconds of the model itself are told apart.
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
    """Return what each way of using the model changes in the experiment."""
    start = f"agent.encoder.init_from={model}"
    return {
        "from scratch": [],
        "encoder fine-tuned": [start],
        "encoder frozen": [start, "agent.encoder.frozen=true"],
        "eyes": [f"agent.perception_model={model}", "agent.observation=camera+state", "agent.guidance=null"],
    }


def folder_of(said: str, here: Path) -> Path:
    found = re.search(r"^run: (.+)$", said, re.MULTILINE)
    assert found, said
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
            said, fit_s = run([*DRIVE_RL, *fit], here)
            for name, changes in variants(folder_of(said, here)).items():
                often = ["evaluation.every_steps=8000", "evaluation.episodes=100", *args.set]
                found = learn(args.experiment, [*often, *changes], seed, args.episodes, here)
                samples.append(
                    {"seed": seed, "start": name, "fit_s": 0.0 if name == "from scratch" else fit_s, **found}
                )
                print(samples[-1], flush=True)
    figures, rows = {}, []
    for name in variants(Path()):
        own = [sample for sample in samples if sample["start"] == name]
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
    show("until 99 % of 100 val roads", ["start", "seeds", "steps", "seconds", "test success", "fit [s]"], rows)
    bench.finish(figures, samples)


if __name__ == "__main__":
    main()
