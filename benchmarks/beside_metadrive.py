"""Claim: in a town the batch engine makes >= 300 times as many camera steps a second as MetaDrive, on one core.

MetaDrive has to be there, with its assets, in an interpreter of its own: `pip install metadrive-simulator`. It draws
64x40 pixels by OpenGL, here on the CPU where there is no GPU, without ground, sky and smooth edges.
"""

import argparse
from pathlib import Path

from peers import Peer
from record import Bar, Bench, median, one_core, show
from streets import Stepping, in_reach, town

from drive_rl.sim.engines.streets.batch import StreetBatch


def main() -> None:
    """Time both in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, required=True, help="the interpreter that has MetaDrive")
    parser.add_argument("--assets", default="its own", help="in words, for the record")
    parser.add_argument("--rounds", type=int, default=3)
    bench = Bench("beside_metadrive", parser)
    one_core()
    ours, theirs = Stepping(town(), 64), Peer(bench.args.python, "metadrive_peer.py")
    samples: dict[str, list[float]] = {"town, 40 actors, 64 cars": [], "MetaDrive": []}
    assert isinstance(ours.batch, StreetBatch)
    for _ in range(bench.args.rounds):
        samples["town, 40 actors, 64 cars"].append(ours.block(2.0))
        samples["MetaDrive"].append(theirs.block(10.0))
    theirs.close()
    figures = {name: median(found) for name, found in samples.items()}
    mine, peer = figures.values()
    show("camera steps a second, one core", ["simulator", "steps/s"], list(figures.items()))
    about = {"MetaDrive": {**theirs.about, "assets": bench.args.assets}, "actors_in_reach": in_reach(ours.batch)}
    bench.finish(
        {"steps_per_s": figures, **about}, samples, [Bar("steps/s in town over MetaDrive's", mine / peer, least=300)]
    )


if __name__ == "__main__":
    main()
