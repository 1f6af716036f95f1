"""What pydantic finds wrong with a spec, one plain line a mistake: file, key, value, what was expected, the fix."""

import difflib
import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from drive_rl.config.extensions import find, unknown
from drive_rl.config.old_names import renamed
from drive_rl.config.spec_keys import Loc, fields, is_agent, names_at, nearest_key, written
from drive_rl.config.specs.driver import ALGORITHMS, PLUGIN_DRIVER

COMMAND_LINE = "command line"
FIXED: Mapping[str, str] = {"name": "copy the file under another name", "plugins": "--plugin FILE.py"}
"""Keys that the command line cannot change, and the fix."""
_MOST_MISTAKES = 20  # listed in one error
_OF_A_KEY = "[key]"
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxlist, _BRIEF.maxtuple, _BRIEF.maxstring, _BRIEF.maxother = 3, 16, 16, 80, 80

_EXPECTED: Mapping[str, str] = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "string_pattern_mismatch": "text of the form {pattern}",
    "dict_type": "a mapping; fix: such as {{NAME: VALUE}}",
    "none_required": "null",
    "greater_than": "> {gt}",
    "greater_than_equal": ">= {ge}",
    "less_than": "< {lt}",
    "less_than_equal": "<= {le}",
    "too_short": "at least {min_length} value(s), got {actual_length}; fix: add some",
    "too_long": "at most {max_length} value(s), got {actual_length}; fix: leave some out",
}
"""pydantic's error types -> what was expected, filled in from the error's context."""


@dataclass(frozen=True)
class Given:
    """What was validated, and where it came from."""

    adapter: TypeAdapter[Any]
    sources: Mapping[str, str]  # top-level key ("" for the rest) -> the file that its values came from
    typed: set[str]  # keys set on the command line, without `prefix`
    prefix: str  # what the command line has before each of these keys
    algorithm: str | None = None  # the driver's, whose keys are known


def explain(given: Given, error: ValidationError, is_new: Callable[[ErrorDetails], bool]) -> str:
    """Return one line for each mistake; those that `is_new` are the command line's, for the files alone lack them."""
    found = [item for item in error.errors() if not _is_of_entries(item)]
    lines = [_line(given, item, is_new(item)) for item in found[:_MOST_MISTAKES]]
    if len(lines) < len(found):
        lines.append(f"and {len(found) - len(lines):,} more mistakes")
    return "\n".join(lines)


def _is_of_entries(item: ErrorDetails) -> bool:
    """Whether a list counts as too short because entries of it are wrong, which have lines of their own."""
    return item["type"] == "too_short" and len(item["input"]) >= item.get("ctx", {}).get("min_length", 0)


def short(value: object) -> str:
    """Return a value as an error shows it: on one line of at most 80 characters."""
    text = str(value).lower() if isinstance(value, bool) else _BRIEF.repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _line(given: Given, item: ErrorDetails, new: bool) -> str:
    keys, kind = _keys(given.adapter, item["loc"]), item["type"]
    source, dotted = _place(given, keys, kind == "extra_forbidden", new)
    where = f"{source}: {dotted}" if dotted else source
    if kind == "missing":
        return f"{where}: is missing; fix: add it"
    if kind == "union_tag_not_found":
        if _tag(item) == "algorithm":
            return f"{where}: algorithm is missing; fix: add it, or `base: NAME` of a recipe"
        known = ", ".join(names_at(given.adapter, item["loc"]))
        return f"{where}.{_tag(item)}: is missing; expected one of {known}; fix: add it"
    if kind == "extra_forbidden" and (message := renamed(_from_the_top(given.adapter, keys), dotted)):
        return f"{source}: {message}"
    if keys[-1:] == [_OF_A_KEY]:  # pydantic takes a mapping's key for a value below it
        return f"{where.removesuffix(f'.{_OF_A_KEY}')}: {_message(given, item)}"
    if isinstance(item["input"], Mapping):
        return _line_of_mapping(given, item, keys, where, dotted)
    value, message = short(item["input"]), _message(given, item)
    if keys and message.startswith(f"{keys[-1]} = "):  # it names key and value itself
        return f"{where}{message.removeprefix(keys[-1])}"
    return f"{where} = {value}: {message}" if dotted else f"{source}: {value}: {message}"


