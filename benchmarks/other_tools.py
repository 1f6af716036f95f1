"""Claim: CleanRL's loop, rl-zoo3, TorchRL, RLlib and Tianshou, none of them changed, train on our ids.

Every tool gets a virtual environment in a temporary folder (about 2 GB, removed afterwards), this package, and its
recipe in `examples/` for a few hundred steps. It runs alone, not under `make bench`: most of its time is installation.
A tool whose torch would come with CUDA is not installed; where pip finds no CPU build,
`PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu` names one.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from record import ROOT, Bar, Bench, show


class Tool(NamedTuple):
    """What pip installs, and what Python runs in the root of this checkout; `{folder}` is a temporary one."""

    requirement: str
    command: str


ID = "drive_rl/LaneKeep-v1"
TORCH = next(line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith("torch=="))
"""Nothing else is pinned as we pin it: RLlib asks for an older Gymnasium, rl-zoo3 for an older python-dateutil."""
TOOLS = {
    "CleanRL": Tool("gymnasium", "examples/cleanrl_ppo.py --steps 512 --rollout 64"),
    "rl-zoo3": Tool(
        "rl_zoo3==2.9.2",
        f"-m rl_zoo3.train --algo ppo --env {ID} --gym-packages drive_rl --conf-file examples/rl_zoo_ppo.yml"
        " --n-timesteps 512 --eval-freq -1 --log-folder {folder}",
    ),
    "TorchRL": Tool("torchrl==0.14.1", "examples/torchrl_ppo.py --steps 512 --rollout 64"),
    "RLlib": Tool("ray[rllib]==2.60.0", "examples/rllib_ppo.py --steps 512 --rollout 64"),
    "Tianshou": Tool("tianshou==2.0.1", "examples/tianshou_dqn.py --steps 512"),
}
SHOWN = ("gymnasium", "torch", "stable_baselines3")


def try_tool(tool: Tool, folder: Path) -> dict[str, Any]:
    """Install a tool and this package into `folder`, and run its recipe."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    begin = time.perf_counter()
    wanted = ["--quiet", "--no-compile", "--only-binary", ":all:", "-e", str(ROOT), TORCH, tool.requirement]
    versions, failure = _install([str(python), "-m", "pip", "--disable-pip-version-check", "install", *wanted])
    row = {"requirement": tool.requirement, "versions": versions, "installed_s": time.perf_counter() - begin}
    if failure:
        return {**row, "failure": failure}
    begin = time.perf_counter()
    done = _run([str(python), *shlex.split(tool.command.format(folder=folder / "logs"))])
    found = re.findall(r"(?:return|ep_rew_mean)[\s|]+(-?[\d.]+|nan)", done.stdout)
    failure = "" if done.returncode == 0 and found else _last_line(done)
    return {**row, "run_s": time.perf_counter() - begin, "return": found[-1] if found else None, "failure": failure}


def _install(install: list[str]) -> tuple[dict[str, str], str]:
    """Return the versions that pip resolves, and why they are not installed, if they are not."""
    resolved = _run([*install, "--dry-run", "--report", "-"])
    if resolved.returncode:
        return {}, f"pip: {_last_line(resolved)}"
    packages = [item["metadata"] for item in json.loads(resolved.stdout)["install"]]
    versions = {package["name"].lower().replace("-", "_"): package["version"] for package in packages}
    if cuda := [name for name in versions if name.startswith(("nvidia", "triton"))]:
        return versions, f"pip would install {len(cuda)} packages for CUDA, such as {cuda[0]}"
    installed = _run(install)
    return versions, f"pip: {_last_line(installed)}" if installed.returncode else ""


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WANDB_MODE": "offline"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines[-1] if lines else f"exit code {done.returncode}"


def main() -> None:
    """Try the tools in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=TOOLS, default=list(TOOLS))
    bench = Bench("other_tools", parser)
    samples: dict[str, dict[str, Any]] = {}
    for name in bench.args.only:
        with tempfile.TemporaryDirectory(prefix="drive-rl-tools-") as folder:
            samples[name] = row = try_tool(TOOLS[name], Path(folder))
        print(f"{name}: {row['failure'] or 'works'}", flush=True)
    show(
        f"on {ID}, each in an environment of its own",
        ["tool", "asked for", "beside it", "works"],
        [
            (
                name,
                row["requirement"],
                ", ".join(f"{part} {row['versions'][part]}" for part in SHOWN if part in row["versions"]),
                row["failure"] or f"return {row['return']}",
            )
            for name, row in samples.items()
        ],
    )
    works = sum(not row["failure"] for row in samples.values())
    figures = {"works": works, "tools": len(samples)}
    bench.finish(figures, samples, [Bar("tools that train on our ids", works, least=len(samples))])


if __name__ == "__main__":
    main()
