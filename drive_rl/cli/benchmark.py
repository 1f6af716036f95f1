"""The verbs of the benchmarks. As `main`, they know options alone."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from drive_rl.cli.completion import drivers_and_runs, models_and_runs, suites, worlds
from drive_rl.cli.names import check_driver, fair_changes
from drive_rl.cli.options import ANY_MODEL_HELP, Device, Fair, OldFloor, PluginOption, Trust, path_of
from drive_rl.config.reader import load_scenario, load_world
from drive_rl.config.shelf import entries
from drive_rl.errors import DriveRLError

bench = typer.Typer(help="Compare perception models, or drivers.", no_args_is_help=True, rich_markup_mode=None)


@bench.command("perception")
def bench_perception(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help=ANY_MODEL_HELP, autocompletion=models_and_runs)
    ],
    split: Annotated[Literal["test", "val"], typer.Option(help="Which roads; never tune on test.")] = "test",
    suite: Annotated[
        str | None,
        typer.Option(
            metavar="SUITE",
            help="The exam: worlds, mounts and weathers, the same for all models.",
            autocompletion=suites,
        ),
    ] = None,
    world: Annotated[
        list[str] | None,
        typer.Option(metavar="WORLD", help="Drive in this world instead, or beside a suite's.", autocompletion=worlds),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", parser=path_of, metavar="DIR", help="Use these labelled pictures instead of the split's."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many pictures of --data.")] = None,
    out: Annotated[
        Path, typer.Option(parser=path_of, metavar="DIR", help="The folder of results; complete parts in it are kept.")
    ] = Path("perception-bench"),
    reduced: Annotated[bool, typer.Option("--reduced", help="A quick check: minutes, with wide intervals.")] = False,
    require: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC>=N", help="What every model must reach, or exit with 1; may be repeated."),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what is already measured.")] = False,
    plugin: PluginOption = None,
    trust: Trust = False,
    floor: OldFloor = None,
) -> None:
    """Compare models by accuracy, latency, robustness and closed-loop driving.

    Writes results.json, results.csv, index.html, junit.xml and summary.md. A model or part that fails leaves its
    reason; the same command resumes where it stopped.
    """
    from drive_rl.benchmark.closed_loop import drive_model
    from drive_rl.benchmark.exam.conditions import load_exam
    from drive_rl.benchmark.parts import PARTS
    from drive_rl.benchmark.requirements import parse_requirement
    from drive_rl.benchmark.runner import run_benchmark
    from drive_rl.benchmark.settings import BenchSetting, gate
    from drive_rl.benchmark.settings import reduced as less
    from drive_rl.benchmark.table import benchmark_progress, print_benchmark

    if limit is not None and data is None:
        raise DriveRLError(f"--limit {limit}: shortens --data, which is not given; fix: --data DIR, or --reduced")
    requirements = [parse_requirement(text) for text in require or []]
    exam = replace(load_exam(suite, world or ()), data=data)
    full = BenchSetting(split=split)
    size = "reduced" if reduced else exam.suite.size
    setting = {"full": lambda given: given, "reduced": less, "gate": gate}[size](full)
    setting = replace(setting, accuracy=replace(setting.accuracy, limit=limit))
    with benchmark_progress() as progress:
        results = run_benchmark(models, out, setting, drive_model, exam, requirements, progress, resume=not fresh)
    print_benchmark(results)
    typer.echo(f"page: {out / 'index.html'}")
    if results.missed_requirements:
        raise typer.Exit(1)
    if failed := [model.name for model in results.models if not model.errors.keys().isdisjoint(("model", *PARTS))]:
        count = f"{len(failed)} of {len(results.models)} models"
        raise DriveRLError(f"{count} failed, or a part of them ({', '.join(failed)}); fix: see the reasons above")


@bench.command("driving")
def bench_driving(
    drivers: Annotated[
        list[str],
        typer.Argument(
            metavar="DRIVER...", help="Drivers, as `drive-rl eval` takes them.", autocompletion=drivers_and_runs
        ),
    ],
    world: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORLD",
            help="Where all of them drive; may be repeated (default: town).",
            autocompletion=worlds,
            show_default=False,
        ),
    ] = None,
    scenarios: Annotated[bool, typer.Option("--scenarios", help="Drive in all scenarios of the shelf.")] = False,
    split: Annotated[Literal["test", "val"], typer.Option(help="Which roads; never tune on test.")] = "test",
    episodes: Annotated[
        int | None,
        typer.Option(
            help="Roads that each drives in each world, once (default: 100; with --scenarios 10).", show_default=False
        ),
    ] = None,
    fair: Fair = False,
    out: Annotated[
        Path, typer.Option(parser=path_of, metavar="DIR", help="The folder of results, which are replaced.")
    ] = Path("driving-bench"),
    device: Device = "auto",
    plugin: PluginOption = None,
    trust: Trust = False,
) -> None:
    """Compare drivers by success, CARLA's and nuPlan's scores, near misses and infractions.

    All drive the same roads in the batch engine, each with its own camera. Writes results.json, results.csv and
    index.html; every measure comes with its 95 % confidence interval. In scenarios a red light or stop sign that was
    run is a failure, and success is counted by ability, too.
    """
    if twice := [name for name in drivers if drivers.count(name) > 1]:
        raise DriveRLError(f"bench driving: {twice[0]!r} is named twice; fix: name another driver, or leave it out")
    for driver in drivers:
        check_driver("bench driving", driver, "--world {}")
    names = _worlds(world or [], scenarios)
    places = [[f"world={name}"] for name in names]
    if fair:
        places = [fair_changes(drivers[0], place) for place in places]
    from drive_rl.benchmark.driving.output.files import check_folder, write_results
    from drive_rl.benchmark.driving.output.table import print_drivers
    from drive_rl.benchmark.driving.run import drive_all
    from drive_rl.drivers.evaluate import split_seeds
    from drive_rl.learn.choose_driver import choose_all, newest
    from drive_rl.report.progress import episodes_bar

    check_folder(out)
    count = episodes if episodes is not None else 10 if scenarios else 100
    split_seeds(split, count)
    newest_names = [newest(driver)[0] for driver in drivers]
    said: list[str] = []
    chosen = [choose_all(newest_names, place, device, trust, said.append, own_camera=True) for place in places]
    typer.echo(said[0])
    with episodes_bar("bench driving", len(places) * len(drivers) * count) as advance:
        results = drive_all(chosen, split, count, advance)
    specs = [in_world[0][1] for in_world in chosen]
    where = "the scenarios" if scenarios else ", ".join(names)
    where += ", --fair" if fair else ""
    print_drivers(results, specs, f"{where}: {count} roads of the {split} split, the same for all")
    write_results(out, results, specs, split)
    typer.echo(f"written: {out / 'results.json'}, {out / 'results.csv'}\npage: {out / 'index.html'}")


def _worlds(given: list[str], scenarios: bool) -> list[str]:
    """Return where drivers are compared; no two worlds are called the same."""
    if scenarios:
        if given:
            raise DriveRLError(f"bench driving: --world {given[0]} beside --scenarios; fix: one of them")
        return [load_scenario(name)[0].name for name in entries("envs/scenarios")]
    names = given or ["town"]
    called = [load_world(name).name for name in names]
    if twice := [name for name in called if called.count(name) > 1]:
        raise DriveRLError(f"bench driving: two worlds are called {twice[0]}; fix: leave one out, or rename its file")
    return names
