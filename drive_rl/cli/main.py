"""The command line: one verb a function, with heavy imports inside it so that `--help` answers at once.

It knows verbs and options, and turns an error into one paragraph on stderr and exit code 2. It does not know how
anything is done: that is the floors below.
"""

import errno
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

import drive_rl
from drive_rl import environment
from drive_rl.cli.benchmark import bench
from drive_rl.cli.completion import (
    drive_changes,
    drivers_and_runs,
    everything,
    experiment_changes,
    experiments,
    runs_here,
)
from drive_rl.cli.options import (
    Device,
    OldEngine,
    OldKind,
    OldWorld,
    Overwrite,
    PluginOption,
    Runs,
    SeedOption,
    SplitOption,
    TrackOption,
    Trust,
    WorldChanges,
    changes_of,
    check_out,
    longer,
    named,
    own_stdout,
    path_of,
)
from drive_rl.cli.perception import data, perception
from drive_rl.errors import DriveRLError
from drive_rl.memory import is_out_of_memory
from drive_rl.plain_text import plain
from drive_rl.run.process.streams import cut_short, outlive_readers

app = typer.Typer(
    help="Learn to drive from camera images: train, score and film drivers in a PyBullet world.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help answers in half the time
    pretty_exceptions_enable=False,
)

app.add_typer(perception, name="perception")
app.add_typer(data, name="data")
app.add_typer(bench, name="bench")

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_RUN_OR_DRIVER = "A run folder, a folder of runs (its newest), a checkpoint in a run, or a driver on the shelf."

DriverArg = Annotated[
    str,
    typer.Argument(metavar="RUN|DRIVER", help=_RUN_OR_DRIVER, callback=named, autocompletion=drivers_and_runs),
]
RunArg = Annotated[
    Path,
    typer.Argument(
        parser=path_of,
        metavar="RUN",
        help="A run folder, or a folder of runs (its newest).",
        autocompletion=runs_here,
    ),
]


def main() -> NoReturn:
    """Run the command line and exit: 0 done, 2 something to mend, 129, 130 or 143 stopped by a signal."""
    outlive_readers()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, _leave)  # so that temporary files are cleared away
    try:
        environment.prepare(sys.argv)
        app(prog_name="drive-rl")
    except SystemExit:
        if (cut := cut_short()) is not None:
            _fail(f"standard output: {cut.strerror}; what was printed is cut short, what was written to files is whole")
        raise
    except DriveRLError as error:
        _fail(str(error))
    except OSError as error:
        _fail(_explain(error))
    except UnicodeDecodeError as error:
        _fail(f"a file is damaged: UTF-8 text was expected, but {error}; fix: restore it, or name another")
    except (MemoryError, RuntimeError) as error:  # torch's own are RuntimeErrors
        if not is_out_of_memory(error):
            raise
        _fail(
            f"not enough memory ({error}); fix: a smaller world.camera, agent.num_envs, agent.buffer_size or"
            " agent.guidance.pictures"
        )
    except Exception as error:
        if (why := environment.explain(error)) is None:
            raise
        _fail(why)
    sys.exit(0)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Print the version when asked; the verbs do the rest."""
    if version:
        typer.echo(f"drive-rl {drive_rl.__version__}")
        raise typer.Exit


@app.command()
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
            help="Changes: world=NAME or agent=NAME first, then such as agent.learning_rate=3e-4 budget_steps=50000.",
            autocompletion=experiment_changes,
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
            help="Resume a stopped run; only budget_steps=... may be changed.",
            autocompletion=runs_here,
        ),
    ] = None,
    film: Annotated[bool, typer.Option(help="Film one held-out road at the end.")] = True,
    plugin: PluginOption = None,
    trust: Trust = False,
) -> None:
    """Train a driver, or resume a stopped run.

    Ctrl-C saves everything and prints the command that resumes it.
    """
    changes = changes_of("train", experiment, "quickstart", overrides, resume, seed, track)
    from drive_rl.config.reader import load_run

    spec = load_run(str(experiment), changes) if resume is None else None
    budget = longer("train", "budget_steps", changes) if resume is not None else None
    _import_bullet()
    from drive_rl.learn.train import train as learn
    from drive_rl.report.film.film_run import film_run
    from drive_rl.run.process.signals import TrainingInterrupted

    try:
        filmer = film_run if film else None
        run = learn(spec, runs, device, resume, command=sys.argv, film=filmer, budget_steps=budget)
    except TrainingInterrupted as stopped:
        typer.echo(str(stopped), err=True)
        raise typer.Exit(stopped.exit_code) from None
    typer.echo(f"run: {run.path}\nnext: drive-rl eval {run.path} --split test")
    typer.echo(f"      drive-rl render {run.path} --split test --out drive.mp4")


@app.command("eval")
def eval_command(
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
    episodes: Annotated[int, typer.Option(help="Roads driven, once each.")] = 200,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=path_of, metavar="FILE", help="Scores as JSON; a run's own world goes to RUN/eval-SPLIT-N.json."
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

    Every metric has its 95 % confidence interval. The roads are the first of the split, each driven once.
    """
    if out is not None and out.is_dir():
        raise DriveRLError(f"--out {out}: is a folder, and scores go to a file; fix: --out {out / 'scores.json'}")
    check_out(out, overwrite)
    stdout = own_stdout() if as_json else sys.stdout
    _import_bullet()
    from drive_rl.drivers.evaluate import evaluate, results, split_seeds
    from drive_rl.learn.choose_driver import choose, choose_engine, newest
    from drive_rl.report.progress import episodes_bar
    from drive_rl.report.table import print_results
    from drive_rl.run.scores import weights_hash, write_scores
    from drive_rl.run.storage.atomic import write_json

    split_seeds(split, episodes)
    engine, changes = choose_engine(changes or [])
    name, run = newest(driver)
    who, place = choose(name, changes, device, trust, typer.echo)
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


