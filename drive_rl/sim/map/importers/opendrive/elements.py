"""XML -> elements that know their line, with numbers checked as they are read. Document types are refused.

Without a document type there are no entities, hence none that grow without bound or read other files.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

_LARGEST = 2e7
"""No coordinate on earth is larger [m]."""


@dataclass(eq=False)
class Element:
    """An element of a file.

    Attributes:
        tag: Its name, without a namespace's prefix.
        line: Where it begins, from 1.
        attributes: Its attributes as text.
        children: The elements in it.
    """

    tag: str
    line: int
    attributes: dict[str, str]
    children: list["Element"] = field(default_factory=list)

    def each(self, path: str) -> Iterator["Element"]:
        """Yield the elements at a path such as `lanes/laneSection`, in the file's order."""
        tag, _, rest = path.partition("/")
        for child in self.children:
            if child.tag == tag:
                yield from child.each(rest) if rest else (child,)

    def first(self, path: str) -> "Element | None":
        """Return the first element at a path, if any."""
        return next(self.each(path), None)

    def text(self, key: str, default: str = "") -> str:
        """Return an attribute as text."""
        return self.attributes.get(key, default).strip()

    def number(self, key: str, default: float | None = None, at_least: float = -math.inf) -> float:
        """Return an attribute as a number of at most 2e7 either way.

        Raises:
            ValueError: it is missing and has no default, or is not such a number.
        """
        text = self.text(key)
        if not text and default is not None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (abs(value) <= _LARGEST and value >= at_least):
            least = f" of at least {at_least:g}" if at_least > -math.inf else ""
            least += f" and at most {_LARGEST:g}" if value > _LARGEST else ""
            found = f"{key} = {text!r}" if key in self.attributes else f"{key} is missing"
            raise self.wrong(f"{found}, expected a number{least}")
        return value

    def whole(self, key: str) -> int:
        """Return an attribute as a whole number.

        Raises:
            ValueError: it is missing or not whole.
        """
        value = self.number(key)
        if value != int(value):
            raise self.wrong(f"{key} = {self.text(key)!r}, expected a whole number")
        return int(value)

    def wrong(self, what: str) -> ValueError:
        """Return the error that something is wrong here."""
        name = self.text("id") or self.text("name")
        return ValueError(f"line {self.line}: <{self.tag}{f' {name}' if name else ''}>: {what}")


def parse(data: bytes) -> Element:
    """Return the outermost element of a file.

    Raises:
        ValueError: it is not XML, or has a document type.
    """
    top = Element("", 0, {})
    open_elements = [top]
    parser = expat.ParserCreate()

    def start(tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag.rpartition(":")[2], parser.CurrentLineNumber, attributes)
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def end(_: str) -> None:
        open_elements.pop()

    def refuse(*_: object) -> None:
        raise ValueError(f"line {parser.CurrentLineNumber}: has a document type (<!DOCTYPE>), expected none")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, LookupError) as error:  # LookupError: an encoding that Python does not know
        raise ValueError(f"is not XML: {error}") from error
    return top.children[0]
