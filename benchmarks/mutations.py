"""Untrusted files: small, valid ones damaged at random. It knows YAML, JSON and files, and nothing of drive-rl.

For the tests and for `fuzz.py`. The same `rng` does the same damage.
"""

import json
import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

ODD_WORDS = (
    *("true", "false", "null", "~", "yes", "no", "0", "-1", "1e9", "1e400", "-0.0", ".inf", ".nan", "1:30", "017"),
    *("0x1F", "1_000", "2024-01-01", "9" * 40, "9" * 400, "9" * 6000, "0x" + "f" * 6000, "3.5", "64.0", "''", '"'),
    *("[]", "{}", "[1, 2]", "[[1]]", "{a: 1}", "*a", "&a [*a]", "&a 1", "!!int 3", "!!python/name:os.system", "!x y"),
    *(
        "<<",
        "=",
        "|",
        ">",
        "- ",
        "? ",
        ": ",
        "#",
        "%",
        "@",
        "`",
        "\t",
        "\x00",
        "\x1b[2J",
        "\ufeff",
        "\ud800",
        "ü" * 300,
    ),
    *("timm:hf-hub:a/b", "timm:local-dir:/tmp", "timm:resnet18", "/dev/zero", "/etc/passwd", "../../x", "a" * 5000),
)
ODD_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        3.5,
        1e9,
        1e308,
        -1e308,
        float("nan"),
        float("inf"),
        10**30,
        10**400,
        2**63,
        -(2**63),
    ),
    *("", " ", "x", "1", "nan", "..", "../x.png", "/dev/zero", "/dev/stdin", "a\0b", "\ud800", "\x1b[2J", "a" * 5000),
    *(
        [],
        {},
        [[]],
        [None],
        [1],
        [0] * 1000,
        [[1, 2], [3, 4]],
        {"a": 1},
        {"size": [1, 1], "counts": "oooo"},
        [[1e9] * 9],
    ),
    *({"size": [48, 96], "counts": [-5, 10**12]}, {"size": [48, 96], "counts": "PPPP1"}, {"size": 3, "counts": None}),
)
_MERGES = "\nm0: &m0 {x: 1}\n" + "".join(
    f"m{k}: &m{k} {{<<: [{', '.join([f'*m{k - 1}'] * 9)}]}}\n" for k in range(1, 9)
)
_LAUGHS = "\nl0: &l0 [x]\n" + "".join(f"l{k}: &l{k} [{', '.join([f'*l{k - 1}'] * 9)}]\n" for k in range(1, 9))


def mutate_yaml(text: str, rng: random.Random) -> str:
    """Return a YAML text with one to three things wrong with it; it may hold lone surrogates."""
    for _ in range(rng.randint(1, 3)):
        text = rng.choice(_OF_TEXT)(text, rng)
    return text


def mutate_data_folder(folder: Path, rng: random.Random) -> str:
    """Harm one to three files of a data set, or add some; return what was done.

    Pictures, masks and label files become broken, special (a FIFO, a device, a folder), huge, or are gone.
    """
    done = []
    for _ in range(rng.randint(1, 3)):
        files = _ordinary(folder)
        if not files:
            break
        labels = [path for path in files if path.suffix in (".json", ".csv", ".txt")]
        path = rng.choice(labels if labels and rng.random() < 0.7 else files)
        harms = _OF_LABELS if path in labels and rng.random() < 0.8 else _OF_FILES
        harm = rng.choice(harms)
        harm(path, rng)
        done.append(f"{harm.__name__.strip('_')} {path.relative_to(folder)}")
    return ", ".join(done)


