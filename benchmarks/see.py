"""Claim: a model of <= 300,000 parameters learns unseen roads in <= 5 minutes on 2 cores, and takes <= 3 ms a picture.

`drive-rl perception fit unet` for each seed, timed from the start of the process; errors on pictures of test roads, in
all weathers and in clear weather alone; then ONNX Runtime on one core under MLPerf's LoadGen (single stream).
"""

import argparse
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import Bar, Bench, one_core, run, show, spread

from drive_rl.perception.data.rendered_dataset import held_out
from drive_rl.perception.data.samples import Samples
from drive_rl.perception.evaluation.loadgen import single_stream
from drive_rl.perception.evaluation.onnx_runtime import export, load, verify
from drive_rl.perception.models.load import Trained, load_trained
from drive_rl.sim.sensors.renderer import EGO_LANE

_RESAMPLES = 1000


def learned(recipe: str, seed: int, folder: Path, changes: list[str]) -> tuple[Trained, float]:
    """Fit the recipe in a process of its own; return the model and the seconds it took."""
    command = [sys.executable, "-m", "drive_rl", "perception", "fit", recipe, *changes, "--seed", str(seed)]
    said, seconds = run([*command, "--track", "none"], cwd=folder)
    found = re.search(r"^run: (.+)$", said, re.MULTILINE)
    assert found, said
    return load_trained(str(folder / found[1])), seconds


def predicted_errors(trained: Trained, samples: Samples) -> dict[str, np.ndarray]:
    """Return for each picture its errors, and the ego lane's intersection and union [px]."""
    rows: dict[str, list[np.ndarray]] = {"heading_deg": [], "offset_m": [], "inter": [], "union": []}
    with torch.no_grad():
        for first in range(0, len(samples), 64):
            part = samples.take(slice(first, first + 64))
            seen = trained.model(torch.as_tensor(part.images))
            errors = np.abs(seen["lane"].numpy() - part.lane)
            rows["offset_m"].append(errors[:, 0])
            rows["heading_deg"].append(np.degrees(errors[:, 1]))
            lane, true = seen["classes"].argmax(1).numpy() == EGO_LANE, part.classes == EGO_LANE
            rows["inter"].append((lane & true).sum(axis=(1, 2)))
            rows["union"].append((lane | true).sum(axis=(1, 2)))
    return {name: np.concatenate(parts) for name, parts in rows.items()}


def summary(rows: dict[str, np.ndarray], seeds: np.ndarray) -> dict[str, dict[str, float]]:
    """Return each figure with its 95 % interval: percentiles of a bootstrap over roads."""
    roads, rng = np.unique(seeds), np.random.default_rng(0)
    of_road = [np.flatnonzero(seeds == road) for road in roads]

    def figures(at: np.ndarray) -> dict[str, float]:
        iou = rows["inter"][at].sum() / rows["union"][at].sum()
        return {key: float(rows[key][at].mean()) for key in ("heading_deg", "offset_m")} | {"ego_lane_iou": float(iou)}

    again = [
        figures(np.concatenate([of_road[i] for i in rng.integers(0, len(roads), len(roads))]))
        for _ in range(_RESAMPLES)
    ]
    found = {}
    for key, value in figures(np.arange(len(seeds))).items():
        low, high = np.percentile([one[key] for one in again], [2.5, 97.5])
        found[key] = {"value": value, "low": float(low), "high": float(high)}
    return found


def latency(trained: Trained, samples: Samples, seconds: float) -> dict[str, Any]:
    """Return ONNX Runtime's single-stream latency on one core, and its largest difference from eager."""
    file = export(trained.model, samples.images[:1])
    difference = max(verify(trained.model, file, samples.images[i : i + 1]) for i in range(64))
    stream = single_stream(load(file, threads=1), samples.images[:64], min_duration_s=seconds, min_queries=2000)
    return {**stream._asdict(), "largest_difference": difference, "bytes": len(file)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="unet")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--samples", type=int, default=4000, help="pictures of test roads, four a road")
    parser.add_argument("--split", default="test", choices=["test", "val"], help="val while tuning")
    parser.add_argument("--seconds", type=float, default=20.0, help="of the single stream")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes to the recipe")
    parser.add_argument("--keep", type=Path, help="a folder in which the runs stay")
    bench = Bench("see", parser)
    args = bench.args
    measured, samples, trained = [], None, None
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep.resolve() if args.keep else Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for seed in args.seeds:
            trained, seconds = learned(args.recipe, seed, folder, args.set)
            spec = trained.spec
            samples = samples or held_out(spec.world, spec.data, args.split, args.samples)
            rows, clear = predicted_errors(trained, samples), samples.scene[:, 1] == 0
            only = {key: values[clear] for key, values in rows.items()}
            one_seed = {"seed": seed, "seconds": seconds, "all": summary(rows, samples.seeds)}
            one_seed["clear"] = summary(only, samples.seeds[clear])
            one_seed["parameters"] = sum(p.numel() for p in trained.model.parameters())
            measured.append(one_seed)
            print({key: value["value"] for key, value in one_seed["all"].items()}, f"{seconds:.0f} s", flush=True)
        one_core()
        assert trained is not None, "no seed"
        assert samples is not None
        fast = latency(trained, samples, args.seconds)
    figures = {
        weather: {key: spread([s[weather][key]["value"] for s in measured]) for key in measured[0][weather]}
        for weather in ("all", "clear")
    }
    seconds = spread([s["seconds"] for s in measured])
    worst = figures["all"]
    bars = [
        Bar("parameters", measured[0]["parameters"], most=300_000),
        Bar("heading error on test roads, worst seed [deg]", worst["heading_deg"]["max"], most=0.5),
        Bar("offset error on test roads, worst seed [m]", worst["offset_m"]["max"], most=0.05),
        Bar("IoU of the ego lane on test roads, worst seed", worst["ego_lane_iou"]["min"], least=0.95),
        Bar("seconds from the start of the process to the model, median seed", seconds["median"], most=300),
        Bar("p99 of a single stream through ONNX Runtime on one core [ms]", fast["p99_ms"], most=3),
        Bar("largest difference between ONNX Runtime and eager", fast["largest_difference"], most=1e-4),
    ]
    table = [
        [weather, *(figures[weather][key]["median"] for key in ("heading_deg", "offset_m", "ego_lane_iou"))]
        for weather in figures
    ]
    show("test roads, median seed", ["weather", "heading [deg]", "offset [m]", "ego lane IoU"], table)
    bench.finish({**figures, "seconds": seconds, "onnxruntime": fast}, measured, bars)


if __name__ == "__main__":
    main()
