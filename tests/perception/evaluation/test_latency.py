"""Latency: counts by hand, order and number of LoadGen's figures, and failures that stay with their runtime.

Covers latency and loadgen.
"""

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import small_nets
import torch
from small_nets import HEIGHT, WIDTH, Brittle, SmallNet, pictures

from drive_rl.benchmark.metrics import metrics_of
from drive_rl.errors import DriveRLError
from drive_rl.perception.evaluation import latency, loadgen
from drive_rl.perception.evaluation.runtimes import Images, Outputs
from drive_rl.run.storage.json_values import plain

SHORT = latency.LatencySetting(min_duration_s=0.05, min_queries=80, batch=4, runtimes=("eager", "onnx"))


def test_parameters_and_macs_are_those_counted_by_hand() -> None:
    half, quarter = HEIGHT * WIDTH // 4, HEIGHT * WIDTH // 16
    weights = 8 * 3 * 9 + 8 + 2 * 8 + 8 * 9 + 8 + 2 * 8 + 20 * 8 + 20 + 12 * 8 + 12
    products = half * 8 * 3 * 9 + quarter * 8 * 9 + half * 20 * 8 + 12 * 8
    model = SmallNet()
    assert latency.parameters(model) == weights
    assert latency.macs(model, pictures(1)) == products
    assert latency.macs(model, pictures(3)) == 3 * products


def test_figures_of_each_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    before = torch.get_num_threads()
    result = latency.measure_latency(SmallNet(), pictures(6), threads=before + 1, setting=SHORT)

    assert result.threads == before + 1
    assert torch.get_num_threads() == before
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    assert list(result.runtimes) == ["eager", "onnx"]
    for figures in result.runtimes.values():
        single = figures.single_stream
        assert single is not None
        assert 0 < single.p50_ms <= single.p90_ms <= single.p99_ms
        assert single.queries >= 80
        assert 0 <= single.preempted <= resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
        assert figures.offline is not None
        assert figures.offline.samples_per_s > 0
    onnx = result.runtimes["onnx"]
    assert onnx.difference is not None
    assert onnx.difference <= 1e-4
    assert onnx.bytes is not None
    assert onnx.bytes > 4 * result.parameters
    as_json = json.loads(json.dumps(plain(result)))["runtimes"]
    assert set(as_json["eager"]) == {"single_stream", "offline"}  # what a runtime has not is not null, but absent
    assert set(as_json["onnx"]) == {"single_stream", "offline", "bytes", "difference"}


_WITHOUT_COMPILER = """
import json
from drive_rl.perception.evaluation import latency
from drive_rl.run.storage.json_values import plain
from small_nets import SmallNet, pictures
setting = latency.LatencySetting(0.05, 80, 4, runtimes=("compiled", "eager"))
print(json.dumps(plain(latency.measure_latency(SmallNet(), pictures(2), 1, setting).runtimes)))
"""


def test_missing_compiler_is_the_reason_in_its_row(tmp_path: Path) -> None:
    # in a process of its own: torch remembers which compiler it found
    env = os.environ | {"CXX": "no-such-compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", _WITHOUT_COMPILER]
    done = subprocess.run(
        command, env=env, cwd=Path(small_nets.__file__).parent, capture_output=True, text=True, timeout=300, check=True
    )
    rows = json.loads(done.stdout)
    assert list(rows["compiled"]) == ["error"]
    assert "compiler" in rows["compiled"]["error"]
    assert rows["eager"]["single_stream"]["queries"] >= 80


def test_model_that_cannot_be_exported_keeps_its_other_rows() -> None:
    rows = latency.measure_latency(Brittle(), pictures(2), 1, SHORT).runtimes
    assert rows["onnx"] == latency.RuntimeLatency(error=rows["onnx"].error)
    assert rows["onnx"].error
    assert rows["eager"].offline is not None
    assert rows["eager"].offline.samples_per_s > 0
    alone = replace(SHORT, runtimes=("onnx",))
    assert list(latency.measure_latency(Brittle(), pictures(2), 1, alone).runtimes) == ["onnx", "eager"]
    assert list(latency.measure_latency(SmallNet(), pictures(2), 1, alone).runtimes) == ["onnx"]


def test_no_picture_is_refused() -> None:
    with pytest.raises(DriveRLError, match="images = 0"):
        latency.measure_latency(SmallNet(), pictures(0), 1, SHORT)


class Sleeper:
    """A runtime that takes at least 2 ms a call and, from a call on, fails."""

    def __init__(self, fails_at: int = -1, error: type[BaseException] = RuntimeError) -> None:
        self.fails_at, self.error = fails_at, error
        self.sizes: list[int] = []

    def __call__(self, images: Images) -> Outputs:
        self.sizes.append(len(images))
        if len(self.sizes) == self.fails_at:
            raise self.error("out of luck")
        time.sleep(0.002)
        return {}


def test_loadgen_counts_the_whole_of_a_call() -> None:
    single, full = Sleeper(), Sleeper()
    figures = loadgen.single_stream(single, pictures(3), min_duration_s=0.1, min_queries=40)
    assert figures.p50_ms >= 2
    assert 40 <= figures.queries <= len(single.sizes)
    assert set(single.sizes) == {1}

    figures = loadgen.offline(full, pictures(3), batch=8, min_duration_s=0.1)
    assert figures.samples_per_s <= 8 / 0.002
    assert set(full.sizes) == {8}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_failure_in_the_middle_is_raised_and_the_next_test_works(error: type[BaseException]) -> None:
    with pytest.raises(error, match="out of luck"):
        loadgen.single_stream(Sleeper(30, error), pictures(3), min_duration_s=0.1, min_queries=40)
    with pytest.raises(error, match="out of luck"):
        loadgen.offline(Sleeper(13, error), pictures(3), batch=2, min_duration_s=0.1)
    assert loadgen.single_stream(Sleeper(), pictures(3), min_duration_s=0.05, min_queries=20).queries >= 20


def stream(preempted: int, p99_ms: float) -> loadgen.SingleStream:
    return loadgen.SingleStream(1.0, 2.0, p99_ms, queries=1000, valid=True, preempted=preempted)


@pytest.mark.parametrize(
    ("preempted", "asked", "kept"),
    [((11, 10, 0), 2, 10), ((0,), 1, 0), ((30, 20, 500), 3, 20)],  # a hundredth is quiet
)
def test_a_stream_that_others_disturb_is_measured_again(
    preempted: tuple[int, ...], asked: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = iter([stream(each, 9.0) for each in preempted])
    monkeypatch.setattr(latency, "single_stream", lambda *_: next(found))
    setting = latency.LatencySetting(min_duration_s=0.01, min_queries=1, batch=2, runtimes=("eager",), attempts=3)
    single = latency.measure_latency(SmallNet(), pictures(2), 1, setting).runtimes["eager"].single_stream
    assert single is not None
    assert single.preempted == kept
    assert len(list(found)) == len(preempted) - asked


def test_p99_counts_only_where_it_was_quiet() -> None:
    for preempted, p99_ms in ((10, 9.0), (11, None)):
        found = latency.Latency(1, 1, 1, {"onnx": latency.RuntimeLatency(stream(preempted, 9.0))})
        values = metrics_of([("latency", found)]).values
        assert values["onnx_preempted"] == preempted / 1000
        assert values.get("onnx_p99_ms") == p99_ms
        assert values["onnx_p50_ms"] == values["onnx_valid"] == 1
