"""Latency and throughput of a runtime, measured by MLPerf's LoadGen (Reddi et al. 2020, MLPerf Inference Benchmark).

It knows LoadGen's scenarios "single stream" and "offline", and its logs. It does not know what a runtime runs.
"""

import json
import resource
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from drive_rl.perception.evaluation.runtimes import Images, Runtime
from drive_rl.perception.optional import need

PERCENTILES = (50, 90, 99)
QUIET = 0.01
"""Share of preempted queries up to which a 99th percentile counts."""
_LOG_LINE = ":::MLLOG "
_Log = dict[str, Any]  # LoadGen's own keys, of which it documents no types
_ONE_AT_A_TIME = threading.Lock()  # LoadGen keeps one log in a process
_AFTER_AN_ERROR_S = 1e-3  # a failed test cannot be stopped, only answered until it ends: cheaply


class SingleStream(NamedTuple):
    """Latency of one picture after another."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    queries: int
    valid: bool  # by LoadGen's rules
    preempted: int
    """How often the process had to leave a core to another."""

    @property
    def preempted_share(self) -> float:
        """Of the queries: above QUIET, p99 may be that of other processes."""
        return self.preempted / self.queries

    @property
    def quiet(self) -> bool:
        """Whether so few queries were preempted that p99 is the model's own."""
        return self.preempted_share <= QUIET


class Offline(NamedTuple):
    """Throughput."""

    samples_per_s: float
    batch: int
    valid: bool  # by LoadGen's rules: it lasted long enough


def single_stream(runtime: Runtime, images: Images, min_duration_s: float, min_queries: int) -> SingleStream:
    """Return the latency of one picture after another, each asked for as the last is answered.

    Args:
        runtime: Takes batches of one.
        images: Pictures (N, C, H, W) to draw from.
        min_duration_s: The test lasts at least as long.
        min_queries: The test asks at least as often; LoadGen wants 662 for the 99th percentile.

    Raises:
        DriveRLError: LoadGen is missing.
        Exception: what the runtime raised.
    """
    loadgen = need("mlperf_loadgen")
    settings = _settings(loadgen, loadgen.TestScenario.SingleStream, min_duration_s)
    settings.min_query_count = min_queries
    # LoadGen lays out its queries beforehand, for as long as the test must last: it must not think the runtime slow.
    settings.single_stream_expected_latency_ns = max(1, int(0.5e9 * _fastest_s(lambda: runtime(images[:1]))))
    settings.single_stream_target_latency_percentile = max(PERCENTILES) / 100
    before = _preempted()
    log = _test(loadgen, settings, len(images), lambda asked: runtime(images[asked[0] : asked[0] + 1]))
    return SingleStream(
        *(log[f"result_{percent}.00_percentile_latency_ns"] / 1e6 for percent in PERCENTILES),
        queries=log["result_query_count"],
        valid=log["result_validity"] == "VALID",
        preempted=_preempted() - before,
    )


def offline(runtime: Runtime, images: Images, batch: int, min_duration_s: float) -> Offline:
    """Return how many pictures a second the runtime manages when all of them are at hand.

    Args:
        runtime: Takes batches of `batch`; the last is filled up with pictures that do not count.
        images: Pictures (N, C, H, W) to draw from.
        batch: Pictures given to the runtime at once.
        min_duration_s: The test lasts at least about as long.

    Raises:
        DriveRLError: LoadGen is missing.
        Exception: what the runtime raised.
    """
    loadgen = need("mlperf_loadgen")
    full = images[np.arange(batch) % len(images)]

    def answer(asked: list[int]) -> None:
        for start in range(0, len(asked), batch):
            runtime(images[np.resize(asked[start : start + batch], batch)])

    settings = _settings(loadgen, loadgen.TestScenario.Offline, min_duration_s)
    settings.offline_expected_qps = 1.2 * batch / _fastest_s(lambda: runtime(full))
    log = _test(loadgen, settings, len(images), answer)
    return Offline(log["result_samples_per_second"], batch, log["result_validity"] == "VALID")


def _settings(loadgen: Any, scenario: Any, min_duration_s: float) -> Any:
    settings = loadgen.TestSettings()
    settings.scenario, settings.mode = scenario, loadgen.TestMode.PerformanceOnly
    settings.min_duration_ms = int(1000 * min_duration_s)
    return settings


def _fastest_s(call: Callable[[], Any], calls: int = 10) -> float:
    """Warm a runtime up, and return its fastest call [s]; what the runtime raises passes."""
    call()
    taken = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return min(taken)


def _preempted() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def _test(loadgen: Any, settings: Any, samples: int, answer: Callable[[list[int]], Any]) -> _Log:
    """Run one test, in which `answer` is given the indices of the pictures asked for; return LoadGen's log."""
    errors: list[BaseException] = []

    def issue(queries: list[Any]) -> None:
        # LoadGen is C++ without exceptions: one that reached it would end the process, and a query left unanswered
        # would hang it.
        try:
            if errors:
                time.sleep(_AFTER_AN_ERROR_S)
            else:
                answer([query.index for query in queries])
        except BaseException as error:
            errors.append(error)
        loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(query.id, 0, 0) for query in queries])

    with _ONE_AT_A_TIME, tempfile.TemporaryDirectory() as folder:
        sut = loadgen.ConstructSUT(issue, lambda: None)
        qsl = loadgen.ConstructQSL(samples, samples, lambda indices: None, lambda indices: None)
        try:
            # The last argument is the rules of an audit, which it would otherwise search for in the working directory.
            no_audit = str(Path(folder) / "audit.config")
            loadgen.StartTestWithLogSettings(sut, qsl, settings, _logging(loadgen, folder), no_audit)
        finally:
            loadgen.DestroyQSL(qsl)
            loadgen.DestroySUT(sut)
        if errors:
            raise errors[0]
        return _read_log(Path(folder) / "mlperf_log_detail.txt")


def _logging(loadgen: Any, folder: str) -> Any:
    output = loadgen.LogOutputSettings()
    output.outdir, output.copy_summary_to_stdout = folder, False
    log = loadgen.LogSettings()
    log.log_output, log.enable_trace = output, False
    return log


def _read_log(path: Path) -> _Log:
    """Return the values of LoadGen's detailed log by their keys."""
    lines = path.read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line.removeprefix(_LOG_LINE)) for line in lines if line.startswith(_LOG_LINE)]
    return {entry["key"]: entry["value"] for entry in entries}
