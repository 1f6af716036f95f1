"""What the verbs of several modules share: their options, and checks of what they are given. Knows no verb."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, TextIO

import typer

from drive_rl.cli.completion import world_changes
from drive_rl.config.extensions import load_file, trust_specs
from drive_rl.config.shelf import home
from drive_rl.config.spec import Track
from drive_rl.errors import DriveRLError


def path_of(text: str | Path) -> Path:
    """Return the path that an option names; `~` is the home folder here too, where the shell has left it.

    Raises:
        BadParameter: it is empty.
    """
    if not str(text).strip():
        raise typer.BadParameter("is empty, a path was expected")
    return home(text)


def named(text: str) -> str:
    """Return the name that an argument gives.

    Raises:
        BadParameter: it is empty.
    """
    if not text.strip():
        raise typer.BadParameter("is empty, a name was expected")
    return text


def _now(old: str, new: str) -> Callable[[str | None], None]:
    """Return a callback that refuses an old flag and names the new spelling, where `{}` stands for its value."""

    def refuse(value: str | None) -> None:
        if value is not None:
            raise DriveRLError(f"command line: {old} is no option any more; fix: write {new.format(value)}")

    return refuse


def _load_plugins(files: list[Path] | None) -> list[Path] | None:
    """Run the plugins that the command line names, before the verb reads any spec."""
    for file in files or []:
        load_file(file)
    return files


def _trust(trusts: bool) -> bool:
    if trusts:
        trust_specs()
    return trusts


PluginOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        parser=path_of,
        metavar="FILE.py",
        help="Run a plugin first, Python that registers encoders, reward terms and more; may be given again.",
        show_default=False,
        is_eager=True,
        callback=_load_plugins,
    ),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust", help="Run code of others: the plugins a spec names, and what a driver's zip holds.", callback=_trust
    ),
]
MODEL_HELP = "A perception run, a folder of runs (its newest), a checkpoint in a run, or a model on the shelf."
Device = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where the network runs; auto says its choice.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what exists.")]
SplitOption = Annotated[Literal["val", "test", "train"], typer.Option(help="Which roads; never tune on test.")]
OldWorld = Annotated[str | None, typer.Option("--world", hidden=True, callback=_now("--world", "world={}"))]
OldEngine = Annotated[str | None, typer.Option("--engine", hidden=True, callback=_now("--engine", "engine={}"))]
OldFloor = Annotated[str | None, typer.Option("--floor", hidden=True, callback=_now("--floor", "--require '{}'"))]
OldKind = Annotated[str | None, typer.Option("--kind", hidden=True, callback=_now("--kind", "{}:NAME"))]
OldFrames = Annotated[str | None, typer.Option("--frames", hidden=True, callback=_now("--frames", "--samples {}"))]
WorldChanges = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="world.KEY=VALUE",
        help="Changes to the world; first, world=NAME for another one.",
        show_default=False,
        autocompletion=world_changes,
    ),
]
SeedOption = Annotated[int | None, typer.Option(help="Another seed than the file's.", show_default=False)]
TrackOption = Annotated[Track | None, typer.Option(help="Where numbers go beside metrics.csv.", show_default=False)]
Runs = Annotated[Path, typer.Option(parser=path_of, metavar="DIR", help="Where run folders are made.")]


def check_out(out: Path | None, overwrite: bool, folder_too: bool = False) -> None:
    """Refuse an output that exists, or that has no folder to lie in, before any work is done."""
    if out is None:
        return
    if out.exists() and not overwrite:
        raise DriveRLError(f"{out}: exists already; fix: --overwrite to replace it, or another name")
    if not out.absolute().parent.is_dir() and not folder_too:
        raise DriveRLError(f"{out}: {out.parent} is not a folder; fix: make it first, or write elsewhere")


def own_stdout() -> TextIO:
    """Return standard output for us alone: what libraries print there goes to stderr from now on."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return own


def changes_of(
    verb: str,
    name: str | None,
    such_as: str,
    overrides: list[str] | None,
    resume: Path | None,
    seed: int | None,
    track: Track | None,
) -> list[str]:
    """Return all changes that a learning verb is given; refuse one that names neither a spec nor a run to resume."""
    if resume is None and (name is None or "=" in name):
        raise DriveRLError(
            f"{verb}: give a name before any KEY=VALUE; fix: drive-rl {verb} {such_as} (`drive-rl list` names the"
            " others), or --resume RUN to go on with a run"
        )
    changes = [*([name] if resume and name else []), *(overrides or [])]
    return changes + [f"{key}={value}" for key, value in (("seed", seed), ("track", track)) if value is not None]


def longer(verb: str, key: str, changes: list[str]) -> int | None:
    """Return the length asked for when resuming, under `key`; nothing else may change."""
    other = [change for change in changes if not re.fullmatch(rf"{re.escape(key)}=[0-9][0-9_]{{0,30}}", change)]
    if other:
        raise DriveRLError(
            f"{verb} --resume: {other[0]!r}: a run goes on as it began, but for its length; fix: leave it out, or give"
            f" {key}=NUMBER"
        )
    return int(changes[-1].partition("=")[2].replace("_", "")) if changes else None
