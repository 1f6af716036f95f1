"""The W&B tracker: online when logged in, else offline; never a prompt, never a silent fallback.

It knows wandb 0.31 and the run folder. It does not know what the numbers mean.

Everything is in the run folder, so that `wandb sync` works later: the events in `RUN/wandb/`, a copy of each film
(wandb's own) and of each model (ours, in `RUN/wandb/models/`), and the run's id in `RUN/wandb.json`, so that a resumed
run keeps its id. Points are plotted over `global_step`. W&B's own counter, `_step`, is even for rows and odd for the
film after a row, the same in every process of a run: the server skips the rows of a resumed run that it already has.

Offline, each process writes its own part, and `wandb sync` uploads a part as the whole run. So each part starts with
all rows so far (`steady_tracker.replay`); when it is complete, the older ones are deleted, uploaded or not, because
uploading the new one writes the same lines again. Only the older parts' curves of the machine's load are lost.
"""

import hashlib
import re
import secrets
import shlex
import shutil
import threading
import time
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import wandb

from drive_rl.errors import DriveRLError
from drive_rl.run.folder import RunFolder
from drive_rl.run.storage.atomic import explain_disk_errors, read_json, write_json
from drive_rl.run.tracking.wandb_settings import INSTEAD, choose_mode, load_settings, reason, without_effect

STEP = "global_step"
_CONNECT_S = 30.0
_UPLOAD_S = 300.0
_ANSWER_S = 60.0
_ABANDON_S = 5.0
_SPACE = 32 * 2**20  # [bytes] needed to start
_FULL = 2**20  # [bytes] below which a disk counts as full
_NAME_LETTERS = 128  # W&B's limit for the names of artifacts and groups


