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
from numba import cuda

import drive_rl
from drive_rl.errors import DriveRLError
from drive_rl.reader import load_world
from drive_rl.run.device import choose_device, describe_device
from drive_rl.run.provenance import cpu_model, git_state, package_versions, usable_cores
from drive_rl.shelf import Shelf, entries, shelf_folders
from drive_rl.sim.episode import draw_episode
from drive_rl.sim.eye import Eye
from drive_rl.spec import Renderer

_FRAMES = 10
_PROBE_S = 120
_IN_SOFTWARE = re.compile("llvmpipe|softpipe|swrast|swiftshader", re.IGNORECASE)
_PROBE_WORLD = "lane_follow"


def examine() -> None:
    """Print what is found, line by line, for the renderers take a while."""
    for topic, finding in _findings():
        print(f"{topic:<12} {finding}", flush=True)


def _findings() -> Iterator[tuple[str, str]]:
    versions = package_versions()
    yield "drive-rl", f"{drive_rl.__version__}, {_source()}"
    yield "Python", f"{platform.python_version()} on {platform.platform()}"
    yield "packages", ", ".join(f"{name} {versions[name] or 'MISSING'}" for name in versions if name != "drive-rl")
    yield "CPU", f"{cpu_model()}, {usable_cores()} cores usable"
    yield "GPU", _gpu()
    yield "--device", f"auto would choose {describe_device(choose_device('auto'))}"
    for renderer in ("field", "tiny", "egl"):
        yield f"{renderer}", _renderer(renderer)
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


def _gpu() -> str:
    try:
        name = describe_device(choose_device("cuda"))
    except DriveRLError as error:
        return str(error).partition(": ")[2].partition("; mend")[0]
    kernels = "and in numba" if cuda.is_available() else "not in numba (for the batch engine: drive-rl[cuda])"
    return f"{name}, CUDA usable in torch, {kernels}"


def _renderer(name: Renderer) -> str:
    """Return where a renderer computes and how fast, on the shipped world's camera."""
    where = {"field": "software, on the CPU (numba)", "tiny": "software, on the CPU (Bullet's TinyRenderer)"}
    if name in where:
        ms, size = measure(name)
        return f"{where[name]}, {ms:.2f} ms a frame of {size}"
    try:
        done = subprocess.run(
            [sys.executable, "-m", "drive_rl.report.doctor", name],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROBE_S,
        )
    except subprocess.TimeoutExpired:
        return f"not usable: no frame within {_PROBE_S} s"
    if done.returncode < 0:
        return f"not usable: it ends its process by signal {-done.returncode}"
    if done.returncode:
        return f"not usable: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}"
    ms, size = json.loads(done.stdout.strip().splitlines()[-1])
    found = re.search(r"GL_RENDERER=(.+)", done.stdout)
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
    eye = Eye(world)
    try:
        eye.open(episode, episode.start)
        times_s = []
        for _ in range(_FRAMES):
            begin = time.perf_counter()
            eye.look(episode.start)
            times_s.append(time.perf_counter() - begin)
        if eye.frames[-1].min() == eye.frames[-1].max():
            raise DriveRLError(f"{name}: the picture is blank")
    finally:
        eye.close()
    camera = world.camera
    return 1000 * float(np.median(times_s)), f"{camera.width_px}x{camera.height_px} {camera.channels}"


def _world(name: str) -> str:
    try:
        return f"{name}: renderer {load_world(name).camera.renderer}"
    except DriveRLError as error:
        return f"{name}: BROKEN: {error}"


def _wandb() -> str:
    from drive_rl.run.wandb_settings import choose_mode, load_settings  # here, for wandb takes a second to import

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
