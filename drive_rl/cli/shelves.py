"""The verbs around shelves, runs and the machine: list, show, doctor, track, export."""

from pathlib import Path
from typing import Annotated

import typer

from drive_rl.cli.completion import everything, experiment_changes, runs_here
from drive_rl.cli.options import (
    OldKind,
    Overwrite,
    PluginOption,
    Runs,
    TrackOption,
    Trust,
    again,
    check_out,
    named,
    path_of,
)

RunArg = Annotated[
    Path,
    typer.Argument(
        parser=path_of,
        metavar="RUN",
        help="A run folder, or a folder of runs (its newest).",
        autocompletion=runs_here,
    ),
]


def list_all(runs: Runs = Path("runs"), plugin: PluginOption = None, trust: Trust = False) -> None:
    """List worlds, drivers, experiments and runs.

    Perception recipes, too, and what plugins register. A run's line holds its last step, its best held-out result and
    its state; the newest run comes last.
    """
    from drive_rl.report.catalogue import print_catalogue

    print_catalogue(runs=runs)


def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A world, driver, experiment or perception recipe, a YAML file, or a run folder. Where several share"
            " the name: world:NAME, driver:NAME, experiment:NAME or perception:NAME.",
            callback=named,
            autocompletion=everything,
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Changes, as in `drive-rl train`.", autocompletion=experiment_changes),
    ] = None,
    plugin: PluginOption = None,
    trust: Trust = False,
    old_kind: OldKind = None,
) -> None:
    """Print a world, driver, experiment or run.

    Every value is explained. The output is YAML and can be used as a file.
    """
    from drive_rl.report.catalogue import explained

    typer.echo(explained(name, overrides or []))


def doctor() -> None:
    """Report what this machine offers.

    Versions, cores, GPU, renderers, W&B login, shelves.
    """
    from drive_rl.report.doctor import examine

    examine()


def track(
    run: RunArg,
    track: TrackOption = None,
    plugin: PluginOption = None,
    trust: Trust = False,
) -> None:
    """Record a run in W&B or TensorBoard.

    Sends metrics.csv, the film and the model: for a tracker that failed during training, or for another one.
    """
    from drive_rl.run.tracking.track import track as record

    typer.echo(f"recorded: {record(run, track, typer.echo).path}")


def export(
    run: RunArg,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The driver's name: it becomes agents/NAME/.")],
    overwrite: Overwrite = False,
    plugin: PluginOption = None,
    trust: Trust = False,
) -> None:
    """Put a run's best driver on the shelf.

    It becomes a folder of agents/, without pickles, and other verbs find it by its name.
    """
    from drive_rl.report.catalogue import new_driver_folder
    from drive_rl.run.folder import RunFolder

    folder, found = new_driver_folder(name), RunFolder.open(run)
    check_out(folder, overwrite, folder_too=True)
    from drive_rl.learn.checkpoint.export import export_driver

    export_driver(found, folder, overwrite)
    typer.echo(f"driver: {folder}\nnext: drive-rl eval {name} --split test{again(plugin)}")
