"""Claim: what pictures without labels are worth: errors on unseen roads with 1, 10 and 100 % of the labels.

An encoder learns from the train roads' pictures alone (VICReg); then the lane state is learned from it with few and
with many labelled roads, and from scratch with the same. Every fit sees as many pictures; seeds differ in weights and
order.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from record import Bench, show, spread

from drive_rl.config.perception_spec import PerceptionSpec
from drive_rl.config.reader import load_perception
from drive_rl.perception.data.rendered_dataset import held_out
from drive_rl.perception.data.samples import Samples
from drive_rl.perception.models.load import load_trained
from drive_rl.perception.scores.lane_state import lane_errors
from drive_rl.perception.training.trainer import fit
from drive_rl.perception.training.validation import Validation
from drive_rl.run.folder import RunFolder


class Quiet:
    """Shows nothing."""

    def at(self, samples: int, of: int, loss: float) -> None:
        pass

    def validated(self, validation: Validation) -> None:
        pass


def learn(spec: PerceptionSpec, runs: Path) -> RunFolder:
    return fit(spec, runs, Quiet(), lambda line: None, "cpu")


def errors(run: RunFolder, samples: Samples) -> dict[str, float]:
    """Return the mean absolute errors of a run's best model on pictures it never saw."""
    model = load_trained(str(run.path)).model
    with torch.no_grad():
        told = np.concatenate([model(part)["lane"].numpy() for part in torch.as_tensor(samples.images).split(64)])
    names = ("offset_m", "heading_error_rad")
    found = lane_errors(told[:, :2], samples.lane[:, :2], names)
    return {"offset_m": found["offset_m"].mae, "heading_deg": found["heading_error_deg"].mae}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--shares", type=float, nargs="+", default=[0.01, 0.1, 1.0], help="of the train roads, labelled"
    )
    parser.add_argument("--samples", type=int, default=24_000, help="pictures that each fit learns from")
    parser.add_argument("--unlabelled", type=int, default=64_000, help="pictures that VICReg learns from")
    parser.add_argument("--test-samples", type=int, default=2_000)
    bench = Bench("label_efficiency", parser)
    args = bench.args
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder)
        for seed in args.seeds:
            common = [f"seed={seed}", "track=none"]
            blind = load_perception("vicreg", [*common, f"fit.samples={args.unlabelled}"])
            start = learn(blind, runs)
            test = held_out(blind.world, blind.data, "test", args.test_samples)
            for share in args.shares:
                for how in ("scratch", "vicreg"):
                    changes = [*common, "fit.task=labels", "fit.batch_size=32", f"fit.samples={args.samples}"]
                    changes += [f"data.labelled={share}", f"fit.evaluate_every={max(1, args.samples // 6)}"]
                    changes += [f"model.init_from={start.path}"] if how == "vicreg" else []
                    found = errors(learn(load_perception("vicreg", changes), runs), test)
                    measured.append({"seed": seed, "labelled": share, "start": how, **found})
                    print(measured[-1], flush=True)
    figures = {
        how: {
            str(share): {
                key: spread([s[key] for s in measured if (s["labelled"], s["start"]) == (share, how)])
                for key in ("offset_m", "heading_deg")
            }
            for share in args.shares
        }
        for how in ("scratch", "vicreg")
    }
    rows = [
        [
            f"{share:.0%}",
            how,
            figures[how][str(share)]["offset_m"]["median"],
            figures[how][str(share)]["heading_deg"]["median"],
        ]
        for share in args.shares
        for how in figures
    ]
    show(
        "mean absolute error on test roads, median seed",
        ["labelled roads", "start", "offset [m]", "heading [deg]"],
        rows,
    )
    bench.finish(figures, measured)


if __name__ == "__main__":
    main()
