"""Text of strangers: the characters that steer a terminal, or turn the text around them, instead of being read."""

import re

_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and newline; ESC begins a terminal's commands
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # they change the direction of the text around them
    "\u2028\u2029"  # line and paragraph separators
    "\ud800-\udfff]"  # halves of characters: bytes of another encoding
)


def plain(text: str) -> str:
    """Return text that is safe to print: what steers a terminal shows as an escape such as ``\\x1b``."""
    return _STEERING.sub(lambda found: ascii(found[0])[1:-1], text)


def readable(text: str) -> str:
    """Return text as it is.

    Raises:
        ValueError: it has several lines, or characters that steer a terminal.
    """
    if "\n" in text or "\t" in text or _STEERING.search(text):
        raise ValueError("holds characters that cannot be read, such as ESC or a line's end; fix: leave them out")
    return text
