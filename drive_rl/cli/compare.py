"""`drive-rl compare`: drivers, or groups of seeds, on the same roads."""

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from drive_rl.cli.completion import drivers_and_runs
from drive_rl.cli.names import check_changes, check_driver, choose_engine
from drive_rl.cli.options import Device, Overwrite, PluginOption, SplitOption, Trust, check_out, own_stdout, path_of
from drive_rl.config.shelf import home
from drive_rl.errors import DriveRLError
from drive_rl.scale.seed_group import SeedGroup, is_finished, is_group


def compare(
    drivers: Annotated[
        list[str],
        typer.Argument(
            metavar="DRIVER... [KEY=VALUE]...",
            help="Two or more drivers as `eval` takes them, or folders of seeds; then world=NAME for another world,"
            " world.KEY=VALUE to change it, engine=batch for the batch engine.",
            autocompletion=drivers_and_runs,
        ),
    ],
    split: SplitOption = "val",
    episodes: Annotated[int, typer.Option(help="Roads that each drives, once.")] = 200,
    out: Annotated[
        Path | None, typer.Option(parser=path_of, metavar="FILE", help="Write the comparison here as JSON.")
    ] = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
    plugin: PluginOption = None,
    trust: Trust = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Compare drivers on the same roads.

    Every pair is compared road by road: differences of success and driving score with 95 % intervals, the probability
    of improvement, and a sentence. With more than two drivers, p-values are Holm's.
    """
    if out is not None and out.is_dir():
        raise DriveRLError(
            f"--out {out}: is a folder; the comparison goes to a file; fix: --out {out / 'compare.json'}"
        )
    check_out(out, overwrite)
    stdout = own_stdout() if as_json else sys.stdout
    names = [word for word in drivers if "=" not in word or home(word).exists()]
    engine, changes = choose_engine([word for word in drivers if word not in names])
    if len(names) < 2:
        raise DriveRLError("compare: give two drivers or more; fix: drive-rl compare ppo-lane-follow dqn-lane-follow")
    if twice := [name for name in names if names.count(name) > 1]:
        raise DriveRLError(f"compare: {twice[0]!r} is named twice; fix: name another driver, or leave it out")
    seeds = {name: _seeds(name) for name in names}
    for seed in (seed for group in seeds.values() for seed in group):
        check_driver("compare", seed)
        check_changes(seed, changes)
    from drive_rl.drivers.compare import Driven
    from drive_rl.drivers.compare import compare as compare_driven
    from drive_rl.drivers.evaluate import evaluate, split_seeds
    from drive_rl.drivers.plugin_metrics import episode_metrics
    from drive_rl.learn.choose_driver import choose_all, newest
    from drive_rl.report.progress import episodes_bar
    from drive_rl.report.table import print_comparison
    from drive_rl.run.storage.atomic import write_json
    from drive_rl.run.storage.json_values import plain

    roads = split_seeds(split, episodes)
    members = {name: [newest(seed)[0] for seed in group] for name, group in seeds.items()}
    chosen = choose_all([seed for group in members.values() for seed in group], changes, device, trust, typer.echo)
    with episodes_bar("compare", len(chosen) * episodes) as advance:
        rows = iter([evaluate(*one, split, episodes, progress=advance, engine=engine)[1] for one in chosen])
    driven = [Driven(_label(name, group), group, [next(rows) for _ in group]) for name, group in members.items()]
    found, world = compare_driven(driven), chosen[0][1].name
    where = {"world": world, "changes": changes, "split": split, "engine": engine, "roads": list(roads)}
    metrics = {one.name: episode_metrics([row for rows in one.episodes for row in rows]) for one in driven}
    content = {**where, **plain(found)}
    if any(metrics.values()):
        content["metrics"] = {one: {name: v._asdict() for name, v in own.items()} for one, own in metrics.items()}
    if out is not None:
        write_json(out, content)
    if as_json:
        typer.echo(json.dumps(content, indent=2), file=stdout)
        return
    print_comparison(found, f"{world}, engine={engine}: {episodes} roads of the {split} split, the same for all")
    for one, own in metrics.items():
        for metric in own.values():
            value = "not defined" if metric.value is None else f"{metric.value:.3g} {metric.unit}".rstrip()
            typer.echo(f"{one}: {metric.label}: {value}")
    typer.echo(f"written: {out}" if out else "written: nothing; --out FILE keeps this comparison")


def _seeds(name: str) -> list[str]:
    """Return the runs of a group of seeds, or the driver itself.

    Raises:
        DriveRLError: a seed of the group is not finished.
    """
    path = home(name)
    if not is_group(path):
        return [name]
    group = SeedGroup.open(path)
    runs = {seed: group.run(seed) for seed in sorted(group.names)}
    if open_ones := [seed for seed, run in runs.items() if run is None or not is_finished(run)]:
        raise DriveRLError(
            f"{path}: seed {', '.join(map(str, open_ones))}: not finished; fix: drive-rl train --resume"
            f" {shlex.quote(str(path))}"
        )
    return [str(run.path) for run in runs.values() if run is not None]


def _label(name: str, seeds: list[str]) -> str:
    """Return a driver's name, of a folder of runs the newest run's."""
    return seeds[0] if len(seeds) == 1 else name
