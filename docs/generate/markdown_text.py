"""Markdown, as the generated pages write it."""

from collections.abc import Iterable

HEADER = "<!-- Written by docs/generate; change that, and run `make docs-pages`. -->\n\n"


def joined(*parts: str) -> str:
    """Return paragraphs as one text; a page, which begins with a title, ends its last line."""
    return "\n\n".join(parts) + ("\n" if parts[0].startswith("# ") else "")


def table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    """Return a table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
