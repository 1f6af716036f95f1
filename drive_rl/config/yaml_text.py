"""YAML as drive-rl reads and writes it: plain data, with the numbers and words of YAML 1.2, and no surprises.

It knows text only: no spec, no file, no command line.

PyYAML reads YAML 1.1, where `1:30` is 90, `017` is 15, `no` is false, `2024-01-01` is a date, and `1e-3` is text. Here

- numbers are decimal: `17`, `-0.5`, `.5`, `1e-3`, `1_000_000`, and `.inf` and `.nan` where a key allows them;
- `true` and `false` are the only booleans;
- everything else but `null` is text, which a key that expects a number refuses.
"""

import copy
import re
from functools import lru_cache
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

LARGEST = 100_000
"""Characters of a text. The largest specs that drive-rl writes are below 6,000; PyYAML reads 200,000 a second."""

_MOST_VALUES = 10_000  # with what aliases and `<<` stand for
_DEEPEST = 32
_MOST_DIGITS = 300  # what is longer is beyond any float
_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*(?:_[0-9]+)*)\Z")
_FLOAT = re.compile(
    rf"(?:[-+]?(?:{_DIGITS}\.(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][-+]?[0-9]+)?"
    rf"|[-+]?{_DIGITS}[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
)
_RESOLVERS = {
    "bool": (re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), "tTfF"),
    "int": (_INT, "-+0123456789"),
    "float": (_FLOAT, "-+0123456789."),
    "null": (re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
    "merge": (re.compile(r"<<\Z"), "<"),
}


class Loader(yaml.SafeLoader):
    """`yaml.SafeLoader` for untrusted files: duplicate keys and unbounded growth are errors."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - filled in below

    def __init__(self, stream: str) -> None:
        if len(stream) > LARGEST:
            raise yaml.YAMLError(f"{len(stream):,} characters, expected at most {LARGEST:,}")
        super().__init__(stream)
        self.deep_construct = True
        self._depth, self._values = 0, 0
        self._size_of: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose a node; an alias counts as many values as what it refers to."""
        event = self.peek_event()
        if (tag := getattr(event, "tag", None)) not in (None, "!"):
            raise ComposerError(None, None, f"tag {tag[:80]!r}: expected plain values without tags", event.start_mark)
        if self._depth >= _DEEPEST:
            raise ComposerError(None, None, f"nested deeper than {_DEEPEST} levels", event.start_mark)
        before, is_alias = self._values, isinstance(event, yaml.AliasEvent)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if is_alias and id(node) not in self._size_of:
            raise ComposerError(None, None, f"*{event.anchor} refers to a value that contains itself", event.start_mark)
        self._values += self._size_of[id(node)] if is_alias else 1
        if self._values > _MOST_VALUES:
            raise ComposerError(None, None, f"more than {_MOST_VALUES:,} values", event.start_mark)
        self._size_of[id(node)] = self._values - before
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose a mapping; each key must be text and unique."""
        node = super().compose_mapping_node(anchor)
        known: set[str] = set()
        for key, _ in node.value:
            if key.tag not in (_TAG + "str", _MERGE):
                raise ComposerError(None, None, f"{_what(key)} is not text: expected a mapping of keys", key.start_mark)
            if key.value in known:
                raise ComposerError(None, None, f"key {key.value!r} is given twice", key.start_mark)
            known.add(key.value)
        return node

    def _text(self, node: yaml.ScalarNode) -> str:
        text = self.construct_scalar(node)
        if re.search("[\ud800-\udfff\0]", text):  # by an escape: "\0", "\ud800"
            raise ConstructorError(None, None, "a character that a text file cannot hold", node.start_mark)
        return text

    def _int(self, node: yaml.ScalarNode) -> int:
        if len(node.value) > _MOST_DIGITS:
            raise ConstructorError(None, None, f"a number of {len(node.value):,} digits", node.start_mark)
        return int(node.value)

    def _float(self, node: yaml.ScalarNode) -> float:
        value = float(re.sub(r"\.(?=[inIN])", "", node.value))
        # 1e6, without a point, is accepted where a whole number is expected
        return int(value) if "." not in node.value and value.is_integer() and abs(value) < 2**53 else value


class Dumper(yaml.SafeDumper):
    """`yaml.SafeDumper` that also quotes text which `Loader` would read as a number."""


def parse_yaml(text: str) -> object:
    """Return the plain data in a YAML text, which is the caller's own to change.

    Raises:
        yaml.YAMLError: it is not valid YAML, or not the subset described above.
    """
    return copy.deepcopy(_parsed(text))


@lru_cache(maxsize=256)  # many recipes share a base
def _parsed(text: str) -> object:
    try:
        return yaml.load(text, Loader)
    except (ValueError, OverflowError) as error:  # "\UFFFFFFFF", %YAML 1.(6,000 digits)
        raise yaml.YAMLError(str(error)) from error


def _what(node: yaml.Node) -> str:
    return f"key {node.value[:40]!r}" if isinstance(node, yaml.ScalarNode) else "a key"


for _kind, (_pattern, _first) in _RESOLVERS.items():
    Loader.add_implicit_resolver(_TAG + _kind, _pattern, list(_first))
Loader.add_constructor(_TAG + "str", Loader._text)
Loader.add_constructor(_TAG + "int", Loader._int)
Loader.add_constructor(_TAG + "float", Loader._float)
for _kind in ("int", "float"):
    Dumper.add_implicit_resolver(_TAG + _kind, *_RESOLVERS[_kind])
