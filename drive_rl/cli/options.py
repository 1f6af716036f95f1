"""What several verbs share: options, and checks of what they are given. It knows no verb."""

import os
import re
import shlex
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal, TextIO

import typer
from typer.models import OptionInfo

from drive_rl.cli.completion import runs_here, world_changes
from drive_rl.cli.names import LearningVerb, check_recipe
from drive_rl.config.extensions import load_file, registered, trust_specs
from drive_rl.config.kinds import SHELF
from drive_rl.config.shelf import home
from drive_rl.config.specs.base import Track
from drive_rl.errors import DriveRLError
from drive_rl.run.process.streams import printing_to_stderr
from drive_rl.run.storage.atomic import check_writable


def path_of(text: str | Path) -> Path:
    """Return the path that an option names; `~` is the home folder, where the shell has not replaced it.

    Raises:
        BadParameter: it is empty.
    """
    if not str(text).strip():
        raise typer.BadParameter("is empty; expected a path")
    return home(text)


def named(text: str) -> str:
    """Return the name that an argument gives.

    Raises:
        BadParameter: it is empty.
    """
    if not text.strip():
        raise typer.BadParameter("is empty; expected a name")
    return text


def replaced(old: str, new: str) -> Callable[[str | None], None]:
    """Return a callback that refuses an old flag and names what replaces it; `{}` stands for the flag's value."""

    def refuse(value: str | None) -> None:
        if value is not None:
            raise DriveRLError(f"command line: `{old}` is now `{new.format(value)}`; fix: write {new.format(value)}")

    return refuse


def _refuse_kind(value: str | None) -> None:
    """Refuse `--kind`, with the kind's name now."""
    if value is not None:
        kind = {"agent": "driver", "env": "world", "config": "experiment"}.get(value, value)
        kinds = [kind] if kind in SHELF else list(SHELF)
        fix = " or ".join(f"{each}:NAME" for each in kinds)
        raise DriveRLError(f"command line: `--kind` is gone; fix: write {fix}")


def _load_plugins(files: list[Path] | None) -> list[Path] | None:
    """Run the plugins that the command line names, before the verb reads any spec."""
    with printing_to_stderr():  # what a plugin prints is no part of a verb's output, such as JSON
        for file in files or []:
            load_file(file)
    _refuse_taken_metrics()
    return files


def _refuse_taken_metrics() -> None:
    """Refuse metrics by names of our own, in every verb: importing a room, which is heavy, reserves its names."""
    measured = {extension.about.of for extension in registered("metric", installed=False).values()}
    if measured:
        import_module("drive_rl.drivers.plugin_metrics")
    if measured - {"episodes"}:
        import_module("drive_rl.benchmark.metrics")


def again(files: list[Path] | None) -> str:
    """Return the words that a printed command needs to name the same plugins."""
    return "".join(f" --plugin {shlex.quote(str(file))}" for file in files or [])


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
        "--trust",
        help="Run code of others: plugins and models that a file names, and what a driver's zip holds.",
        callback=_trust,
    ),
]
MODEL_HELP = "A perception run, a folder of runs (its newest), a checkpoint in a run, or a model on the shelf."
ANY_MODEL_HELP = f"{MODEL_HELP} Or another's: a YAML file."
Device = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where the network runs; auto prints its choice.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what exists.")]
Fair = Annotated[
    bool,
    typer.Option(
        "--fair",
        help="Privileged drivers know only others and signals that the camera showed in the last second.",
    ),
]
SplitOption = Annotated[Literal["val", "test", "train"], typer.Option(help="Split of the roads; never tune on test.")]
OldWorld = Annotated[str | None, typer.Option("--world", hidden=True, callback=replaced("--world", "world={}"))]
OldEngine = Annotated[str | None, typer.Option("--engine", hidden=True, callback=replaced("--engine", "engine={}"))]
OldKind = Annotated[str | None, typer.Option("--kind", hidden=True, callback=_refuse_kind)]
OldFloor = Annotated[str | None, typer.Option("--floor", hidden=True, callback=replaced("--floor", "--require '{}'"))]
OldFrames = Annotated[str | None, typer.Option("--frames", hidden=True, callback=replaced("--frames", "--samples {}"))]
WorldChanges = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="world.KEY=VALUE",
        help="Changes to the world; world=NAME first, for another one.",
        show_default=False,
        autocompletion=world_changes,
    ),
]


def resume_option(changes: str, what: str = "RUN") -> OptionInfo:
    """Return the option that resumes a stopped run; `changes` says what may change meanwhile."""
    return typer.Option(
        parser=path_of, metavar=what, help=f"Resume a stopped run; only {changes}.", autocompletion=runs_here
    )


SeedOption = Annotated[int | None, typer.Option(help="Seed, instead of the file's.", show_default=False)]
TrackOption = Annotated[Track | None, typer.Option(help="Tracker, beside metrics.csv.", show_default=False)]
Runs = Annotated[Path, typer.Option(parser=path_of, metavar="DIR", help="Folder of the run folders.")]


def check_out(out: Path | None, overwrite: bool, folder_too: bool = False) -> None:
    """Refuse an output that exists, or whose folder does not or takes no file, before any work is done.

    Raises:
        DriveRLError: with the fix.
    """
    if out is None:
        return
    if out.exists() and not overwrite:
        raise DriveRLError(f"{out}: exists already; fix: --overwrite to replace it, or another name")
    if out.is_dir() and not folder_too:
        raise DriveRLError(f"{out}: is a folder; expected a file; fix: another name")
    if not out.absolute().parent.is_dir() and not folder_too:
        raise DriveRLError(f"{out}: {out.parent} is not a folder; fix: create it first, or write elsewhere")
    check_writable(out.parent)


def own_stdout() -> TextIO:
    """Return standard output for our use only: what libraries print there goes to stderr from now on."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return own


def changes_of(
    verb: LearningVerb,
    name: str | None,
    such_as: str,
    overrides: list[str] | None,
    resume: Path | None,
    seed: int | None,
    track: Track | None,
) -> list[str]:
    """Return all changes that a learning verb is given.

    Raises:
        DriveRLError: neither a recipe nor a run to resume is named, or no recipe has that name.
    """
    if resume is None and (name is None or "=" in name):
        raise DriveRLError(
            f"{verb}: give a name before any KEY=VALUE; fix: drive-rl {verb} {such_as} (`drive-rl list` names the"
            " others), or --resume RUN"
        )
    if resume is None:
        check_recipe(verb, str(name))
    changes = [*([name] if resume and name else []), *(overrides or [])]
    return changes + [f"{key}={value}" for key, value in (("seed", seed), ("track", track)) if value is not None]


def longer(verb: str, key: str, changes: list[str]) -> int | None:
    """Return the new length (`key=NUMBER`) of a resumed run, if any.

    Raises:
        DriveRLError: anything else is changed.
    """
    other = [change for change in changes if not re.fullmatch(rf"{re.escape(key)}=[0-9][0-9_]{{0,30}}", change)]
    if other:
        raise DriveRLError(
            f"{verb} --resume: {other[0]!r}: only {key} can change when a run is resumed; fix: leave it out, or"
            f" give {key}=NUMBER"
        )
    return int(changes[-1].partition("=")[2].replace("_", "")) if changes else None
