"""The benchmark of perception models: every part of every model, kept as soon as it is done, and what follows of all.

It strings the parts together and writes files. It does not know how anything is measured, and draws no page.
"""

import hashlib
import json
import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from drive_rl import __version__
from drive_rl.benchmark import parts
from drive_rl.benchmark.correlation import relations
from drive_rl.benchmark.examples import examples
from drive_rl.benchmark.metrics import Floor, as_csv, metrics_of, missed_floors
from drive_rl.benchmark.page import write_page
from drive_rl.benchmark.settings import BenchSetting
from drive_rl.errors import DriveRLError
from drive_rl.perception.data.folder_dataset import read_folder
from drive_rl.perception.data.formats.detect import DataFolder
from drive_rl.perception.data.rendered_dataset import held_out
from drive_rl.perception.data.samples import Samples
from drive_rl.perception.evaluation.lane_benchmarks import Truths
from drive_rl.perception.models.load import Trained, load_trained
from drive_rl.run.provenance import cpu_model, provenance, usable_cores
from drive_rl.run.storage.atomic import explain_disk_errors, make_directory, sweep, write_json, write_text
from drive_rl.run.storage.json_values import plain
from drive_rl.run.storage.lock import only_writer
from drive_rl.run.storage.manifest import sha256_of
from drive_rl.run.storage.scratch import scratch

PARTS = ("sees", "fast", "robust", "drives", "examples")
FORMAT = 1
_TIMED = 64  # pictures that speed is measured with

Progress = Callable[[float, str], None]
"""Called with the share that is done, in [0, 1], and what is being done."""


def run_benchmark(
    models: Sequence[str],
    out: Path,
    setting: BenchSetting,
    drive: parts.Drive,
    data: Path | None = None,
    floors: Sequence[Floor] = (),
    progress: Progress | None = None,
    resume: bool = True,
) -> dict[str, Any]:
    """Measure models, and write `results.json`, `results.csv` and `index.html` into `out`.

    A part that is done, all of its engines too, is kept in `out/parts/`, under a hash of the weights and of what was
    asked, so that the same command goes on where it stopped and measures nothing twice. A part that fails leaves its
    reason, and the others go on; so does a model that cannot be loaded.

    Args:
        models: Names or paths, as `load_trained` takes them.
        out: The folder.
        setting: How much.
        drive: Drives a model.
        data: A folder of labelled pictures to see, instead of the split's own.
        floors: What every model must reach.
        progress: Told what is being done.
        resume: Whether parts that are done already are taken as they are.

    Returns:
        What `results.json` holds. `missed_floors` has a line for each floor that a model misses.

    Raises:
        DriveRLError: no model is named, `data` is no data set, or `out` may not be written.
    """
    if not models:
        raise DriveRLError("no model is named; fix: drive-rl bench perception MODEL...")
    if data is not None:
        DataFolder.open(data)
    tell = progress or _silent
    with only_writer(out / ".lock", out), explain_disk_errors(out):
        for folder in (out, *(out / "parts").glob("*/")):
            sweep(folder)
        with scratch(out / "corrupted", Path.mkdir) as kept:
            bench = _Bench(out, setting, drive, data, resume, kept)
            results, rows = _measure_all(bench, models, floors, tell)
        write_json(out / "results.json", results)
        write_text(out / "results.csv", as_csv(rows))
        write_page(out / "index.html", results, {row["name"]: row["parts"]["examples"] for row in rows})
    tell(1.0, "done")
    return results


