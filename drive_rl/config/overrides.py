"""Changes as the command line gives them: `a.b.c=value`, and `world=NAME` for a whole part. It knows no spec."""

from collections.abc import Iterable

import yaml

from drive_rl.config.explain import FIXED, short
from drive_rl.config.raw import Raw, reason
from drive_rl.config.yaml_text import parse_yaml
from drive_rl.errors import DriveRLError


def swapped(part: str, changes: Iterable[str]) -> tuple[str | None, list[str]]:
    """Return the name that a change such as `world=NAME` gives a part, if any, and the other changes.

    Raises:
        DriveRLError: the change has no value.
    """
    changes, prefix = list(changes), f"{part}="
    names = [change.removeprefix(prefix).strip() for change in changes if change.startswith(prefix)]
    if "" in names:
        raise DriveRLError(f"command line: {prefix!r}: has no value; fix: {prefix}NAME")
    return (names[-1] if names else None), [change for change in changes if not change.startswith(prefix)]


def override(raw: Raw, text: str, prefix: str) -> str:
    """Set `a.b.c=value` in `raw`; return its key without the prefix that was typed before it.

    Raises:
        DriveRLError: `text` is not `KEY=VALUE`, or the key lies below a value.
    """
    key, equals, value = text.partition("=")
    typed = prefix + key
    _check(key, equals, value, prefix)
    parsed = parse_value(typed, value)
    *parents, last = key.split(".")
    at = raw
    for parent in parents:
        at = at.setdefault(parent, {})
        if not isinstance(at, dict):
            what = f"{parent} is a value and has no keys below it"
            raise DriveRLError(f"command line: {typed}: {what}; fix: leave it out")
    if parsed is None and last in at:
        del at[last]  # as in a file: null removes a key
    else:
        at[last] = parsed
    return key


def parse_value(key: str, text: str) -> object:
    """Return the value typed for a key.

    Raises:
        DriveRLError: it is not valid YAML.
    """
    try:
        return parse_yaml(text)
    except yaml.YAMLError as error:
        raise DriveRLError(
            f"command line: {key} = {short(text)}: is not a valid YAML value: {reason(error)}; fix: close its"
            " brackets, or quote it as text"
        ) from error


def _check(key: str, equals: str, value: str, prefix: str) -> None:
    typed = prefix + key
    if not equals or not all(key.split(".")):
        raise DriveRLError(
            f"command line: {typed + equals + value!r}: expected key=value; fix: such as agent.learning_rate=3e-4"
        )
    if (fix := FIXED.get(key.split(".")[-1])) is not None:
        raise DriveRLError(f"command line: {typed}: cannot be overridden; fix: {fix}")
    if not value.strip():
        raise DriveRLError(
            f"command line: {typed + equals + value!r}: has no value; fix: {typed}=VALUE, or {typed}=null for none"
        )
