"""Values read back from JSON equal what was written, and what does not fit is refused with its place."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from drive_rl.benchmark.reading import check_results_are_of, read_as
from drive_rl.errors import DriveRLError
from drive_rl.run.storage.json_values import plain


class Pair(NamedTuple):
    low: float
    high: float = 1.0


@dataclass(frozen=True)
class Whole:
    name: str
    kind: Literal["a", "b"]
    pair: Pair
    by_size: Mapping[int, float]
    counts: dict[str, NDArray[np.int64]]
    absent: str | None
    several: tuple[Pair, ...] = ()
    number: int | float | None = None
    loose: Mapping[str, object] | None = None


WHOLE = Whole(
    "x", "a", Pair(float("nan"), 2.0), {3: 0.5}, {"n": np.array([[1, 2]])}, None, (Pair(0.0),), 7, {"any": [1]}
)


def test_values_survive_json():
    found = read_as(Whole, json.loads(json.dumps(plain(WHOLE))))
    assert (found.name, found.kind, found.by_size, found.several, found.loose) == (
        "x",
        "a",
        {3: 0.5},
        (Pair(0.0),),
        {"any": [1]},
    )
    assert np.isnan(found.pair.low)
    assert found.absent is None
    assert isinstance(found.number, int)
    assert found.counts["n"].tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"name": 3}, r"\.name = 3: expected a str"),
        ({"kind": "c"}, r"\.kind = 'c': expected one of a, b"),
        ({"pair": {"hi": 1}}, r"\.pair\.hi: unknown key in a Pair; expected one of low, high"),
        ({"pair": {}}, r"\.pair\.low: missing"),
        ({"by_size": {"3": "much"}}, r"\.by_size\.3 = 'much': expected a number"),
        ({"by_size": {"three": 1}}, "three"),
        ({"several": {}}, r"\.several = \{\}: expected a list"),
        ({"number": "7"}, r"\.number = '7': expected a number"),
        ({"other": 1}, r"\.other: unknown key in a Whole"),
    ],
)
def test_what_does_not_fit_is_refused(change, error):
    with pytest.raises(ValueError, match=error):
        read_as(Whole, {**plain(WHOLE), **change})


def test_results_of_something_else_are_kept(tmp_path: Path) -> None:
    check_results_are_of("drivers", tmp_path)
    path = tmp_path / "results.json"
    for replaced in ("{", '{"format": 1, "drivers": []}'):
        path.write_text(replaced)
        check_results_are_of("drivers", tmp_path)
    for kept in ('{"models": []}', "[1]"):
        path.write_text(kept)
        with pytest.raises(DriveRLError, match=r"results.json: has no 'drivers': expected .*; fix: another --out"):
            check_results_are_of("drivers", tmp_path)
        assert path.read_text() == kept
