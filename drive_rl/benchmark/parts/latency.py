"""Latency: a model's size, and its latency and throughput in each runtime."""

import math
from collections.abc import Callable

from drive_rl.benchmark.part import Delay, Metric, Number, Part, Subject
from drive_rl.perception.evaluation.latency import Latency, LatencySetting, RuntimeLatency, measure_latency
from drive_rl.perception.evaluation.loadgen import SingleStream
from drive_rl.run.provenance import cpu_model, usable_cores

NAME = "latency"
_LABELS = {"onnx": "ONNX Runtime", "eager": "eager", "compiled": "compiled"}
_TIMED = 64  # pictures that latency is measured with


def measure(subject: Subject, setting: LatencySetting) -> Latency:
    """Measure the latency of one picture and the throughput of many.

    A single stream that other processes disturb is measured again; where none was quiet, its p99 counts as unknown.
    """
    images = subject.pictures(_TIMED).samples.images
    return measure_latency(subject.trained.model, images, subject.threads, setting, subject.export)


def delay_of(latency: Latency | None) -> Delay | None:
    """Return the median latency of one picture: ONNX Runtime's, or else eager's; None if neither was measured."""
    for name in ("onnx", "eager") if latency else ():
        if stream := latency and _stream(latency, name):
            return Delay(stream.p50_ms / 1000, name)
    return None


def _figures(latency: Latency, runtime: str) -> RuntimeLatency:
    return latency.runtimes.get(runtime, RuntimeLatency())


def _stream(latency: Latency, runtime: str) -> SingleStream | None:
    return _figures(latency, runtime).single_stream


def _runtime(name: str) -> dict[str, Metric[Latency]]:
    def percentile(label: str, value: Callable[[SingleStream], float]) -> Metric[Latency]:
        return Metric(
            NAME, f"{_LABELS[name]} latency {label}", "ms", -1, lambda it: (at := _stream(it, name)) and value(at)
        )

    def p99(stream: SingleStream) -> float:
        return stream.p99_ms if stream.quiet else math.nan

    def throughput(latency: Latency) -> Number | None:
        found = _figures(latency, name).offline
        return found and found.samples_per_s

    return {
        f"{name}_p50_ms": percentile("p50", lambda it: it.p50_ms),
        f"{name}_p90_ms": percentile("p90", lambda it: it.p90_ms),
        f"{name}_p99_ms": percentile("p99", p99),
        f"{name}_preempted": Metric(
            NAME,
            f"{_LABELS[name]} queries preempted",
            "",
            -1,
            lambda it: (at := _stream(it, name)) and at.preempted_share,
        ),
        f"{name}_valid": Metric(
            NAME, f"{_LABELS[name]} run valid (LoadGen)", "", 1, lambda it: (at := _stream(it, name)) and int(at.valid)
        ),
        f"{name}_samples_per_s": Metric(NAME, f"{_LABELS[name]} throughput", "pictures/s", 1, throughput),
    }


PART = Part(
    name=NAME,
    title="Latency",
    full=LatencySetting(),
    reduced=LatencySetting(min_duration_s=1.0, min_queries=662, runtimes=("onnx",), attempts=2),
    result=Latency,
    measure=measure,
    metrics={
        "parameters": Metric(NAME, "parameters", "", 0, lambda it: it.parameters),
        "macs": Metric(NAME, "multiply-accumulates", "", 0, lambda it: it.macs),
        "onnx_bytes": Metric(NAME, "size on disk", "bytes", 0, lambda it: _figures(it, "onnx").bytes),
        "onnx_difference": Metric(
            NAME, "ONNX Runtime, largest difference from eager", "", -1, lambda it: _figures(it, "onnx").difference
        ),
        **_runtime("onnx"),
        **_runtime("eager"),
        **_runtime("compiled"),
    },
    columns=(
        *("parameters", "macs", "onnx_bytes", "onnx_p50_ms", "onnx_p99_ms", "onnx_preempted", "onnx_valid"),
        "onnx_samples_per_s",
    ),
    more=("onnx_difference", "eager_p50_ms", "compiled_p50_ms"),
    depends_on=lambda subject: {
        "data": subject.data,
        "threads": subject.threads,
        "machine": [cpu_model(), usable_cores()],
    },
    is_complete=lambda latency: all(figures.error is None for figures in latency.runtimes.values()),
)
