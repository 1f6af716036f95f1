"""What this machine offers drive-rl, measured and asked rather than assumed. It changes nothing.

Run as a program with a renderer's name it measures that one alone: a graphics driver can take its process down with
it, and must not take the doctor's.
"""

import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np

import drive_rl
from drive_rl.config.reader import load_world
from drive_rl.config.shelf import Shelf, entries, shelf_folders
from drive_rl.config.specs.base import Renderer
from drive_rl.errors import DriveRLError, PluginNeededError
from drive_rl.run.provenance import cpu_model, git_state, package_version, package_versions, usable_cores
from drive_rl.sim.envs.frame_stack import FrameStack
from drive_rl.sim.task.episode import draw_episode

_FRAMES = 10
_PROBE_S = 120
_IN_SOFTWARE = re.compile("llvmpipe|softpipe|swrast|swiftshader", re.IGNORECASE)
_PROBE_WORLD = "lane_follow"
_IN_PROCESS: dict[Renderer, str] = {
    "field": "software, on the CPU (numba)",
    "tiny": "software, on the CPU (Bullet's TinyRenderer)",
}
_EXTRAS = {
    "perception": ("captum", "imagecorruptions-imaug", "kornia", "mlcommons-loadgen", "onnx", "onnxruntime"),
    "contrib": ("sb3-contrib",),
    "timm": ("timm",),
    "cuda": ("numba-cuda",),
}
_UNUSED = ("scipy",)
"""Recorded in a run's provenance if installed; drive-rl does not need it."""


def examine() -> None:
    """Print the findings line by line, as the renderers take a while."""
    for topic, finding in _findings():
        print(f"{topic:<12} {finding}", flush=True)


def _findings() -> Iterator[tuple[str, str]]:
    probe = _start_probe("egl")  # takes the longest, and runs beside the others
    yield "drive-rl", f"{drive_rl.__version__}, {_source()}"
    yield "Python", f"{platform.python_version()} on {platform.platform()}"
    yield from _packages()
    yield "CPU", f"{cpu_model()}, {usable_cores()} cores usable"
    yield from _devices()
    for renderer, where in _IN_PROCESS.items():
        yield renderer, _measured(renderer, where)
    yield "egl", _probed(probe)
    for name in entries("envs"):
        yield "world", _world(name)
    yield "W&B", _wandb()
    yield "window", _window()
    shelves: tuple[Shelf, ...] = ("envs", "agents", "configs")
    for shelf in shelves:
        yield "shelf", f"{shelf}: {', '.join(map(str, shelf_folders(shelf))) or 'none'} ({len(entries(shelf))} entries)"


def _source() -> str:
    from pathlib import Path

    folder = Path(drive_rl.__file__).resolve().parent
    state = git_state(folder)
    if state is None:
        return f"in {folder}"
    return f"in {folder}, git {state['commit'][:10]}{' with changes' if state['dirty'] else ''}"


def _devices() -> Iterator[tuple[str, str]]:
    from drive_rl.run.process.device import choose_device, describe_device  # here, for the probe does without torch

    try:
        gpu = f"{describe_device(choose_device('cuda'))}, CUDA usable in torch, {_kernels()}"
    except DriveRLError as error:
        gpu = str(error).partition(": ")[2].partition("; fix")[0]
    yield "GPU", gpu
    yield "--device", f"auto would choose {describe_device(choose_device('auto'))}"


def _kernels() -> str:
    from numba import cuda  # here, for it takes a while to import

    return "and in numba" if cuda.is_available() else "not in numba (for the batch engine: drive-rl[cuda])"


