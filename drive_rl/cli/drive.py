"""The verbs that drive: train, eval, render. They check names and changes before they import anything heavy."""

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from drive_rl.cli.completion import drive_changes, drivers_and_runs, experiment_changes, experiments
from drive_rl.cli.names import check_changes, check_driver, choose_engine, fair_changes, load_with_names
from drive_rl.cli.options import (
    Device,
    Fair,
    OldEngine,
    OldWorld,
    Overwrite,
    PluginOption,
    Runs,
    SeedOption,
    SplitOption,
    TrackOption,
    Trust,
    WorldChanges,
    again,
    changes_of,
    check_out,
    longer,
    named,
    own_stdout,
    path_of,
    resume_option,
)
from drive_rl.cli.seeds import train_seeds
from drive_rl.errors import DriveRLError
from drive_rl.scale.seed_group import is_group

_RUN_OR_DRIVER = "A run folder, a folder of runs (its newest), a checkpoint in a run, or a driver on the shelf."

DriverArg = Annotated[
    str,
    typer.Argument(metavar="RUN|DRIVER", help=_RUN_OR_DRIVER, callback=named, autocompletion=drivers_and_runs),
]


def train(
    experiment: Annotated[
        str | None,
        typer.Argument(
            metavar="EXPERIMENT", help="A name from `drive-rl list`, or a YAML file.", autocompletion=experiments
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Changes: world=NAME or agent=NAME first, then single values: agent.learning_rate=3e-4"
            " budget_steps=50000.",
            autocompletion=experiment_changes,
        ),
    ] = None,
    seed: SeedOption = None,
    seeds: Annotated[
        int | None,
        typer.Option(help="Train so many seeds, from the seed on, as many at once as cores allow.", show_default=False),
    ] = None,
    device: Device = "auto",
    track: TrackOption = None,
    runs: Runs = Path("runs"),
    resume: Annotated[Path | None, resume_option("budget_steps=... and --film may change", "RUN|SEEDS")] = None,
    film: Annotated[
        bool | None,
        typer.Option("--film/--no-film", help="Film one held-out road at the end, or not.", show_default=False),
    ] = None,
    plugin: PluginOption = None,
    trust: Trust = False,
    old_world: OldWorld = None,
    old_engine: OldEngine = None,
) -> None:
    """Train a driver, or resume a stopped run.

    Ctrl-C saves everything and prints the command that resumes the run. With --seeds, each seed is a run of its own,
    and a folder beside them holds their interquartile mean, its interval and the learning curves.
    """
    changes = changes_of("train", experiment, "quickstart", overrides, resume, seed, track)
    filming = [] if film is None else [f"film={str(film).lower()}"]
    if seeds is not None or (resume is not None and is_group(resume)):
        plugins = [word for file in plugin or [] for word in ("--plugin", str(file))]
        shared = [*plugins, *(["--trust"] if trust else [])]
        if resume is not None and film is not None:
            shared.append("--film" if film else "--no-film")
        words = changes if resume is not None else changes + filming
        train_seeds(str(experiment), words, seeds, resume, runs, device, shared)
        return
    from drive_rl.config.reader import load_run

    budget = longer("train", "budget_steps", changes) if resume is not None else None
    spec = load_with_names(load_run, str(experiment), changes + filming) if resume is None else None
    longer_run = filming + ([] if budget is None else [f"budget_steps={budget}"])
    from drive_rl.learn.train import train as learn
    from drive_rl.report.film.film_run import film_run
    from drive_rl.run.process.signals import TrainingInterrupted

    try:
        run = learn(spec, runs, device, resume, command=sys.argv, film=film_run, changes=longer_run)
    except TrainingInterrupted as stopped:
        typer.echo(f"{stopped}{again(plugin)}", err=True)
        raise typer.Exit(stopped.exit_code) from None
    trained = shlex.quote(str(run.path))
    typer.echo(f"run: {run.path}\nnext: drive-rl eval {trained} --split test{again(plugin)}")
    typer.echo(f"      drive-rl render {trained} --split test --out drive.mp4{again(plugin)}")


