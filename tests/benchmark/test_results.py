"""`results.json` and `results.csv`: read back, refused in another format, and those that are shipped."""

import csv
import io
import json
from pathlib import Path

import pytest

from drive_rl.benchmark.metrics import METRICS, TABLES
from drive_rl.benchmark.page import write_page
from drive_rl.benchmark.parts import PARTS
from drive_rl.benchmark.results import FORMAT, ModelResult, as_csv, read_results, results_json
from drive_rl.errors import DriveRLError

SHIPPED = Path(__file__).parents[2] / "docs" / "perception"


def test_the_table_has_a_column_for_every_number():
    models = [
        ModelResult("a, b", "a", metrics={"miou": 0.5}),
        ModelResult("c", "c", errors={"accuracy": "no such file", "closed_loop": "no lane head"}),
    ]
    rows = list(csv.DictReader(io.StringIO(as_csv(models))))
    assert [row["model"] for row in rows] == ["a, b", "c"]
    assert (rows[0]["miou"], rows[0]["success"]) == ("0.5", "")
    assert rows[1]["errors"] == "accuracy: no such file; closed_loop: no lane head"
    assert set(METRICS) < set(rows[0])


def test_the_shipped_results_are_read_and_written_alike():
    results = read_results(SHIPPED / "results.json")
    assert results_json(results) == json.loads((SHIPPED / "results.json").read_text())
    assert (SHIPPED / "results.csv").read_text() == as_csv(results.models)


def test_the_shipped_page_is_that_of_the_shipped_results(tmp_path):
    write_page(tmp_path / "index.html", read_results(SHIPPED / "results.json"))
    shipped, written = (path.read_text(encoding="utf-8") for path in (SHIPPED / "index.html", tmp_path / "index.html"))
    until = "<h2>Examples</h2>"  # their pictures are in no results
    assert until in shipped
    assert shipped.partition(until)[0] == written.partition(until)[0]
    for name in TABLES:
        assert f"<h2>{PARTS[name].title}</h2>" in shipped


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"format": 1}, r"results\.json: format = 1: expected 3; fix: measure again"),
        ({"models": [{"name": "x"}]}, r"results\.json: models\[0\]\.given: missing"),
    ],
)
def test_other_results_are_refused(tmp_path, change, error):
    raw = json.loads((SHIPPED / "results.json").read_text())
    path = tmp_path / "results.json"
    path.write_text(json.dumps({**raw, **change}))
    with pytest.raises(DriveRLError, match=error):
        read_results(path)
    path.write_text('{"format"')
    with pytest.raises(DriveRLError, match=r"results\.json: is not readable JSON"):
        read_results(path)
    assert FORMAT == 3
