"""Draw `docs/img/batch_speed.png` from `results/batch_speed.json`, in the peers' venv, which has matplotlib."""

import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports]
from matplotlib.patches import Patch  # pyright: ignore[reportMissingImports]

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "batch_speed.json"
PICTURE = ROOT / "docs" / "img" / "batch_speed.png"
PEERS = {
    "car_racing": "CarRacing-v3, 96x96",
    "highway": "highway-fast-v0, 128x64",
    "tiny": "PyBullet + TinyRenderer, 64x40",
}
KINDS = {"step": "stepping", "infer": "+ inference", "train": "+ PPO training"}
COLOURS = ("#1b6ca8", "#5aa5d6", "#b5d4e9")
GREY, INK = "#9a9a9a", "#333333"


def main() -> None:
    """Draw steps per second on one core on a logarithmic axis: the peers, then ours by camera and N."""
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    rates = {name: spread["median"] for name, spread in result["figures"]["steps_per_s"].items()}
    cells = sorted({tuple(name.split()[1:]) for name in rates if " " in name}, key=_size)
    figure = Figure(figsize=(9, 6.2), layout="tight")
    axes = figure.subplots()
    labels: list[str] = []
    for name, label in PEERS.items():
        if name in rates:
            _bar(axes, len(labels), rates[name], GREY, 0.6)
            labels.append(label)
    for size, cars in cells:
        for row, kind in enumerate(KINDS):
            _bar(axes, len(labels) + 0.27 * (row - 1), rates[f"{kind} {size} {cars}"], COLOURS[row], 0.27)
        labels.append(f"drive-rl, {size}, {cars.replace('=', ' = ')}")
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(10, 2 * max(rates.values()))
    axes.set_xlabel(f"environment steps per second, one core of an {result['provenance']['cpu']['model']}")
    kinds = zip((GREY, *COLOURS), ("stepping (peers)", *KINDS.values()), strict=True)
    axes.legend(handles=[Patch(color=colour, label=kind) for colour, kind in kinds], loc="upper right", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE, dpi=110)
    print(f"written: {PICTURE.relative_to(ROOT)}")


def _size(cell: tuple[str, ...]) -> tuple[int, int]:
    return int(cell[0].split("x")[0]), int(cell[1].split("=")[1])


def _bar(axes: Any, at: float, rate: float, colour: str, height: float) -> None:
    axes.barh(at, rate, height, color=colour)
    axes.text(rate * 1.06, at, f"{rate:,.0f}", va="center", fontsize=7.5, color=INK)


if __name__ == "__main__":
    main()
