"""The command line: all verbs, and errors as one paragraph on stderr with exit code 2.

The verbs lie beside it, with heavy imports inside them so that `--help` answers at once. How anything is done is the
matter of the rooms below.
"""

import errno
import signal
import sys
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

import drive_rl
from drive_rl import environment
from drive_rl.cli import drive, shelves
from drive_rl.cli.benchmark import bench
from drive_rl.cli.compare import compare
from drive_rl.cli.perception import data, perception
from drive_rl.config.extensions import fault
from drive_rl.errors import DriveRLError, Stopped
from drive_rl.memory import is_out_of_memory
from drive_rl.plain_text import plain
from drive_rl.run.process.streams import cut_short, outlive_readers

app = typer.Typer(
    help="Learn to drive from camera images: train, score and film drivers in a PyBullet world.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help answers in half the time
    pretty_exceptions_enable=False,
)
app.command()(drive.train)
app.command("eval")(drive.evaluate)
app.command()(compare)
app.command()(drive.render)
app.command("list")(shelves.list_all)
app.command()(shelves.show)
app.command()(shelves.doctor)
app.command()(shelves.track)
app.command()(shelves.export)
app.add_typer(perception, name="perception")
app.add_typer(data, name="data")
app.add_typer(bench, name="bench")

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_UsageError: Any = typer.BadParameter.__base__  # click's, which newer versions of Typer carry within


def main() -> NoReturn:
    """Run the command line and exit: 0 done, 2 something to fix, 129, 130 or 143 stopped by a signal."""
    outlive_readers()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, _leave)  # so that temporary files are removed
    code = 0
    try:
        environment.prepare(sys.argv)
        code = app(prog_name="drive-rl", standalone_mode=False) or 0
    except SystemExit:
        _fail_if_cut_short()
        raise
    except _UsageError as error:
        _fail_usage(error)
    except Exception as error:
        if (why := _explain(error)) is None:
            raise
        _fail(why)
    _fail_if_cut_short()
    sys.exit(code)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    raise Stopped(128 + number)


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Print the version when asked; the verbs do the rest."""
    if version:
        typer.echo(f"drive-rl {drive_rl.__version__}")
        raise typer.Exit


def _explain(error: Exception) -> str | None:
    """Return what the user can do about an error; None: it is a bug, and its traceback is what helps."""
    if isinstance(error, DriveRLError):
        return str(error)
    if isinstance(error, OSError):
        return _explain_os(error)
    if isinstance(error, UnicodeDecodeError):
        return f"a file is damaged: expected UTF-8 text, but {error}; fix: restore it, or name another"
    if is_out_of_memory(error):
        return (
            f"not enough memory ({error}); fix: a smaller world.camera, agent.num_envs, agent.buffer_size or"
            " agent.guidance.pictures"
        )
    return environment.explain(error) or fault(error)


def _explain_os(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in _FULL:
        return f"{where}no space left to write to; fix: free some space or write to another disk, then run it again"
    return f"{where}{error.strerror or error}; fix: check the path and its permissions"


def _fail_usage(error: Any) -> NoReturn:
    """Exit with what was wrong with the verb or its options; a verb of verbs that is called alone prints its help."""
    message, context = error.format_message(), error.ctx
    if context is not None and message == context.get_help():
        typer.echo(message, err=True)
        sys.exit(2)
    command = context.command_path if context is not None else "drive-rl"
    fix = "" if message.endswith("?") else f"; fix: see {command} --help"  # Did you mean 'train'?
    _fail(f"{command}: {message.rstrip('.')}{fix}")


def _fail_if_cut_short() -> None:
    if (cut := cut_short()) is not None:
        _fail(f"standard output: {cut.strerror}; what was printed is cut short, files are written in full")


def _fail(message: str) -> NoReturn:
    typer.echo("error: " + plain(message).replace("\n", "\n       "), err=True)
    sys.exit(2)
