"""The command line's verbs of perception: data, fit and explain. As `main`, it knows verbs alone."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from drive_rl.cli.completion import (
    experiment_changes,
    experiments,
    models_and_runs,
    recipes,
    world_changes,
    worlds,
)
from drive_rl.cli.names import load_with_names
from drive_rl.cli.options import (
    ANY_MODEL_HELP,
    MODEL_HELP,
    Device,
    OldFrames,
    Overwrite,
    PluginOption,
    Runs,
    SeedOption,
    SplitOption,
    TrackOption,
    Trust,
    again,
    changes_of,
    check_out,
    longer,
    named,
    path_of,
    resume_option,
)
from drive_rl.errors import DriveRLError

perception = typer.Typer(help="Perception models: fit them, explain them.", no_args_is_help=True, rich_markup_mode=None)
data = typer.Typer(
    help="Labelled pictures of the road, and demonstrations.", no_args_is_help=True, rich_markup_mode=None
)


@data.callback()
def _data() -> None:
    """Hold `make` and `record`."""


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
            help="Changes: world=NAME first, then keys such as fit.learning_rate=1e-3 model.encoder.kind=nature.",
            autocompletion=world_changes,
        ),
    ] = None,
    seed: SeedOption = None,
    device: Device = "auto",
    track: TrackOption = None,
    runs: Runs = Path("runs"),
    resume: Annotated[Path | None, resume_option("fit.samples=... may change")] = None,
    plugin: PluginOption = None,
    trust: Trust = False,
) -> None:
    """Fit a perception model, or resume a stopped run.

    Ctrl-C saves everything and prints the command that resumes it.
    """
    changes = changes_of("perception fit", recipe, "unet", overrides, resume, seed, track)
    from drive_rl.config.reader import load_perception

    spec = load_with_names(load_perception, str(recipe), changes) if resume is None else None
    samples = longer("perception fit", "fit.samples", changes) if resume is not None else None
    from drive_rl.perception.training.trainer import fit as fit_model
    from drive_rl.report.fit_progress import FitDisplay
    from drive_rl.run.process.signals import TrainingInterrupted

    try:
        with FitDisplay() as display:
            run = fit_model(spec, runs, display, display.echo, device, resume, sys.argv, samples)
    except TrainingInterrupted as stopped:
        typer.echo(f"{stopped}{again(plugin)}", err=True)
        raise typer.Exit(stopped.exit_code) from None
    from drive_rl.config.reader import read_perception

    typer.echo(f"run: {run.path}")
    fitted = shlex.quote(str(run.path))
    verbs = [*explaining(read_perception(run.spec).model.heads, fitted), f"bench perception {fitted}"]
    for head, verb in zip(("next: ", "      "), verbs, strict=False):
        typer.echo(f"{head}drive-rl {verb}{again(plugin)}")


def explaining(heads: Sequence[str], model: str) -> list[str]:
    """Return the command that explains a model of some heads; none where it has nothing to explain."""
    if "lane" in heads:
        return [f"perception explain {model}"]
    return [f"perception explain {model} --scalar ego_lane"] if "segmentation" in heads else []


@perception.command()
def explain(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help=MODEL_HELP, callback=named, autocompletion=models_and_runs)
    ],
    split: SplitOption = "test",
    samples: Annotated[int, typer.Option(min=1, max=1000, help="Pictures to explain.")] = 8,
    scalar: Annotated[Literal["offset", "heading", "ego_lane"], typer.Option(help="Output to explain.")] = "offset",
    out: Annotated[
        Path, typer.Option(parser=path_of, metavar="FILE", help="A .png of stills, or a film: .mp4 or .gif.")
    ] = Path("explain.png"),
    overwrite: Overwrite = False,
    plugin: PluginOption = None,
    trust: Trust = False,
    frames: OldFrames = None,
) -> None:
    """Explain what a model's output depends on.

    Saliency maps (integrated gradients, Grad-CAM, VisualBackProp), over stills or along a road, and how much of them
    lies on lane markings.
    """
    check_out(out, overwrite)
    from drive_rl.perception.models.load import load_trained
    from drive_rl.report.film.saliency import explain as write_saliency

    found = write_saliency(load_trained(model), split, samples, scalar, out, overwrite)
    for method, share in found.items():
        typer.echo(
            f"{method}: {share.saliency:.1%} of the saliency lies on lane markings, {share.pixels:.1%} of the pixels do"
            f" (lift {share.lift:.2f})"
        )
    typer.echo(f"written: {out}")


@perception.command()
def predict(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help=ANY_MODEL_HELP, callback=named, autocompletion=models_and_runs),
    ],
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="An image, a folder, a video, or a camera: 0.", callback=named)
    ],
    out: Annotated[
        Path,
        typer.Option(parser=path_of, metavar="FILE", help="A .png or .jpg of an image; else .mp4, .gif or a folder."),
    ],
    samples: Annotated[int | None, typer.Option(min=1, help="Stop after so many pictures.", show_default=False)] = None,
    overwrite: Overwrite = False,
    plugin: PluginOption = None,
    trust: Trust = False,
) -> None:
    """Draw what a model predicts of your own pictures, and write it as JSON.

    Classes in colour, painted lines as dots, the lane's middle as a curve. A camera runs until Ctrl-C.
    """
    check_out(out, overwrite)
    from drive_rl.perception.adapter.load import load_model
    from drive_rl.report.predict.predict import json_beside
    from drive_rl.report.predict.predict import predict as write_predictions

    found = write_predictions(load_model(model), source, out, overwrite, samples)
    count = len(found.frames)
    typer.echo(
        f"{count} picture{'s' if count > 1 else ''}; the model takes {found.model_ms:.1f} ms for one; with reading,"
        f" drawing and writing {found.frames_per_s:.0f} a second\nwritten: {out} and {json_beside(out)}"
    )


@perception.command()
def export(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help=MODEL_HELP, callback=named, autocompletion=models_and_runs)
    ],
    out: Annotated[Path, typer.Option(parser=path_of, metavar="FILE.onnx", help="The file to write.")],
    onnx: Annotated[bool, typer.Option("--onnx", help="As ONNX, the one format so far.")] = False,
    overwrite: Overwrite = False,
    plugin: PluginOption = None,
    trust: Trust = False,
) -> None:
    """Export a fitted model for other tools.

    As ONNX for batches of any size, compared with torch on pictures of val roads; beside it a YAML file with which
    `predict` and `bench perception` take it.
    """
    if not onnx:
        raise DriveRLError("perception export: which format is not given; fix: --onnx")
    check_out(out, overwrite)
    from drive_rl.perception.evaluation.onnx_export import export_onnx
    from drive_rl.perception.models.load import load_trained

    found = export_onnx(load_trained(model), out, overwrite)
    typer.echo(f"written: {out}, outputs within {found.difference:.1e} of torch's on {found.pictures} pictures")
    typer.echo(f"adapter: {found.adapter}\nnext: drive-rl bench perception {found.adapter}{again(plugin)}")


@perception.command(
    "look",
    hidden=True,
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
def _look() -> None:
    """Refuse the old name of `explain`."""
    raise DriveRLError("`perception look` is now `perception explain`; fix: drive-rl perception explain MODEL")


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
    samples: Annotated[int, typer.Option(min=1, max=10_000_000, help="Labelled pictures to write.")] = 1000,
    weather: Annotated[bool, typer.Option("--weather", help="Also fog, dusk and rain, beside clear weather.")] = False,
    out: Annotated[Path, typer.Option(parser=path_of, metavar="DIR", help="The folder to write.")] = Path("data"),
    overwrite: Overwrite = False,
    plugin: PluginOption = None,
    trust: Trust = False,
    frames: OldFrames = None,
) -> None:
    """Write labelled pictures of a world's roads or streets.

    PNG pictures and masks, TuSimple lanes, COCO boxes, states, and a manifest with seeds and hashes. Of streets: COCO
    instances with boxes in 2-D and 3-D, instance masks and depth, as the expert drives; no lanes and states.
    """
    if not (overwrite and out.is_dir()):  # the writer replaces its own folders, and no other
        check_out(out, overwrite)
    from drive_rl.config.reader import load_part
    from drive_rl.report.progress import counted

    spec = load_part("world", world, changes or [])
    if spec.streets:
        from drive_rl.config.specs.driver import ExpertSpec
        from drive_rl.drivers.expert import ExpertDriver
        from drive_rl.perception.data.street_writer import write_street_data

        act = ExpertDriver(ExpertSpec(name="expert", algorithm="expert"), spec.car, spec.task).act
        with counted("data", samples) as progress:
            write_street_data(spec, act, split, samples, out, weather, overwrite, progress)
        typer.echo(f"data: {out}")
        return
    from drive_rl.config.specs.perception import DataSpec
    from drive_rl.perception.data.writer import write_data

    with counted("data", samples) as progress:
        write_data(spec, DataSpec(weather=weather), split, samples, out, overwrite, progress)
    typer.echo(f"data: {out}\nnext: drive-rl perception fit RECIPE data.folder={shlex.quote(str(out))}")


@data.command("record")
def record(
    experiment: Annotated[
        str,
        typer.Argument(metavar="EXPERIMENT", help="One that imitates, such as dagger.", autocompletion=experiments),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Changes: world=NAME first, then keys such as agent.teacher=DRIVER agent.noise=0.3.",
            autocompletion=experiment_changes,
        ),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, max=10_000_000, help="Pictures to record.")] = 32_768,
    out: Annotated[Path, typer.Option(parser=path_of, metavar="DIR", help="The folder to write.")] = Path("demos"),
    plugin: PluginOption = None,
    trust: Trust = False,
) -> None:
    """Record what a teacher does while it drives, for agent.demonstrations=DIR.

    Pictures and actions (npz), the experiment, and a manifest with hashes.
    """
    if not out.exists():  # what is there is refused below: this verb replaces nothing
        check_out(out, overwrite=False)
    from drive_rl.config.reader import load_run

    spec = load_with_names(load_run, experiment, overrides or [])
    from drive_rl.config.specs.driver import DaggerSpec
    from drive_rl.learn.starts.demonstrations import record_demonstrations
    from drive_rl.report.progress import counted

    with counted("data", samples) as progress:
        record_demonstrations(spec, samples, out, progress)
    assert isinstance(spec.agent, DaggerSpec), "checked"
    kept = [change for change in overrides or [] if not change.startswith("agent.samples=")]
    kept += [f"agent.samples={max(samples, spec.agent.samples)}", f"agent.demonstrations={out}"]
    typer.echo(f"data: {out}\nnext: drive-rl train {shlex.join([experiment, *kept])}{again(plugin)}")
