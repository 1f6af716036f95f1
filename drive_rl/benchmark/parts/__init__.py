"""The parts of the benchmark, in the order that they are measured in: closed-loop driving needs the latency."""

from typing import Any

from drive_rl.benchmark.part import Part
from drive_rl.benchmark.parts import accuracy, closed_loop, examples, latency, robustness

PARTS: dict[str, Part[Any, Any]] = {
    part.PART.name: part.PART for part in (accuracy, latency, robustness, closed_loop, examples)
}