def _line_of_mapping(given: Given, item: ErrorDetails, keys: list[str], where: str, dotted: str) -> str:
    if item["type"].endswith("_type"):
        below = f"{'.'.join(keys)}."
        for key in given.typed:
            if keys and key.startswith(below):
                what = f"{keys[-1]} is a value and has no keys below it"
                return f"{COMMAND_LINE}: {given.prefix}{key}: {what}; fix: leave it out"
    message = _message(given, item)
    about_a_key = bool(dotted) and message.replace(".", " ").split()[0] in fields(given.adapter, item["loc"])
    return f"{where}{'.' if about_a_key else ': '}{message}"


def _place(given: Given, keys: list[str], unknown: bool, new: bool) -> tuple[str, str]:
    """Return where a mistake was made, and its key as written there."""
    dotted = ".".join(keys)
    below = any(dotted.startswith(f"{key}.") or (unknown and key.startswith(f"{dotted}.")) for key in given.typed)
    if new or dotted in given.typed or below:
        return COMMAND_LINE, f"{given.prefix}{dotted}" if dotted else ""
    source = given.sources[""]
    own = given.sources.get(keys[0], source) if keys else source
    of_a_part = own not in (source, COMMAND_LINE)  # a file of its own, whose keys begin below the part's
    return own, ".".join(keys[1:]) if of_a_part else dotted


def _message(given: Given, item: ErrorDetails) -> str:
    """Return what is wrong with the value, in plain words."""
    kind, context = item["type"], item.get("ctx", {})
    if kind == "extra_forbidden":
        fixed = FIXED if ".".join(_keys(given.adapter, item["loc"])) in given.typed else ("name",)
        return f"unknown key; {nearest_key(given.adapter, item['loc'], given.prefix, given.algorithm, fixed)}"
    if kind in ("model_type", "model_attributes_type"):
        known = fields(given.adapter, item["loc"])
        return "is not a mapping" + (f"; expected keys below it: {', '.join(known)}" if known else "")
    if kind == "union_tag_invalid":
        name, expected = str(context["tag"]), str(context["expected_tags"])
        if _tag(item) == "algorithm":
            return _unknown_algorithm(name, expected)
        return f"{_tag(item)} = {name!r}: expected {expected}; {_one_of(name, expected)}"
    if kind == "literal_error":
        return f"expected {context['expected']}; {_one_of(str(item['input']), str(context['expected']))}"
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind].format(**{key: _plain(value) for key, value in context.items()})}"
    return item["msg"].removeprefix("Value error, ")


def _tag(item: ErrorDetails) -> str:
    """Return the key that says which of several specs a mapping is."""
    named = str(item.get("ctx", {}).get("discriminator", "")).strip("'")
    return named if named.isidentifier() else "algorithm"  # that of drivers is a function


def _unknown_algorithm(name: str, expected: str) -> str:
    if repr(PLUGIN_DRIVER) in expected:
        return f"algorithm = {name!r}: {unknown('driver', name, ALGORITHMS)}"
    if name in ALGORITHMS or find("driver", name) is not None:
        fix = "fix: agent=ppo, or drive it as it is, with drive-rl eval"
        return f"algorithm = {name!r}: does not learn; expected one of {expected}; {fix}"
    return f"algorithm = {name!r}: expected one of {expected}; fix: one of them"


def _one_of(value: str, expected: str) -> str:
    """Return the fix for a word that is none of those in pydantic's text (`'a', 'b' or 'c'`)."""
    known = re.findall("'([^']*)'", expected)
    close = difflib.get_close_matches(value, known, n=1)
    return f"did you mean {close[0]!r}?" if close else "fix: one of them" if len(known) > 1 else "fix: leave it so"


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _keys(adapter: TypeAdapter[Any], loc: Loc) -> list[str]:
    """Return an error's place as the user writes it."""
    return [str(part) if len(str(part)) <= 80 else f"{str(part)[:77]}..." for part in written(adapter, loc)]


def _from_the_top(adapter: TypeAdapter[Any], keys: list[str]) -> str:
    return ".".join(["agent", *keys] if is_agent(adapter) else keys)
