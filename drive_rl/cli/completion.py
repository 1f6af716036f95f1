"""Shell completion: names on the shelves, and runs under `runs/`. It reads file names only, to be quick."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import typer

from drive_rl.config.shelf import Shelf, entries, named
from drive_rl.config.specs.base import Engine
from drive_rl.errors import DriveRLError
from drive_rl.run.folder import runs_in

_RUNS = Path("runs")

_READY = ("reference", "expert")
"""Drivers that do not learn."""


def worlds(incomplete: str) -> list[str]:
    """Complete a world."""
    return _begun(_names("envs"), incomplete)


def suites(incomplete: str) -> list[str]:
    """Complete a suite."""
    return _begun(_names("configs/suites"), incomplete)


def experiments(incomplete: str) -> list[str]:
    """Complete an experiment."""
    return _begun(_names("configs"), incomplete)


def recipes(incomplete: str) -> list[str]:
    """Complete a perception recipe."""
    return _begun(_names("configs/perception"), incomplete)


def runs_here(incomplete: str) -> list[str]:
    """Complete a folder of runs, and below it a run."""
    return _begun(_runs(), incomplete)


def drivers_and_runs(incomplete: str) -> list[str]:
    """Complete what can drive: a driver that does not learn, a trained driver or perception model, or a run."""
    return _begun([*_READY, *_trained(), *_runs()], incomplete)


def models_and_runs(incomplete: str) -> list[str]:
    """Complete a perception model or a run."""
    return _begun(
        [*(name for name, algorithm in _trained().items() if algorithm == "perception"), *_runs()], incomplete
    )


def everything(incomplete: str) -> list[str]:
    """Complete anything that `show` prints."""
    shelves: tuple[Shelf, ...] = ("envs", "agents", "configs", "configs/perception")
    return _begun([*(name for shelf in shelves for name in _names(shelf)), *_runs()], incomplete)


def experiment_changes(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete another part of an experiment: `world=`, `agent=`, `engine=`."""
    return _changes(ctx, incomplete, {"world": _names("envs"), "agent": _agents(), "engine": get_args(Engine)})


def drive_changes(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete another world or engine to drive with."""
    return _changes(ctx, incomplete, {"world": _names("envs"), "engine": get_args(Engine)})


def world_changes(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete another world."""
    return _changes(ctx, incomplete, {"world": _names("envs")})


def _changes(ctx: typer.Context, incomplete: str, values: dict[str, Iterable[str]]) -> list[str]:
    """Complete KEY=VALUE: one word in zsh and fish; Bash splits it at "=" and completes the last part only."""
    typed = [word for word in ctx.params.values() if isinstance(word, list | tuple)]
    before = [str(word) for words in typed for word in words]
    if not incomplete and before[-1:] and before[-1] in values:  # Typer reads a lone "=" as nothing
        return list(values[before[-1]])
    if before[-1:] == ["="] and before[-2:-1] and before[-2] in values:
        return _begun(values[before[-2]], incomplete)
    return _begun([f"{key}={value}" for key, known in values.items() for value in known], incomplete)


def _begun(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]


def _names(shelf: Shelf) -> list[str]:
    try:
        return list(named(shelf))
    except DriveRLError:  # a wrong DRIVE_RL_PATH; the verb reports it
        return []


def _agents() -> list[str]:
    return [name for name in _names("agents") if name not in _trained() and name not in _READY]


def _trained() -> dict[str, str]:
    """Return the trained drivers and models on the shelf, name -> algorithm."""
    if not _names("agents"):
        return {}
    return {name: _algorithm(path) for name, path in entries("agents").items() if path.is_dir()}


def _algorithm(folder: Path) -> str:
    try:
        return str(json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["algorithm"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # damaged; the verb reports it
        return ""


def _runs() -> list[str]:
    try:
        groups = [folder for folder in sorted(_RUNS.iterdir()) if runs_in(folder)] if _RUNS.is_dir() else []
        return [*map(str, groups), *(str(run) for group in groups for run in runs_in(group))]
    except OSError:
        return []
