"""How the house is built: sizes of files, functions and folders, and how much is untyped. Floors: `lint-imports`.

A line of a function is one from its `def` to its end that is neither empty, a comment, nor part of its docstring.
"""

import ast
import io
import re
import statistics
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import drive_rl

PACKAGE = Path(drive_rl.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "_shelf" not in path.parts)
MOST_PARAMETERS = 8

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            yield node


def code_lines(path: Path) -> set[int]:
    """Return the numbers of the lines that hold code."""
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type not in skipped:
            found.update(range(token.start[0], token.end[0] + 1))
    return found


def length(function: Function, code: set[int]) -> int:
    lines = set(range(function.lineno, (function.end_lineno or function.lineno) + 1)) & code
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return len(lines)


def parameters(function: Function) -> int:
    arguments = function.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def test_files_are_short() -> None:
    lines = {path.relative_to(PACKAGE).as_posix(): len(path.read_text().splitlines()) for path in FILES}
    long = {name: count for name, count in lines.items() if count > 320}
    assert not long
    assert statistics.median(lines.values()) <= 110


def test_functions_are_short() -> None:
    lengths = [length(function, code) for path in FILES for code in [code_lines(path)] for function in functions(path)]
    assert statistics.median(lengths) <= 8


@pytest.mark.parametrize("room", sorted({path.relative_to(PACKAGE).parts[0] for path in FILES} - {"cli"}))
def test_no_function_has_many_parameters(room: str) -> None:
    """Not of `cli`: a parameter of a verb is an option, which Typer reads from the signature."""
    many = {
        f"{path.relative_to(PACKAGE)}:{function.lineno} {function.name}": parameters(function)
        for path in FILES
        if path.relative_to(PACKAGE).parts[0] == room
        for function in functions(path)
        if parameters(function) > MOST_PARAMETERS
    }
    assert not many


def test_little_is_untyped() -> None:
    """Raw YAML and JSON, gym's info and options, keyword arguments of libraries: nothing else is `dict[str, Any]`."""
    found = Counter(
        {path.relative_to(PACKAGE).as_posix(): len(re.findall(r"dict\[str, Any\]", path.read_text())) for path in FILES}
    )
    assert found.total() <= 20, found.most_common(40)


def test_folders_are_small() -> None:
    modules = Counter(path.parent.relative_to(PACKAGE).as_posix() for path in FILES if path.name != "__init__.py")
    assert max(modules.values()) <= 15, modules.most_common(3)
