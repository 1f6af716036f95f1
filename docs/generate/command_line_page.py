"""The page of the command line: what each verb's `--help` prints."""

from collections.abc import Iterable
from typing import Any

import typer
from markdown_text import HEADER, joined

from drive_rl.cli.main import app


def command_line_page() -> str:
    """Return the page of all verbs with their help, as `--help` prints it."""
    root = typer.main.get_command(app)
    parts = [
        f"## drive-rl {name}\n\n<!-- test: skip, this is what --help prints -->\n```text\n{_help(command, name)}\n```"
        for name, command in _commands(root, "")
    ]
    return HEADER + joined(
        "# Command line",
        "What each verb's `--help` prints. `world=NAME` and `agent=NAME` swap a whole part, `world.KEY=VALUE` changes"
        " one value, the same way in every verb. Exit codes: 0 done; 1 a requirement is missed; 2 something to fix,"
        " named in one paragraph on stderr; 129, 130 and 143 stopped by a signal.",
        *parts,
    )


def _commands(group: Any, prefix: str) -> Iterable[tuple[str, Any]]:  # Any: typer's own copy of click
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix}{name} ")
        elif not command.hidden:
            yield f"{prefix}{name}", command


def _help(command: Any, name: str) -> str:
    context = command.context_class(command, info_name=f"drive-rl {name}", terminal_width=100, max_content_width=100)
    return "\n".join(line.rstrip() for line in command.get_help(context).strip().splitlines())
