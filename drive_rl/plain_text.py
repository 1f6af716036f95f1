"""Untrusted text: characters that control a terminal, or reorder the text around them."""

import re

_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and newline; ESC starts a terminal's commands
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # they change the direction of the text around them
    "\u2028\u2029"  # line and paragraph separators
    "\ud800-\udfff]"  # halves of characters: bytes of another encoding
)


def plain(text: str) -> str:
    """Return text that is safe to print: control characters become escapes such as ``\\x1b``."""
    return _STEERING.sub(lambda found: ascii(found[0])[1:-1], text)


def readable(text: str) -> str:
    """Return the text unchanged.

    Raises:
        ValueError: it has several lines, or characters that control a terminal.
    """
    found = _STEERING.search(text) or re.search(r"[\n\t]", text)
    if found is not None:
        raise ValueError(f"holds {found[0]!a}, which is not printable; fix: remove it")
    return text
