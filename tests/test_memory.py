"""How much memory there is, and what running out of it looks like."""

from pathlib import Path

import pytest
import torch
from command_line import check, run_main

from drive_rl.memory import free_bytes, is_out_of_memory, require_memory


def test_the_command_line_says_it_in_a_paragraph(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    small = ["track=none", "engine=batch", "agent.num_envs=2", "agent.batch_size=16", "world.camera.width_px=2048"]
    call = ["train", "quickstart", "--runs", str(tmp_path), *small, "agent.guidance.pictures=10000000"]
    assert "agent.guidance.pictures" in check(run_main(call, monkeypatch), capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="reads /proc")
def test_memory_that_caches_would_give_back_counts_as_free() -> None:
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(lines["MemAvailable"].split()[0]) * 1024
    assert 0 < free_bytes() <= available + 2**30
    require_memory("x", 1, 1, "")


def test_torch_and_numpy_out_of_memory_is_known_for_what_it_is() -> None:
    with pytest.raises(RuntimeError) as of_torch:
        torch.zeros(2**55)
    assert is_out_of_memory(of_torch.value)
    assert is_out_of_memory(MemoryError("Unable to allocate"))
    assert not is_out_of_memory(RuntimeError("the shapes do not fit"))