class WandbTracker:
    """A W&B run tied to a run folder (a `Backend`).

    Raises:
        DriveRLError: W&B does not start: no space, no connection, a refused login, or a variable with which the run
            could not be resumed.
    """

    name = "W&B"

    def __init__(
        self, run: RunFolder, config: Mapping[str, object], project: str, echo: Callable[[str], None] = print
    ) -> None:
        self._folder, self._echo = run.path, echo
        settings = load_settings(project)
        self._mode = choose_mode(settings)
        self.close_s = _ANSWER_S + (_UPLOAD_S if self._mode == "online" else 0.0)
        self._older = _parts(run.path) | set(_models(run.path).glob("*"))
        self._run = self._start(run, config, project, settings)
        self._rows, self._known_step = 0, self._run.starting_step
        self._run.define_metric(STEP, hidden=True)
        self._run.define_metric("*", step_metric=STEP)
        if self._mode == "online":
            echo(f"W&B: {self._run.url}")
        else:
            echo(f"W&B: {self._mode}" + (" (not logged in)" if settings.mode == "online" else ""))
        if names := without_effect(settings, project):
            echo(f"W&B: without effect, because the run folder and its spec decide: {', '.join(names)}")

    def log(self, scalars: dict[str, float], step: int) -> None:
        """Record scalars at a training step."""
        self._run.log({**scalars, STEP: step}, step=2 * self._rows, commit=True)
        self._rows += 1

    def film(self, path: Path, step: int) -> None:
        """Record an mp4, gif or webm film as `film`."""
        if not path.is_file():
            raise DriveRLError(f"{path}: film not found; fix: render it first")
        form: Any = path.suffix.removeprefix(".") or "mp4"
        with explain_disk_errors(path):
            film = wandb.Video(str(path), format=form)
            self._run.log({"film": film, STEP: step}, step=max(2 * self._rows - 1, 0), commit=True)

    def model(self, folder: Path, name: str) -> None:
        """Record the files of a checkpoint folder as an artifact of type `model`."""
        if self._mode == "disabled":
            return
        name = _artifact_name(name)
        artifact = wandb.Artifact(name, type="model")
        for path in sorted(self._copy(folder, name).iterdir()):
            artifact.add_file(str(path), name=path.name, policy="immutable")
        self._run.log_artifact(artifact)

    def replace_older(self) -> None:
        """Report rows on the server that this run does not have. Older parts stay until this one is complete."""
        if (beyond := (self._known_step + 1) // 2 - self._rows) > 0:
            self._echo(
                f"W&B: the server keeps {beyond} rows logged after the checkpoint in place of this run's own;"
                " metrics.csv has these"
            )

    def close(self) -> None:
        """Finish the run and, offline, print how to upload it."""
        try:
            self._run.finish()
        except TimeoutError:
            self._echo(f"W&B: the upload did not end in {_UPLOAD_S:.0f} s; to continue: wandb sync {self._part()}")
            return
        if shutil.disk_usage(self._folder).free < _FULL:
            self._echo("W&B: the disk is full, so its record may lack the end; see metrics.csv")
            return
        if self._mode == "disabled":
            return
        for path in self._older:
            shutil.rmtree(path, ignore_errors=True)
        if self._mode == "offline":
            self._echo(f"W&B: kept offline; to upload: wandb sync {self._part()}")

    def abandon(self) -> None:
        """Abandon W&B's process: at the end of this one wandb would wait for it or print a traceback."""
        leave = threading.Thread(target=_teardown, daemon=True)
        leave.start()
        leave.join(_ABANDON_S)

    def _start(self, run: RunFolder, config: Mapping[str, object], project: str, given: wandb.Settings) -> Any:
        _need_space(run.path)
        if self._mode != "disabled":
            with explain_disk_errors(run.path / "wandb"):
                (run.path / "wandb").mkdir(exist_ok=True)
        identity = _identity(run.path / "wandb.json", given.run_id, project)
        settings = wandb.Settings(
            silent=True,
            console="off",
            init_timeout=given.init_timeout if "init_timeout" in given.model_fields_set else _CONNECT_S,
            finish_timeout=_UPLOAD_S,
            finish_timeout_raises=True,
            save_code=False,
            disable_git=True,
            use_dot_wandb=False,
            x_transaction_log_flush_interval=1.0,
        )
        _wait_for_a_new_second(run.path)
        try:
            started = wandb.init(
                project=identity["project"],
                id=identity["id"],
                resume="allow" if self._mode == "online" else None,  # else `wandb sync` would append everything
                name=given.run_name or run.path.name,
                group=given.run_group or run.path.parent.name[:_NAME_LETTERS],
                dir=str(run.path.resolve()),  # W&B's service may be another process's, elsewhere
                mode=self._mode,
                config=dict(config),
                reinit="create_new",
                settings=settings,
            )
        except Exception as error:  # of any kind: wandb has no common base class
            where = run.path / "wandb"
            raise DriveRLError(f"{where}: W&B does not start ({reason(error)}); fix: {INSTEAD}") from error
        if self._mode != "disabled" and run.path.resolve() not in Path(started.dir).resolve().parents:
            started.finish()  # wandb falls back to /tmp, where nobody would look
            raise DriveRLError(f"{run.path / 'wandb'}: W&B cannot write here; fix: {INSTEAD}")
        if started.resumed and not (run.path / "wandb.json").exists():
            started.finish()
            raise DriveRLError(
                f"WANDB_RUN_ID = {given.run_id!r}: the server holds a run of this id already, and two runs would mix;"
                " fix: unset it, or give a new id"
            )
        write_json(run.path / "wandb.json", identity)
        return started

    def _part(self) -> str:
        """Return the folder of this process's events, quoted for a shell."""
        return shlex.quote(str(Path(self._run.dir).parent))

    def _copy(self, folder: Path, name: str) -> Path:
        """Copy the model beside W&B's own files: the checkpoint may be replaced before an upload."""
        models = _models(self._folder)
        with explain_disk_errors(models):
            models.mkdir(parents=True, exist_ok=True)
            copy = models / f"{name}-{time.time_ns()}"
            copy.mkdir()
            for path in folder.iterdir():
                shutil.copyfile(path, copy / path.name)
        return copy


def _artifact_name(name: str) -> str:
    """Return a name that W&B accepts: letters without accents, digits, `_`, `.` and `-`, at most 128.

    A name that loses too much (it is long, or in another script) ends in a part of its SHA-256.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9_.-]", "-", plain)
    if name.isascii() and 0 < len(plain) <= _NAME_LETTERS:
        return plain
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{plain[: _NAME_LETTERS - 9] or 'model'}-{mark}"


def _need_space(path: Path) -> None:
    """Refuse a nearly full disk at the start: W&B silently drops what it cannot write."""
    free = shutil.disk_usage(path).free
    if free < _SPACE:
        raise DriveRLError(
            f"{path / 'wandb'}: {free / 2**20:.1f} MiB free, but W&B needs {_SPACE // 2**20}: no space left; fix: free "
            f"some space, or {INSTEAD}"
        )


def _wait_for_a_new_second(folder: Path) -> None:
    """Wait, because W&B names a start by its second: another start in the same second would overwrite it."""
    newest = max((path.stat().st_mtime for path in (folder / "wandb").glob("*run-*-*")), default=0.0)
    time.sleep(min(max(newest + 1.1 - time.time(), 0.0), 1.1))


def _parts(folder: Path) -> set[Path]:
    """Return the offline parts in a run folder."""
    return set((folder / "wandb").glob("offline-run-*"))


def _models(folder: Path) -> Path:
    return folder / "wandb" / "models"


def _identity(path: Path, given: str | None, project: str) -> dict[str, str]:
    """Return the W&B id and project of a run folder: those it started with, else WANDB_RUN_ID or a new id."""
    if not path.exists():
        return {"id": given or secrets.token_hex(4), "project": project}
    identity = read_json(path, "fix: delete it to start a new W&B run")
    if not isinstance(identity, dict) or not all(isinstance(identity.get(key), str) for key in ("id", "project")):
        raise DriveRLError(f"{path}: expected `id` and `project`; fix: delete it to start a new W&B run")
    if given not in (None, identity["id"]):
        raise DriveRLError(
            f"WANDB_RUN_ID = {given!r}, but this run started as {identity['id']!r} ({path}); fix: unset WANDB_RUN_ID"
        )
    return identity


def _teardown() -> None:
    """End W&B in this process. That its own process is gone, or is slow, has been reported."""
    try:
        wandb.teardown()
    except (Exception, SystemExit):  # of any kind: what failed before fails again
        return
