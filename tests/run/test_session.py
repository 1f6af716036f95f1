"""What every training shares; tests/learn/test_train.py and tests/perception cover it in training.

It covers `process.device`, `process.threads` and `process.allocator`, too.
"""

import signal
from pathlib import Path

import pytest
import small_specs

from drive_rl.errors import DriveRLError
from drive_rl.run.folder import RunFolder
from drive_rl.run.process.signals import StopAsked, StopNow, StopRequest, TrainingInterrupted
from drive_rl.run.session import new_run, prepare_process, recording, stoppable, stopped_run


def test_the_device_is_printed() -> None:
    lines: list[str] = []
    assert prepare_process("cpu", lines.append).type == "cpu"
    assert prepare_process("auto", lines.append).type in ("cpu", "cuda")
    assert lines[0].startswith("device: cpu (")
    assert lines[1].endswith(" [auto]")


def test_a_new_run_that_fails_before_its_first_checkpoint_is_deleted(tmp_path: Path) -> None:
    spec = small_specs.run("ppo")
    failing = new_run(spec, tmp_path, ["drive-rl"])
    run = failing.__enter__()
    assert run.spec.is_file()
    assert run.is_written_to
    assert not failing.__exit__(KeyError, KeyError(), None)
    assert not run.path.exists()
    with new_run(spec, tmp_path, ["drive-rl", "train"]) as run:
        pass
    assert run.command.read_text() == "drive-rl train\n"
    assert not run.is_written_to


def test_only_a_stopped_run_resumes(tmp_path: Path) -> None:
    with stopped_run(None, "nothing") as none:
        assert none is None
    with new_run(small_specs.run("ppo"), tmp_path, ["drive-rl"]) as run:
        pass
    with pytest.raises(DriveRLError, match="no last/ checkpoint to resume from; fix: start again"):
        stopped_run(run.path, "start again").__enter__()
    run.last.mkdir()
    with stopped_run(run.path, "start again") as found:
        assert found == run
        assert run.is_written_to


def test_rows_are_cut_to_those_of_the_checkpoint(tmp_path: Path) -> None:
    spec = small_specs.run("ppo")
    with new_run(spec, tmp_path, ["drive-rl"]) as run:
        with recording(spec, run, 0, print) as (metrics, _):
            for step in (1, 2, 3):
                metrics.append(step, {"a": step})
        with recording(spec, run, 2, print) as (metrics, _):
            assert [step for step, _ in metrics.rows()] == [1, 2]


@pytest.mark.parametrize("error", [StopAsked, StopNow])
def test_a_stop_becomes_the_command_that_resumes(error: type[BaseException], tmp_path: Path) -> None:
    stop = StopRequest()
    stop.signal = signal.SIGTERM
    with (
        pytest.raises(TrainingInterrupted, match=r"7 are saved\. Resume with: drive-rl train --resume") as stopped,
        stoppable("train", RunFolder(tmp_path), stop, lambda: "7 are saved"),
    ):
        raise error
    assert stopped.value.exit_code == 143
    with pytest.raises(KeyError), stoppable("train", RunFolder(tmp_path), stop, lambda: None):
        raise KeyError
