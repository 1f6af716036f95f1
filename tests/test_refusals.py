"""Every refusal names a fix, or is about one value of a known range and names what was expected of it.

The text of each error is read from the sources. What is interpolated carries the fix where it is another error, or what
`nearest` or `unknown` say.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import drive_rl

PACKAGE = Path(drive_rl.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "_shelf" not in path.parts)
ERRORS = ("DriveRLError", "PluginNeededError")
CARRIERS = {
    "error",
    "reasons",
    "nearest",
    "unknown",
    "_unknown",
    "known",
    "why",
    "wrong",
    "expected",
    "_WANTED",
    "_lost",
    "report",
}
"""Names and functions whose text holds the fix, or what was expected."""
IN_CODE = ("sim", "perception", "sb3", "wrappers", "testing")
"""Rooms that are called from Python: what was expected of an argument is the fix."""


def refusals(path: Path) -> Iterator[tuple[int, str, set[str]]]:
    """Yield the line, the constant text and the names in each error that a file raises."""
    errors = (*ERRORS, "ValueError") if "specs" in path.parts else ERRORS  # others are caught, and explained there
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in errors and node.args:
            parts = [part for argument in node.args for part in ast.walk(argument)]
            text = "".join(
                part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)
            )
            named = {part.id for part in parts if isinstance(part, ast.Name)}
            yield node.lineno, text, named | {part.attr for part in parts if isinstance(part, ast.Attribute)}


def test_every_fix_says_that_it_is_one() -> None:
    """What is called a fix ends a message: it begins with `fix:`, or the messages that it ends do so."""
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for name, value in re.findall(r'^(_?FIX|_WANTED) = f?"(.*)"$', text, re.MULTILINE):
            ends = "fix: " in value or f"fix: {{{name}}}" in text or f'called(what, "fails", {name})' in text
            assert ends, f"{path}: {name} = {value}"


@pytest.mark.parametrize("room", sorted({path.relative_to(PACKAGE).parts[0] for path in FILES}))
def test_every_refusal_names_a_fix(room: str) -> None:
    bare = []
    for path in FILES:
        if path.relative_to(PACKAGE).parts[0] != room:
            continue
        for line, text, names in refusals(path):
            wraps = not re.search("[a-z]", text)  # what it holds was made elsewhere
            fixed = wraps or "fix:" in text or any("fix" in name.lower() for name in names) or names & CARRIERS
            if not fixed and not (room in IN_CODE and "expected" in text):
                bare.append(f"{path.relative_to(PACKAGE)}:{line}: {text[:90]}")
    assert not bare, "\n".join(bare)
