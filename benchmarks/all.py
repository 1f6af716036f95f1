"""Run every benchmark in turn, then list which figures reach their bars: `make bench`."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from peers import peers_python
from record import QUICK, RESULTS, Bar

LEARN_QUICK = "--seeds 0 --episodes 4 --split val --set evaluation.episodes=4 evaluation.every_steps=2048 budget_steps="

STOCK_QUICK = "--seeds 0 --episodes 4 --split val --steps 4096"

RUNS = {  # result -> the full command, and what --quick adds to it
    "env_speed": ("env_speed.py", "--rounds 2 --seconds 0.5 --roads 3"),
    "render_speed": ("render_speed.py", "--rounds 2 --seconds 0.2 --poses 32"),
    "batch_speed": ("batch_speed.py", "--rounds 2 --seconds 0.3 --cars 1 8"),
    "ppo_bound": ("ppo_bound.py", "--rounds 2 --updates 1"),
    "replay_memory": ("replay_memory.py", "--frames 6400 --pairs 3200 --compared 3200 --rounds 2"),
    "soak": ("soak.py", "--steps 8000 --warm-up 4000 --every 1000"),
    "soak-batch": ("soak.py --engine batch", "--steps 16000 --warm-up 4000 --every 1000"),
    "soak-worlds": (
        "soak_worlds.py",
        "--episodes 200 --warm-up 100 --only parked_cars/bullet/field parked_cars/batch/field",
    ),
    "ground": ("ground.py", "--rounds 3 --poses 32 --compared 4"),
    "traffic": ("traffic.py", "--steps 2000 --actors 8"),
    "streets": ("streets.py", "--blocks 1 --block-s 0.2"),
    "town": ("town.py", "--km 1"),
    "scenarios": ("scenarios.py", "--drivers reference --split val --episodes 1"),
    "camera_driver": (
        "camera_driver.py",
        "--seeds 0 --split val --episodes 1 --set budget_steps=2160 agent.num_envs=90 agent.samples=2048"
        " evaluation.episodes=4",
    ),
    "fuzz": ("fuzz.py", "--tries 60 --seconds 120"),
    "learn-ppo-lane-follow": ("learn.py --experiment ppo-lane-follow", f"{LEARN_QUICK}4096"),
    "learn-dqn-lane-follow": ("learn.py --experiment dqn-lane-follow", f"{LEARN_QUICK}2048"),
    "learn-ppo-batch": ("learn.py --experiment ppo-batch", f"{LEARN_QUICK}4096"),
    "learn-dagger": ("learn.py --experiment dagger", f"{LEARN_QUICK}4096"),
    "learn-bc": ("learn.py --experiment bc", f"{LEARN_QUICK}4096"),
    "learn-asymmetric": ("learn.py --experiment asymmetric", f"{LEARN_QUICK}4096"),
    "learn-pixels": ("learn.py --experiment pixels", f"{LEARN_QUICK}4096"),
    "stock-lane_keep": ("stock.py --world lane_keep", STOCK_QUICK),
    "stock-lane_follow_plain": ("stock.py --world lane_follow_plain", STOCK_QUICK),
    "stock-lane_follow": ("stock.py --world lane_follow", STOCK_QUICK),
    "stock-lane_follow_hard": ("stock.py --world lane_follow_hard", STOCK_QUICK),
    "stock-parked_cars": ("stock.py --world parked_cars", STOCK_QUICK),
    "see": (
        "see.py",
        "--seeds 0 --samples 40 --split val --seconds 1"
        " --set fit.samples=320 fit.head_finetune_samples=64 fit.val_samples=16",
    ),
    "under_driver": (
        "under_driver.py",
        "--seeds 0 --episodes 4 --set budget_steps=1024 evaluation.episodes=4 --fit fit.samples=640 fit.val_samples=16",
    ),
    "label_efficiency": (
        "label_efficiency.py",
        "--seeds 0 --shares 0.01 --samples 640 --unlabelled 640 --test-samples 40",
    ),
    "kills": ("kills.py", "--kills 6"),
    "power_loss": ("power_loss.py", "--losses 5"),
    "save_cost": ("save_cost.py", "--experiments ppo-batch --set budget_steps=4096 evaluation.episodes=4"),
    "make_drive": ("make_drive.py", "--runs 1 --episodes 8 --budget-steps 4096"),
}


def main() -> None:
    """Run them; the exit code is 1 if one of them failed to run, whatever it measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny settings, to results/quick/: try the scripts")
    parser.add_argument("--only", nargs="+", choices=RUNS, default=list(RUNS), help="some of them")
    args = parser.parse_args()
    here, failed = Path(__file__).parent, []
    for name in args.only:
        full, quick = RUNS[name]
        command = [*full.split(), *(quick.split() if args.quick else [])]
        print(f"\n--- {' '.join(command)}", flush=True)
        if subprocess.run([sys.executable, here / command[0], *command[1:]], check=False).returncode:
            failed.append(name)
    if not args.quick and "batch_speed" in args.only:
        subprocess.run([peers_python(), here / "plot.py"], check=True)
    print("\n--- bars" + (" (tiny settings: the figures mean nothing)" if args.quick else ""))
    for name in args.only:
        print(f"FAILED  {name}" if name in failed else _bars((QUICK if args.quick else RESULTS) / f"{name}.json"))
    sys.exit(bool(failed))


def _bars(path: Path) -> str:
    bars = json.loads(path.read_text(encoding="utf-8"))["bars"]
    return "\n".join(str(Bar(**{key: value for key, value in bar.items() if key != "met"})) for bar in bars)


if __name__ == "__main__":
    main()
