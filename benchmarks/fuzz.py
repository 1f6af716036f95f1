"""Claim: in 10,000 random tries no traceback, no hang over 10 s, and no crash of the interpreter.

Tries are specs, overrides, numbers of worlds, trainings and fits, environment variables, checkpoints with valid sums
and data folders. Kind and seed identify a try: `--replay KIND:SEED` repeats one in this process.
"""

import argparse
import json
import os
import random
import re
import selectors
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from fuzz_environment import ENVIRONMENT_SHARE, try_environment
from record import Bar, Bench, show

HANG_S = 10.0
"""A try that takes longer, also when repeated at the end, hangs."""
FAULTS = {"traceback": "tracebacks", "hang": "hangs", "crash": "crashes"}
_START_S = 300.0  # a worker's first try may wait for imports and numba


@dataclass
class Worker:
    """A process that does one try after the other; it is restarted when it dies or hangs."""

    ground: Path
    scratch: Path
    process: subprocess.Popen[str] | None = None
    fresh: bool = True

    def attempt(self, kind: str, seed: int, limit_s: float = HANG_S) -> str:
        """Do one try; return the finding, or an empty text."""
        if self.process is None:
            self._start()
        assert self.process is not None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{kind} {seed}\n")
        self.process.stdin.flush()
        begin = time.monotonic()
        line = _line(self.process.stdout, limit_s)
        if line is None:
            self.stop()
            return f"hang: over {limit_s:g} s"
        if not line:
            code = self.process.wait()
            self.process = None
            return f"crash: exit code {code} after {time.monotonic() - begin:.1f} s"
        return json.loads(line)

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _start(self) -> None:
        command = [sys.executable, Path(__file__).resolve(), "--worker", str(self.ground), "--out", str(self.scratch)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}, start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        if _line(self.process.stdout, _START_S) != "ready\n":
            sys.exit("a worker did not start; try: python benchmarks/fuzz.py --replay overrides:0")


def _line(stream: IO[str], limit_s: float) -> str | None:
    """Return the next line, an empty text at the stream's end, or None after so many seconds."""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        return stream.readline() if selector.select(limit_s) else None


@dataclass
class Tally:
    """Findings so far."""

    done: Counter[str] = field(default_factory=Counter)
    wrong: list[dict[str, object]] = field(default_factory=list)

    def add(self, kind: str, seed: int, finding: str) -> None:
        """Count a try; print its finding."""
        self.done[kind] += 1
        if finding:
            fault = finding.split(":")[0] if finding.startswith(("hang", "crash")) else "traceback"
            self.wrong.append({"try": f"{kind}:{seed}", "fault": fault, "finding": finding})
            print(f"{kind}:{seed}: {finding.splitlines()[-1]} {_place(finding)}", flush=True)

    def count(self, fault: str) -> int:
        """Return how many tries ended in a fault."""
        return sum(row["fault"] == fault for row in self.wrong)


def _place(finding: str) -> str:
    """Return the innermost place of a traceback in our code."""
    places = re.findall(r'drive_rl/([\w/]+\.py)", line (\d+)', finding)
    return ":".join(places[-1]) if places else ""


def work(ground: Path, scratch: Path) -> None:
    """Do the tries requested on stdin and answer on stdout: a worker's main loop."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not an answer
    from fuzz_tries import TRIES

    for kind in TRIES:
        answer(kind, 0, ground, scratch)  # imports and compiles what tries need, so that they are not timed
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        kind, seed = line.split()
        print(json.dumps(answer(kind, int(seed), ground, scratch)), file=answers, flush=True)


def answer(kind: str, seed: int, ground: Path, scratch: Path) -> str:
    """Do one try; return the finding, or an empty text."""
    from fuzz_tries import attempt

    try:
        return attempt(kind, seed, ground, scratch)
    except BaseException as error:  # anything is a finding
        return "traceback: " + "".join(traceback.format_exception(error))[-2500:].strip()


def main() -> None:
    """Fuzz, and write the findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=7200, help="stop after this time, whatever is left")
    parser.add_argument("--seed", type=int, default=0, help="of the first try; the next has the next seed")
    parser.add_argument("--only", nargs="+", help="kinds of tries (default: all)")
    parser.add_argument("--replay", metavar="KIND:SEED", help="one try, in this process")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    bench = Bench("fuzz", parser)
    args = bench.args
    if args.worker:
        work(args.worker, args.out)
        return
    from fuzz_tries import TRIES, prepare

    shares = {kind: share for kind, (share, _) in TRIES.items()} | {"environment": ENVIRONMENT_SHARE}
    kinds = args.only or list(shares)
    with tempfile.TemporaryDirectory() as folder:
        ground, scratch = Path(folder, "ground"), Path(folder, "scratch")
        ground.mkdir()
        prepare(ground)
        if args.replay:
            kind, _, seed = args.replay.partition(":")
            finding = (
                try_environment(int(seed), ground)
                if kind == "environment"
                else answer(kind, int(seed), ground, scratch)
            )
            print(finding or "nothing wrong")
            return
        worker, tally, begin, slow = Worker(ground, scratch), Tally(), time.monotonic(), []
        for seed in range(args.seed, args.seed + args.tries):
            if time.monotonic() - begin > args.seconds:
                break
            kind = random.Random(seed).choices(kinds, [shares[kind] for kind in kinds])[0]
            finding = try_environment(seed, ground) if kind == "environment" else worker.attempt(kind, seed)
            if finding.startswith("hang"):
                slow.append((kind, seed))  # or the machine was busy
            else:
                tally.add(kind, seed, finding)
        for kind, seed in slow:
            finding = try_environment(seed, ground) if kind == "environment" else worker.attempt(kind, seed)
            tally.add(kind, seed, finding)
        worker.stop()
    finish(bench, tally)


def finish(bench: Bench, tally: Tally) -> None:
    """Print and write the counts."""
    tries = sum(tally.done.values())
    show(f"{tries:,} tries", ("kind", "tries", "wrong"), [
        (kind, count, sum(str(row["try"]).startswith(f"{kind}:") for row in tally.wrong))
        for kind, count in sorted(tally.done.items())
    ])  # fmt: skip
    bars = [Bar(FAULTS[fault], tally.count(fault), most=0) for fault in FAULTS]
    figures = {"tries": tries, **{FAULTS[fault]: tally.count(fault) for fault in FAULTS}, "by_kind": dict(tally.done)}
    bench.finish(figures, tally.wrong, bars)


if __name__ == "__main__":
    main()