def _packages() -> Iterator[tuple[str, str]]:
    """Yield installed packages by their metadata: importing them would take seconds."""
    versions = {name: version for name, version in package_versions().items() if name != "drive-rl"}
    extras = {name for names in _EXTRAS.values() for name in names}
    core = [name for name in versions if name not in extras and (versions[name] or name not in _UNUSED)]
    yield "packages", ", ".join(f"{name} {versions[name] or 'MISSING'}" for name in core)
    for extra, names in _EXTRAS.items():
        there = [f"{name} {found}" for name in names if (found := package_version(name)) is not None]
        absent = [name for name in names if package_version(name) is None]
        missing = f"{', '.join(absent)} not installed (pip install 'drive-rl[{extra}]')" if absent else ""
        yield f"[{extra}]", ", ".join(filter(None, [*there, missing]))


def _measured(renderer: Renderer, where: str) -> str:
    try:
        ms, size = measure(renderer)
    except DriveRLError as error:  # no PyBullet on this Python
        return f"not usable: {error}"
    return f"{where}, {ms:.2f} ms a frame of {size}"


def _start_probe(name: Renderer) -> subprocess.Popen[str]:
    """Measure a renderer in a process of its own."""
    command = [sys.executable, "-m", "drive_rl.report.doctor", name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")


def _probed(probe: subprocess.Popen[str]) -> str:
    """Return the device of a renderer and its speed, with the shipped world's camera."""
    try:
        stdout, stderr = probe.communicate(timeout=_PROBE_S)
    except subprocess.TimeoutExpired:
        probe.kill()
        probe.communicate()
        return f"not usable: no frame within {_PROBE_S} s"
    if probe.returncode < 0:
        return f"not usable: its process died of signal {-probe.returncode}"
    if probe.returncode:
        return f"not usable: {(stderr.strip().splitlines() or ['no reason given'])[-1]}"
    ms, size = json.loads(stdout.strip().splitlines()[-1])
    found = re.search(r"GL_RENDERER=(.+)", stdout)
    device = found[1].strip() if found else "a device it does not name"
    kind = "software" if _IN_SOFTWARE.search(device) else "hardware" if found else "unknown"
    return f"{kind}, on {device}, {ms:.2f} ms a frame of {size}"


def measure(name: Renderer) -> tuple[float, str]:
    """Return the milliseconds that a renderer takes for a frame, and the frame's size.

    Raises:
        DriveRLError: it does not start on this machine.
    """
    world = load_world(_PROBE_WORLD, [f"camera.renderer={name}"])
    episode = draw_episode(world, 0)
    stack = FrameStack(world)
    try:
        stack.start(episode, episode.start)
        times_s = []
        for _ in range(_FRAMES):
            begin = time.perf_counter()
            stack.append(episode.start)
            times_s.append(time.perf_counter() - begin)
        if stack.frames[-1].min() == stack.frames[-1].max():
            raise DriveRLError(f"{name}: the picture is blank; fix: another camera.renderer")
    finally:
        stack.close()
    camera = world.camera
    return 1000 * float(np.median(times_s)), f"{camera.width_px}x{camera.height_px} {camera.channels}"


def _world(name: str) -> str:
    try:
        return f"{name}: renderer {load_world(name).camera.renderer}"
    except PluginNeededError as error:
        return f"{name}: {error.needs}"
    except DriveRLError as error:
        return f"{name}: BROKEN: {error}"


def _wandb() -> str:
    from drive_rl.run.tracking.wandb_settings import (  # here, for wandb takes a second to import
        choose_mode,
        load_settings,
    )

    try:
        mode = choose_mode(load_settings())
    except DriveRLError as error:
        return f"BROKEN: {error}"
    if mode == "online":
        return "logged in: training would use mode online"
    if os.environ.get("WANDB_MODE"):
        return f"WANDB_MODE is set: training would use mode {mode}"
    return f"not logged in: training would use mode {mode}; fix: wandb login"


def _window() -> str:
    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return "a display is there: render_mode human can open a window"
    return "no display: films only (drive-rl render)"


def main(renderer: str) -> None:
    """Measure one renderer and print what was found as the last line."""
    try:
        print(json.dumps(measure(renderer)), flush=True)  # pyright: ignore[reportArgumentType]
    except DriveRLError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1])
