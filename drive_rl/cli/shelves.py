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
from drive_rl.config.shelf import home
from drive_rl.errors import DriveRLError

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
            " the name: world:NAME, driver:NAME, experiment:NAME or perception:NAME. `map NAME` draws a map of streets:"
            " town, roundabouts, motorway, country, a YAML file with a `map:` section or of a world, or a Lanelet2"
            " (.osm) or OpenDRIVE file (.xodr).",
            callback=named,
            autocompletion=everything,
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Changes, as in `drive-rl train`.", autocompletion=experiment_changes),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of a map (default: 0).", show_default=False)] = None,
    out: Annotated[
        Path | None,
        typer.Option(parser=path_of, metavar="FILE", help="Picture of a map: .png or .svg (default: NAME-SEED.png)."),
    ] = None,
    overwrite: Overwrite = False,
    plugin: PluginOption = None,
    trust: Trust = False,
    old_kind: OldKind = None,
) -> None:
    """Print a world, driver, experiment or run, or draw a map.

    Every value is explained. The output is YAML and can be used as a file.
    """
    if name == "map":
        _show_map(overrides or [], seed, out, overwrite)
        return
    if seed is not None or out is not None or overwrite:
        raise DriveRLError(
            "show: --seed, --out and --overwrite are for maps; fix: drive-rl show map town, or leave them out"
        )
    from drive_rl.report.catalogue import explained

    typer.echo(explained(name, overrides or []))


def _show_map(words: list[str], seed: int | None, out: Path | None, overwrite: bool) -> None:
    """Draw the map that the first word names, with the other words as changes."""
    if not words or "=" in words[0]:
        raise DriveRLError("show map: give a map before any KEY=VALUE; fix: such as drive-rl show map town")
    from drive_rl.config.map_reader import load_map
    from drive_rl.config.specs.streets.map import FileMapSpec, file_map
    from drive_rl.report.street_map.picture import check_kind, save_picture
    from drive_rl.report.street_map.summary import summary
    from drive_rl.sim.map.streets.generate import map_of_seed

    name, file = words[0], home(words[0])
    own = file_map(file)
    spec = own or load_map(name, words[1:])
    is_one = isinstance(spec, FileMapSpec)
    if own and (len(words) > 1 or seed is not None):
        raise DriveRLError(f"show map: {name} is a file: no seed and no KEY=VALUE changes it; fix: leave them out")
    if is_one and seed is not None:
        raise DriveRLError(f"show map: {name}: its map is a file, {spec.path}: no seed changes it; fix: leave it out")
    out = out or Path(f"{file.stem}.png" if is_one else f"{file.stem}-{seed or 0}.png")
    check_kind(out)
    check_out(out, overwrite)
    streets = map_of_seed(spec, seed or 0)
    save_picture(streets, out)
    typer.echo(f"{summary(streets)}\npicture: {out}")


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