@app.command()
def render(
    driver: DriverArg,
    changes: WorldChanges = None,
    split: SplitOption = "test",
    episodes: Annotated[int, typer.Option(min=1, help="Roads filmed, one after the other.")] = 3,
    seeds: Annotated[
        str | None, typer.Option(metavar="N,N,...", help="Road seeds to film instead of the split's first.")
    ] = None,
    out: Annotated[Path, typer.Option(parser=path_of, metavar="FILE", help=".mp4, .gif, or a folder for PNGs.")] = Path(
        "drive.mp4"
    ),
    overwrite: Overwrite = False,
    device: Device = "auto",
    plugin: PluginOption = None,
    trust: Trust = False,
    old_world: OldWorld = None,
) -> None:
    """Film a driver on held-out roads.

    The film shows its camera, a view from behind, a map, and the controls.
    """
    check_out(out, overwrite)
    chosen = _seeds(seeds) if seeds is not None else None
    _import_bullet()
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


@app.command("list")
def list_command(runs: Runs = Path("runs"), plugin: PluginOption = None, trust: Trust = False) -> None:
    """List worlds, drivers, experiments and runs.

    Perception recipes, too. Of each run: its last step, its best held-out result, and its state; the newest is last.
    """
    from drive_rl.report.catalogue import print_catalogue

    print_catalogue(runs=runs)


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A world, driver, experiment or perception recipe, a YAML file, or a run folder. Where several have"
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

    Every value is explained. It is YAML, and reads back as it stands.
    """
    from drive_rl.report.catalogue import explained

    typer.echo(explained(name, overrides or []))


@app.command()
def doctor() -> None:
    """Say what this machine offers.

    Versions, cores, GPU, renderers, W&B login, shelves.
    """
    _import_bullet()
    from drive_rl.report.doctor import examine

    examine()


@app.command("track")
def track_command(
    run: RunArg,
    track: TrackOption = None,
    plugin: PluginOption = None,
    trust: Trust = False,
) -> None:
    """Record a run in W&B or TensorBoard afterwards.

    All of metrics.csv, the film and the model: for a tracker that failed while the run trained, or another one.
    """
    from drive_rl.run.tracking.track import track as record

    typer.echo(f"recorded: {record(run, track, typer.echo).path}")


@app.command()
def export(
    run: RunArg,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The driver's name: it becomes agents/NAME/.")],
    overwrite: Overwrite = False,
    plugin: PluginOption = None,
    trust: Trust = False,
) -> None:
    """Put a run's best driver on the shelf.

    The driver is a folder of agents/ without pickles, and goes by its name from then on.
    """
    from drive_rl.learn.checkpoint.export import export_driver
    from drive_rl.report.catalogue import new_driver_folder
    from drive_rl.run.folder import RunFolder

    folder = new_driver_folder(name)
    check_out(folder, overwrite, folder_too=True)
    export_driver(RunFolder.open(run), folder, overwrite)
    typer.echo(f"driver: {folder}\nnext: drive-rl eval {name} --split test")


# --- what the verbs share -------------------------------------------------------------------------------------------


def _seeds(text: str) -> list[int]:
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise DriveRLError(f"--seeds {text!r}: expected whole numbers parted by commas, such as 20003,20007") from error
    if min(seeds) < 0:
        raise DriveRLError(f"--seeds {text!r}: expected numbers >= 0")
    return seeds


def _import_bullet() -> None:
    """Import PyBullet without the line that it writes to stderr: what stands there is ours."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        import pybullet  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def _explain(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in _FULL:
        return f"{where}no space left to write to; fix: free some space, or write to another disk, and run it again"
    return f"{where}{error.strerror or error}; fix: check the path and its permissions"


def _fail(message: str) -> NoReturn:
    typer.echo("error: " + plain(message).replace("\n", "\n       "), err=True)
    sys.exit(2)