def _measure_all(
    bench: "_Bench", models: Sequence[str], floors: Sequence[Floor], tell: Progress
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what `results.json` holds, and a row for each model."""
    rows: list[dict[str, Any]] = []
    for i, name in enumerate(models):
        rows.append(bench.model(name, {row["name"] for row in rows}, _within(tell, i, len(models))))
    results = plain(
        {
            "format": FORMAT,
            "drive_rl": __version__,
            "setting": asdict(bench.setting),
            "data": None if bench.data is None else str(bench.data),
            "skipped": bench.skipped,
            "provenance": provenance("field"),
            "relations": relations(rows),
            "floors": [str(floor) for floor in floors],
            "missed_floors": missed_floors(rows, floors),
            "models": [_without_details(row) for row in rows],
        }
    )
    return results, rows


@dataclass
class _Bench:
    """What the parts of all models share."""

    out: Path
    setting: BenchSetting
    drive: parts.Drive
    data: Path | None
    resume: bool
    kept: Path
    skipped: list[str] = field(default_factory=list)
    _pictures: dict[str, tuple[Samples, Truths | None]] = field(default_factory=dict)

    def model(self, name: str, taken: Container[str], tell: Progress) -> dict[str, Any]:
        """Return a model's row: `name` (none of those taken), `given`, what it is, `parts`, `errors` and `metrics`."""
        try:
            trained = load_trained(name)
        except DriveRLError as error:
            failed, label = {part: {"error": str(error)} for part in PARTS}, _label(Path(name).name or name, taken)
            return {"name": label, "given": name, "parts": failed, "errors": {"model": str(error)}, "metrics": {}}
        label = _label(trained.name, taken)
        found: dict[str, Any] = {}
        for i, part in enumerate(PARTS):
            found[part] = self._part(trained, label, part, found, _within(tell, i, len(PARTS), f"{label}: {part}"))
        errors = {part: value["error"] for part, value in found.items() if "error" in value}
        model = trained.spec.model
        about = {"encoder": model.encoder.kind, "heads": list(model.heads), "input": list(trained.model.shape)}
        return {
            "name": label,
            "given": name,
            **about,
            "weights_sha256": sha256_of(trained.weights),
            "parts": found,
            "errors": errors,
            "metrics": metrics_of(found),
        }

    def _part(self, trained: Trained, label: str, part: str, before: Mapping[str, Any], tell: Progress) -> Any:
        """Return a part, measured or as it was kept; or `error`, why there is none."""
        tell(0.0, "")
        try:
            measure, asked = self._measure(trained, part, before, tell)
            key = _key(trained, part, asked)
            file = self.out / "parts" / _slug(label) / f"{part}.json"
            if self.resume and (kept := _kept(file, key)) is not None:
                return kept
            found = plain(measure())
            whole = not any("error" in engine for engine in found.get("runtimes", {}).values())
        except Exception as error:  # whatever it is, it is this part's alone
            return {"error": str(error) if isinstance(error, DriveRLError) else f"{type(error).__name__}: {error}"}
        if whole:
            with explain_disk_errors(file):
                make_directory(file.parent)
            write_json(file, {"key": key, "asked": plain(asked), "found": found})
        return found

    def _measure(
        self, trained: Trained, part: str, before: Mapping[str, Any], tell: Progress
    ) -> tuple[Callable[[], Any], dict[str, Any]]:
        """Return how a part is measured, and all that its result depends on beside the model."""
        setting = self.setting
        own: dict[str, Any] = {**asdict(getattr(setting, part)), "split": setting.split}
        steps = _counted(tell)
        if part == "drives":
            delay = parts.latency_s(before["fast"])
            own["delay_s"] = delay
            return partial(parts.drives, trained, setting.split, setting.drives, self.drive, delay, steps), own
        own["data"] = _stamp(self.data)
        pictures = partial(self._shown, trained)
        if part == "sees":
            return lambda: parts.sees(trained, *pictures(setting.sees.pictures)), own
        if part == "fast":
            own |= {"threads": setting.threads, "machine": [cpu_model(), usable_cores()]}
            return lambda: parts.fast(trained, pictures(_TIMED)[0], setting.threads, setting.fast), own
        if part == "robust":
            kept, count = self.kept / self._source(trained), setting.robust.pictures
            return lambda: parts.robust(trained, pictures(count)[0], setting.robust, kept, steps), own
        return lambda: examples(trained, pictures(setting.examples.pictures)[0], setting.examples), own

    def _shown(self, trained: Trained, count: int) -> tuple[Samples, Truths | None]:
        """Return the first `count` pictures, or as many as there are: the same for all models of one camera."""
        source, setting = self._source(trained), self.setting
        if source not in self._pictures:
            most = max(setting.sees.pictures, setting.robust.pictures, setting.examples.pictures)
            if self.data is None:
                frames = held_out(trained.spec.world, trained.spec.data, setting.split, most)
                self._pictures[source] = frames, None
            else:
                found = read_folder(self.data, trained.spec.world, limit=most)
                self.skipped = found.skipped.report()
                self._pictures[source] = found.samples, found.truths
        frames, truths = self._pictures[source]
        return frames.take(slice(0, count)), None if truths is None else truths[:count]

    def _source(self, trained: Trained) -> str:
        spec = trained.spec
        return _hash([spec.world.model_dump(mode="json"), spec.data.model_dump(mode="json")])


def _label(name: str, taken: Container[str]) -> str:
    """Return a model's name, numbered where others have it already."""
    label, number = name, 2
    while label in taken:
        label, number = f"{name} ({number})", number + 1
    return label


def _key(trained: Trained, part: str, asked: Mapping[str, Any]) -> str:
    spec = trained.spec.model_dump(mode="json")
    return _hash({"v": __version__, "weights": sha256_of(trained.weights), "spec": spec, "part": part, "asked": asked})


def _kept(file: Path, key: str) -> Any:
    """Return a part that was measured under the same key; None if there is none, or the file is damaged."""
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        return stored["found"] if stored["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _stamp(data: Path | None) -> Any:
    """Return what changes when a file of a folder does."""
    if data is None:
        return None
    files = (path for path in sorted(data.rglob("*")) if path.is_file())
    return _hash([[str(path.relative_to(data)), path.stat().st_size, path.stat().st_mtime_ns] for path in files])


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(plain(value), sort_keys=True).encode()).hexdigest()


def _slug(label: str) -> str:
    return re.sub(r"[^\w.-]+", "-", label).strip(".-") or "model"


def _without_details(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row without what only intervals and the page need: counts of each road, and pictures."""
    sees = {key: value for key, value in row["parts"]["sees"].items() if key != "by_road"}
    found = {**row["parts"], "sees": sees}
    del found["examples"]
    return {**row, "parts": found}


def _within(tell: Progress, index: int, count: int, what: str = "") -> Progress:
    """Return progress of one of `count` equal steps."""
    return lambda share, detail: tell((index + share) / count, " ".join(filter(None, (what, detail))))


def _counted(tell: Progress) -> Callable[[int, int, str], None]:
    return lambda done, total, what: tell(min(1.0, done / total), what)


def _silent(share: float, what: str) -> None:
    """Progress that nobody watches."""