def evaluate(
    driver: DriverArg,
    changes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="world=NAME for another world, world.KEY=VALUE to change it; engine=batch for the batch engine.",
            show_default=False,
            autocompletion=drive_changes,
        ),
    ] = None,
    split: SplitOption = "val",
    episodes: Annotated[int, typer.Option(help="Roads to drive, once each.")] = 200,
    fair: Fair = False,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=path_of,
            metavar="FILE",
            help="Write the scores here as JSON. Without it, scores of a run in its own world go to"
            " RUN/eval-SPLIT-N.json.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
    plugin: PluginOption = None,
    trust: Trust = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    old_world: OldWorld = None,
    old_engine: OldEngine = None,
) -> None:
    """Score a driver on held-out roads.

    Every metric comes with its 95 % confidence interval. The roads are the first of the split.
    """
    if out is not None and out.is_dir():
        raise DriveRLError(f"--out {out}: is a folder; scores go to a file; fix: --out {out / 'scores.json'}")
    check_out(out, overwrite)
    stdout = own_stdout() if as_json else sys.stdout
    engine, changes = choose_engine(changes or [])
    check_driver("eval", driver)
    check_changes(driver, changes)
    changes = fair_changes(driver, changes) if fair else changes
    from drive_rl.drivers.evaluate import evaluate, results, split_seeds
    from drive_rl.learn.choose_driver import choose, newest
    from drive_rl.report.progress import episodes_bar
    from drive_rl.report.table import print_results
    from drive_rl.run.scores import weights_hash, write_scores
    from drive_rl.run.storage.atomic import check_writable, write_json

    split_seeds(split, episodes)
    name, run = newest(driver)
    who, place = choose(name, changes, device, trust, typer.echo)
    if out is None and run is not None and not changes:
        try:
            check_writable(run.path)  # its scores go there
        except DriveRLError as error:
            raise DriveRLError(f"{error}, or name a file for its scores: --out FILE") from error
    weights = weights_hash(run) if run is not None else ""  # now, for a run that trains may replace its driver
    with episodes_bar("eval", episodes) as advance:
        _, rows = evaluate(who, place, split, episodes, progress=advance, engine=engine)
    found = results(name, place, split, rows, engine, changes)
    if as_json:
        typer.echo(json.dumps(found, indent=2), file=stdout)
    else:
        print_results(found)
    target = out
    if target is not None:
        write_json(target, found)
    elif run is not None and not changes:
        target = write_scores(run, weights, split, episodes, engine, found)
    if not as_json:
        typer.echo(f"written: {target}" if target else "written: nothing; --out FILE keeps these scores")


def render(
    driver: DriverArg,
    changes: WorldChanges = None,
    split: SplitOption = "test",
    episodes: Annotated[int, typer.Option(min=1, help="Roads to film, one after the other.")] = 3,
    seeds: Annotated[
        str | None, typer.Option(metavar="N,N,...", help="Seeds of the roads to film, instead of the split's first.")
    ] = None,
    out: Annotated[
        Path, typer.Option(parser=path_of, metavar="FILE", help="An .mp4, a .gif, or a folder for PNGs.")
    ] = Path("drive.mp4"),
    overwrite: Overwrite = False,
    device: Device = "auto",
    plugin: PluginOption = None,
    trust: Trust = False,
    old_world: OldWorld = None,
) -> None:
    """Film a driver on held-out roads.

    The film shows the driver's camera, a view from behind, a map, and the controls.
    """
    check_out(out, overwrite)
    chosen = _seeds(seeds) if seeds is not None else None
    check_driver("render", driver)
    check_changes(driver, changes or [])
    from drive_rl.learn.choose_driver import choose, newest
    from drive_rl.report.film.film import render_film
    from drive_rl.report.film.writers import check_out as check_film
    from drive_rl.report.progress import film_bar

    check_film(out, overwrite)
    who, place = choose(newest(driver)[0], changes or [], device, trust, typer.echo)
    with film_bar(len(chosen or range(episodes))) as advance:
        filmed = render_film(who, place, split, episodes, out, seeds=chosen, overwrite=overwrite, progress=advance)
    for row in filmed:
        typer.echo(f"road {row.road_seed} ({row.tier}): {row.end_reason} after {row.time_s:.1f} s")
    typer.echo(f"film: {out}")


def _seeds(text: str) -> list[int]:
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise DriveRLError(
            f"--seeds {text!r}: expected whole numbers separated by commas; fix: such as --seeds 20003,20007"
        ) from error
    if min(seeds) < 0:
        raise DriveRLError(f"--seeds {text!r}: expected numbers >= 0; fix: such as --seeds 20003,20007")
    return seeds