def _ordinary(folder: Path) -> list[Path]:
    """Return the regular files that are not huge yet."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(path for path in files if path.stat().st_size < 10**6)


# --- texts ----------------------------------------------------------------------------------------------------------


def _other_value(text: str, rng: random.Random) -> str:
    """Replace the text after a colon."""
    places = list(re.finditer(r":[ \t]+[^\n,}]*", text))
    return _put(text, rng.choice(places), f": {rng.choice(ODD_WORDS)}") if places else text + rng.choice(ODD_WORDS)


def _other_word(text: str, rng: random.Random) -> str:
    """Replace a word or a number."""
    places = list(re.finditer(r"[\w.+-]+", text))
    return _put(text, rng.choice(places), rng.choice(ODD_WORDS)) if places else text


def _more_signs(text: str, rng: random.Random) -> str:
    at = rng.randint(0, len(text))
    return text[:at] + rng.choice(ODD_WORDS) * rng.choice((1, 1, 2, 50)) + text[at:]


def _moved_line(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    line = rng.choice(lines)
    if rng.random() < 0.5:
        lines.remove(line)
    lines.insert(rng.randint(0, len(lines)), " " * rng.randint(0, 5) + line)
    return "\n".join(lines)


def _cut(text: str, rng: random.Random) -> str:
    return text[: rng.randint(0, len(text))]


def _nested(text: str, rng: random.Random) -> str:
    return _put_somewhere(text, rng.choice(("[", "{a: ", "- ", "? ")) * rng.choice((5, 40, 1000, 20_000)), rng)


def _grown(text: str, rng: random.Random) -> str:
    many = rng.choice((100, 3000, 30_000))
    return text + rng.choice(
        (_MERGES, _LAUGHS, "".join(f"\nk{n}: 0" for n in range(many)), "\n---\na: 1", "\n#" * many)
    )


def _put(text: str, place: re.Match[str], word: str) -> str:
    return text[: place.start()] + word + text[place.end() :]


def _put_somewhere(text: str, word: str, rng: random.Random) -> str:
    at = rng.randint(0, len(text))
    return text[:at] + word + text[at:]


_OF_TEXT: tuple[Callable[[str, random.Random], str], ...] = (
    *(_other_value, _other_value, _other_value, _other_word, _other_word),
    *(_more_signs, _moved_line, _cut, _nested, _grown),
)


# --- label files ----------------------------------------------------------------------------------------------------


def _text(path: Path, rng: random.Random) -> None:
    """Damage a label file as text."""
    text = path.read_bytes().decode(errors="surrogateescape")
    harmed = rng.choice((_other_word, _other_word, _more_signs, _moved_line, _cut, _nested))(text, rng)
    path.write_bytes(harmed.encode(errors="surrogatepass"))


def _values(path: Path, rng: random.Random) -> None:
    """Damage a value somewhere in JSON or in one line of it; in other files, a cell."""
    lines = path.read_bytes().decode(errors="replace").split("\n")
    whole = path.suffix == ".json" and lines[0].strip() in ("{", "[")
    at = rng.randrange(len(lines))
    try:
        value = json.loads("\n".join(lines) if whole else lines[at])
    except (ValueError, RecursionError):
        lines[at] = re.sub(r"[^, ]+", lambda cell: _cell(cell[0], rng), lines[at])
        path.write_bytes("\n".join(lines).encode(errors="surrogatepass"))
        return
    text = json.dumps(_harmed(value, rng))
    path.write_text(text if whole else "\n".join([*lines[:at], text, *lines[at + 1 :]]))


def _cell(cell: str, rng: random.Random) -> str:
    return rng.choice(ODD_WORDS) if rng.random() < 0.2 else cell


def _harmed(value: Any, rng: random.Random) -> Any:
    """Return a JSON value in which one value, at any depth, is replaced, removed or repeated."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.15:
        return rng.choice(ODD_VALUES)
    if isinstance(value, list):
        at = rng.randrange(len(value))
        if rng.random() < 0.1:
            return value[:at] + [value[at]] * rng.choice((0, 2, 3000)) + value[at + 1 :]
        return [*value[:at], _harmed(value[at], rng), *value[at + 1 :]]
    key = rng.choice(sorted(value))
    if rng.random() < 0.1:
        return {name: each for name, each in value.items() if name != key}
    return value | {key: _harmed(value[key], rng)}


_OF_LABELS = (_text, _values, _values)


# --- files ----------------------------------------------------------------------------------------------------------


def _gone(path: Path, rng: random.Random) -> None:
    path.unlink()


def _fifo(path: Path, rng: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def _device(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.symlink_to(rng.choice(("/dev/zero", "/dev/full", "/dev/tty", "/proc/self/mem", "/proc/kmsg", path.name)))


def _folder(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _sparse(path: Path, rng: random.Random) -> None:
    os.truncate(path, rng.choice((10**7, 10**10)))


def _flipped(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(rng.randint(1, 8) if data else 0):
        data[min(rng.randrange(len(data)), rng.randrange(len(data)))] = rng.randrange(256)  # mostly near the front
    path.write_bytes(data)


def _shortened(path: Path, rng: random.Random) -> None:
    os.truncate(path, rng.randint(0, path.stat().st_size))


def _huge_picture(path: Path, rng: random.Random) -> None:
    """Give a PNG another size in its header."""
    data = path.read_bytes()
    sides = [rng.choice((0, 1, 17, 8000, 20_000, 2**31 - 1, 2**32 - 1)).to_bytes(4, "big") for _ in range(2)]
    path.write_bytes(data[:16] + b"".join(sides) + data[24:])


def _other_file(path: Path, rng: random.Random) -> None:
    """Replace it with a copy of another file."""
    other = rng.choice(_ordinary(path.parent))
    if other != path:
        shutil.copy(other, path)


_OF_FILES = (_gone, _fifo, _device, _folder, _sparse, _flipped, _flipped, _shortened, _huge_picture, _other_file)
