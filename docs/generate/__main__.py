"""Writes the pages that are read off the package: one for each world, and the command line's.

`make docs-pages` runs it; `tests/test_docs.py` fails when a page is out of date.
"""

from pathlib import Path

from pages import pages

DOCS = Path(__file__).resolve().parents[1]

for name, text in pages().items():
    path = DOCS / name
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
        print(f"written: docs/{name}")
