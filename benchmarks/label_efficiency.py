"""Claim: the benefit of pictures without labels: errors on unseen roads with 1, 10 and 100 % of the labels.

An encoder is trained on the train roads' pictures alone (VICReg); then a lane-state model is fitted from it with few
and with many labelled roads, and from scratch with the same. Every fit uses as many pictures; seeds differ in weights
and order.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from record import Bench, show, spread

from drive_rl.config.reader import load_perception
from drive_rl.config.specs.perception import PerceptionSpec
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
    """Return the mean absolute errors of a run's best model on held-out pictures."""
    model = load_trained(str(run.path)).model
    with torch.no_grad():
        predicted = np.concatenate([model(part)["lane"].numpy() for part in torch.as_tensor(samples.images).split(64)])
    names = ("offset_m", "heading_error_rad")
    found = lane_errors(predicted[:, :2], samples.lane[:, :2], names)
    return {"offset_m": found["offset_m"].mae, "heading_deg": found["heading_error_deg"].mae}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--shares", type=float, nargs="+", default=[0.01, 0.1, 1.0], help="of the train roads, labelled"
    )
    parser.add_argument("--samples", type=int, default=24_000, help="pictures of each fit")
    parser.add_argument("--unlabelled", type=int, default=64_000, help="pictures of the fit without labels")
    parser.add_argument("--test-samples", type=int, default=2_000)
    bench = Bench("label_efficiency", parser)
    args = bench.args
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder)
        for seed in args.seeds:
            common = [f"seed={seed}", "track=none"]
            unlabelled = load_perception("vicreg", [*common, f"fit.samples={args.unlabelled}"])
            encoder = learn(unlabelled, runs)
            test = held_out(unlabelled.world, unlabelled.data, "test", args.test_samples)
            for share in args.shares:
                for how in ("scratch", "vicreg"):
                    changes = [*common, "fit.task=labels", "fit.batch_size=32", f"fit.samples={args.samples}"]
                    changes += [f"data.labelled={share}", f"fit.evaluate_every={max(1, args.samples // 6)}"]
                    changes += [f"model.init_from={encoder.path}"] if how == "vicreg" else []
                    found = errors(learn(load_perception("vicreg", changes), runs), test)
                    measured.append({"seed": seed, "labelled": share, "init": how, **found})
                    print(measured[-1], flush=True)
    figures = {
        how: {
            str(share): {
                key: spread([s[key] for s in measured if (s["labelled"], s["init"]) == (share, how)])
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
        ["labelled roads", "init", "offset [m]", "heading [deg]"],
        rows,
    )
    bench.finish(figures, measured)


if __name__ == "__main__":
    main()
