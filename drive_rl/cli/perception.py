"""The command line's verbs of perception: data, fit, look, and the benchmark. As `cli.py`, it knows verbs alone."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from drive_rl.cli.completion import models_and_runs, recipes, runs_here, world_changes, worlds
from drive_rl.cli.options import (
    Device,
    Overwrite,
    PluginOption,
    Runs,
    SeedOption,
    SplitOption,
    TrackOption,
    Trust,
    changes_of,
    check_out,
    longer,
    named,
    path_of,
)
from drive_rl.errors import DriveRLError

perception = typer.Typer(
    help="Models that see the road: fit them, look inside them.", no_args_is_help=True, rich_markup_mode=None
)
data = typer.Typer(help="Labelled pictures of the road.", no_args_is_help=True, rich_markup_mode=None)
bench = typer.Typer(help="Compare what was trained.", no_args_is_help=True, rich_markup_mode=None)

_MODEL = "A perception run, a folder of runs (its newest), a checkpoint in a run, or a model on the shelf."


@data.callback()
def _data() -> None:
    """Keep `make` a verb of its own."""


@bench.callback()
def _bench() -> None:
    """Keep `perception` a verb of its own."""


@perception.command()
def fit(
    recipe: Annotated[
        str | None,
        typer.Argument(metavar="RECIPE", help="A name from `drive-rl list`, or a YAML file.", autocompletion=recipes),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Changes: world=NAME first, then such as fit.learning_rate=1e-3 model.encoder.kind=nature.",
            autocompletion=world_changes,
        ),
    ] = None,
    seed: SeedOption = None,
    device: Device = "auto",
    track: TrackOption = None,
    runs: Runs = Path("runs"),
    resume: Annotated[
        Path | None,
        typer.Option(
            parser=path_of,
            metavar="RUN",
            help="Resume a stopped run; only fit.samples=... may be changed.",
            autocompletion=runs_here,
        ),
    ] = None,
    plugin: PluginOption = None,
    trust: Trust = False,
) -> None:
    """Teach a model to see, or resume a stopped run.

    Ctrl-C saves everything and prints the command that resumes it.
    """
    changes = changes_of("perception fit", recipe, "unet", overrides, resume, seed, track)
    from drive_rl.config.reader import load_perception

    spec = load_perception(str(recipe), changes) if resume is None else None
    frames = longer("perception fit", "fit.samples", changes) if resume is not None else None
    from drive_rl.perception.training.trainer import fit as teach
    from drive_rl.report.fit_progress import FitDisplay
    from drive_rl.run.process.signals import TrainingInterrupted

    try:
        with FitDisplay() as display:
            run = teach(spec, runs, display, display.echo, device, resume, sys.argv, frames)
    except TrainingInterrupted as stopped:
        typer.echo(str(stopped), err=True)
        raise typer.Exit(stopped.exit_code) from None
    typer.echo(f"run: {run.path}\nnext: drive-rl perception look {run.path} --out look.png")
    typer.echo(f"      drive-rl bench perception {run.path}")


@perception.command()
def look(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=_MODEL, callback=named, autocompletion=models_and_runs)],
    split: SplitOption = "test",
    frames: Annotated[int, typer.Option(min=1, max=1000, help="Pictures looked at.")] = 8,
    scalar: Annotated[
        Literal["offset", "heading", "ego_lane"], typer.Option(help="The output whose reasons are asked for.")
    ] = "offset",
    out: Annotated[
        Path, typer.Option(parser=path_of, metavar="FILE", help="A .png of stills, or a film: .mp4 or .gif.")
    ] = Path("look.png"),
    overwrite: Overwrite = False,
    plugin: PluginOption = None,
    trust: Trust = False,
) -> None:
    """Show where a model looks, and how much of that is on the lane's markings.

    Integrated gradients, Grad-CAM and VisualBackProp, over stills or along a road.
    """
    check_out(out, overwrite)
    from drive_rl.perception.models.load import load_trained
    from drive_rl.report.film.saliency import look as show

    for method, share in show(load_trained(model), split, frames, scalar, out, overwrite).items():
        typer.echo(
            f"{method}: {share.saliency:.1%} of the saliency lies on lane markings, {share.pixels:.1%} of the pixels do"
            f" (lift {share.lift:.2f})"
        )
    typer.echo(f"written: {out}")


@data.command("make")
def make(
    world: Annotated[
        str,
        typer.Argument(metavar="WORLD", help="A world from `drive-rl list`, or a YAML file.", autocompletion=worlds),
    ],
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="world.KEY=VALUE", help="Changes to the world.", show_default=False),
    ] = None,
    split: SplitOption = "train",
    frames: Annotated[int, typer.Option(min=1, max=10_000_000, help="Pictures.")] = 1000,
    weather: Annotated[bool, typer.Option("--weather", help="Fog, dusk and rain beside clear weather.")] = False,
    out: Annotated[Path, typer.Option(parser=path_of, metavar="DIR", help="The folder to write.")] = Path("data"),
    overwrite: Overwrite = False,
    plugin: PluginOption = None,
    trust: Trust = False,
) -> None:
    """Write labelled pictures of a world's roads.

    PNG pictures and masks, TuSimple lanes, COCO boxes, states, and a manifest with seeds and hashes.
    """
    check_out(out, overwrite)
    from drive_rl.config.perception_spec import DataSpec
    from drive_rl.config.reader import load_part
    from drive_rl.perception.data.writer import write_data
    from drive_rl.report.progress import counted

    spec = load_part("world", world, changes or [])
    with counted("data", frames) as progress:
        write_data(spec, DataSpec(weather=weather), split, frames, out, overwrite, progress)
    typer.echo(f"data: {out}\nnext: drive-rl perception fit RECIPE data.folder={out}")


@bench.command("perception")
def bench_perception(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help=_MODEL, autocompletion=models_and_runs)],
    split: Annotated[Literal["test", "val"], typer.Option(help="Which roads; never tune on test.")] = "test",
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", parser=path_of, metavar="DIR", help="Use these labelled pictures instead of the split's."
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(parser=path_of, metavar="DIR", help="Where results and the page go; what is there is kept.")
    ] = Path("perception-bench"),
    reduced: Annotated[bool, typer.Option("--reduced", help="A first look: minutes, wide intervals.")] = False,
    floor: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC>=N", help="What every model must reach, or exit with 1; may be given again."),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what is done already.")] = False,
    plugin: PluginOption = None,
    trust: Trust = False,
) -> None:
    """Judge models by what they see, how fast, how robustly, and how a car drives on it.

    Writes results.json, results.csv and index.html. A model or part that fails leaves its reason; the same command
    goes on where it stopped.
    """
    from drive_rl.benchmark.closed_loop import drive_model
    from drive_rl.benchmark.metrics import parse_floor
    from drive_rl.benchmark.runner import run_benchmark
    from drive_rl.benchmark.settings import BenchSetting
    from drive_rl.benchmark.settings import reduced as less
    from drive_rl.benchmark.table import benchmark_progress, print_benchmark

    floors = [parse_floor(text) for text in floor or []]
    setting = BenchSetting(split=split)
    with benchmark_progress() as progress:
        results = run_benchmark(
            models, out, less(setting) if reduced else setting, drive_model, data, floors, progress, resume=not fresh
        )
    print_benchmark(results)
    typer.echo(f"page: {out / 'index.html'}")
    if results["missed_floors"]:
        raise typer.Exit(1)
    if all("model" in row["errors"] for row in results["models"]):
        raise DriveRLError("no model could be loaded; fix: see the reasons above")
