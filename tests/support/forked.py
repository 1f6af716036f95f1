"""`drive-rl` in processes that are forked from one which has imported what it needs.

Starting Python and importing torch takes longer than most of what tests ask the command line for. A forked process has
its own folder, variables, streams, signals and exit code, as one that was started has.
"""

import atexit
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from functools import cache
from pathlib import Path

from numba.core.registry import cpu_target

_IMPORTED = (
    "torch._dynamo",  # by the first optimizer
    "drive_rl.benchmark.runner",
    "drive_rl.cli.main",
    "drive_rl.learn.choose_driver",
    "drive_rl.learn.train",
    "drive_rl.perception.training.trainer",
    "drive_rl.report.catalogue",
    "drive_rl.report.film.film_run",
    "kornia.augmentation",
)
_MOST = 2**17  # bytes of words and variables


def run_forked(words: list[str], folder: Path, variables: dict[str, str], timeout_s: float) -> tuple[int, str, str]:
    """Run `drive-rl` with some words in a folder; return its exit code, and what it wrote to stdout and stderr."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, open(os.devnull) as nothing:
        answers, answering = socket.socketpair()
        with answers, answering:
            asked = json.dumps({"words": words, "folder": str(folder), "variables": variables}).encode()
            socket.send_fds(_server(), [asked], [file.fileno() for file in (nothing, out, err, answering)])
            answering.close()
            process = int(answers.recv(16))
            answers.settimeout(timeout_s)
            try:
                code = int(answers.recv(16))
            except TimeoutError:
                os.kill(process, signal.SIGKILL)
                raise
        for file in (out, err):
            file.seek(0)
        return code, out.read().decode(), err.read().decode()


@cache
def _server() -> socket.socket:
    """Start the process that the others are forked from; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        subprocess.Popen([sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()])
    return ours


def _serve(asking: socket.socket) -> list[str]:
    """Fork a process for each command, until there are no more; in that process, return the command's words."""
    for module in _IMPORTED:
        importlib.import_module(module)
    # What numba does when it first loads or compiles a function:
    cpu_target.target_context.refresh()  # pyright: ignore[reportAttributeAccessIssue]
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait for a command
    while True:
        asked, files, _, _ = socket.recv_fds(asking, _MOST, 4)
        if not asked:
            os._exit(0)
        if os.fork() == 0:
            asking.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return _begin(*files, **json.loads(asked))
        for file in files:
            os.close(file)


def _begin(*files: int, words: list[str], folder: str, variables: dict[str, str]) -> list[str]:
    *streams, answer = files
    if process := os.fork():
        os.write(answer, b"%16d" % process)
        os.write(answer, b"%16d" % os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
        os._exit(0)
    os.close(answer)
    for number, file in enumerate(streams):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    return words


def _main(words: list[str]) -> None:
    import gymnasium

    import drive_rl
    from drive_rl.cli.main import main

    sys.argv = [str(Path(drive_rl.__file__).with_name("__main__.py")), *words]
    sys.orig_argv = [sys.executable, "-m", "drive_rl", *words]
    for name in [name for name in gymnasium.registry if name.startswith("drive_rl/")]:
        del gymnasium.registry[name]
    importlib.reload(drive_rl)  # which registers the worlds that this command finds
    code: object = 1
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    # As Python ends, but for taking apart all that was imported, which would copy each page of memory.
    threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue]
    atexit._run_exitfuncs()  # pyright: ignore[reportAttributeAccessIssue]
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    _main(_serve(socket.socket(fileno=int(sys.argv[1]))))
