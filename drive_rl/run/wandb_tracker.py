"""The W&B tracker: online when logged in, else offline; never a prompt, never a silent fallback.

It knows wandb 0.31 and the run folder. It does not know what the numbers mean.

Everything lies in the run folder, so that `wandb sync` works later: the events in `RUN/wandb/`, a copy of each
film (wandb's own) and of each model (ours, in `RUN/wandb/models/`), and the run's id in `RUN/wandb.json`, so
a resumed run goes on under the same id. Points are plotted over `global_step`, not over wandb's own counter,
for that may not go back when a run resumes from an older checkpoint.
"""

import netrc
import os
import re
import secrets
import shlex
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import wandb

from drive_rl.errors import DriveRLError
from drive_rl.run.files import explain_disk_errors, read_json, write_json
from drive_rl.run.folder import RunFolder

STEP = "global_step"
_CONNECT_S = 30.0
_UPLOAD_S = 300.0
_SPACE = 32 * 2**20  # [bytes] needed to start
_FULL = 2**20  # [bytes] below which a disk counts as full
_MEND = "set WANDB_MODE=offline, or choose tracker=tensorboard, csv or none"


class WandbTracker:
    """A W&B run tied to a run folder.

    Raises:
        DriveRLError: W&B does not start: no space, no connection, a login that the server refuses.
    """

    def __init__(
        self, run: RunFolder, config: dict[str, Any], project: str, echo: Callable[[str], None] = print
    ) -> None:
        self._folder, self._echo = run.path, echo
        settings = wandb.setup(wandb.Settings(silent=True)).settings  # silent: a prompt cannot be shown
        self._mode = choose_mode(settings)
        self._run = self._start(run, config, project)
        self._run.define_metric(STEP, hidden=True)
        self._run.define_metric("*", step_metric=STEP)
        self._open = True
        if self._mode == "online":
            echo(f"W&B: {self._run.url}")
        else:
            echo(f"W&B: {self._mode}" + (" (not logged in)" if settings.mode == "online" else ""))

    def log(self, scalars: dict[str, float], step: int) -> None:
        """Record scalars at a training step."""
        self._run.log({**scalars, STEP: step})

    def film(self, path: Path, step: int) -> None:
        """Record an mp4, gif or webm film as `film`."""
        if not path.is_file():
            raise DriveRLError(f"{path}: film not found, so W&B cannot have it: render it first")
        form: Any = path.suffix.removeprefix(".") or "mp4"
        with explain_disk_errors(path):
            self._run.log({"film": wandb.Video(str(path), format=form), STEP: step})

    def model(self, folder: Path, name: str) -> None:
        """Record the files of a checkpoint folder as an artifact of type `model`."""
        copy = self._copy(folder, name)
        artifact = wandb.Artifact(re.sub(r"[^\w.-]", "-", name), type="model")
        for path in sorted(copy.iterdir()):
            artifact.add_file(str(path), name=path.name, policy="immutable")
        self._run.log_artifact(artifact)

    def close(self) -> None:
        """Finish the run and, offline, tell how to upload it.

        Offline, wandb 0.31 may write the last records a moment after `finish` returns: all are on disk once the
        process ends, or after `wandb.teardown()`.
        """
        if not self._open:
            return
        self._open = False
        try:
            self._run.finish()
        except TimeoutError:
            folder = shlex.quote(str(Path(self._run.dir).parent))
            self._echo(f"W&B: the upload did not end in {_UPLOAD_S:.0f} s; to go on: wandb sync {folder}")
        if shutil.disk_usage(self._folder).free < _FULL:
            self._echo("W&B: the disk is full, so its record may lack the end; metrics.csv says what is known")
        if self._mode == "offline":
            folders = sorted((self._folder / "wandb").glob(f"offline-run-*-{self._run.id}"))
            names = " ".join(shlex.quote(str(folder)) for folder in folders)
            self._echo(f"W&B: kept offline; to upload: wandb sync {names}")

    def _start(self, run: RunFolder, config: dict[str, Any], project: str) -> Any:
        _need_space(run.path)
        identity = _identity(run.path / "wandb.json", project)
        _wait_for_a_new_second(run.path / "wandb", identity["id"])
        settings = wandb.Settings(
            silent=True,
            console="off",
            init_timeout=_CONNECT_S,
            finish_timeout=_UPLOAD_S,
            finish_timeout_raises=True,
            save_code=False,
            disable_git=True,
        )
        try:
            started = wandb.init(
                project=identity["project"],
                id=identity["id"],
                resume="allow",
                name=run.path.name,
                group=run.path.parent.name,
                dir=str(run.path),
                mode=self._mode,
                config=config,
                reinit="create_new",
                settings=settings,
            )
        except (wandb.Error, OSError, ValueError) as error:
            where, reason = run.path / "wandb", " ".join(str(error).split())
            raise DriveRLError(f"{where}: W&B does not start ({reason}): {_MEND}") from error
        if self._mode != "disabled" and run.path.resolve() not in Path(started.dir).resolve().parents:
            started.finish()  # wandb moves to /tmp when it may not write: nobody would look there
            raise DriveRLError(f"{run.path / 'wandb'}: W&B may not write here: {_MEND}")
        return started

    def _copy(self, folder: Path, name: str) -> Path:
        """Copy the model beside W&B's own files, for the checkpoint may be replaced before an upload."""
        models = self._folder / "wandb" / "models"
        with explain_disk_errors(models):
            models.mkdir(parents=True, exist_ok=True)
            copy = models / f"{name.replace('/', '-')}-{len(list(models.iterdir())) + 1}"
            copy.mkdir()
            for path in folder.iterdir():
                shutil.copyfile(path, copy / path.name)
        return copy


def _need_space(path: Path) -> None:
    """Refuse a nearly full disk at the start, for W&B drops what it cannot write and says nothing."""
    free = shutil.disk_usage(path).free
    if free < _SPACE:
        raise DriveRLError(
            f"{path / 'wandb'}: {free / 2**20:.1f} MiB free, but W&B needs {_SPACE // 2**20}: no space left: free "
            f"some space, or {_MEND}"
        )


def _wait_for_a_new_second(folder: Path, identity: str) -> None:
    """W&B names a start by its second; a second start in that second would write over the first."""
    newest = max((path.stat().st_mtime for path in folder.glob(f"*run-*-{identity}")), default=0.0)
    time.sleep(min(max(newest + 1.1 - time.time(), 0.0), 1.1))


def choose_mode(settings: wandb.Settings) -> Any:
    """`online` when logged in, else `offline`. A mode that the user set (WANDB_MODE) stands."""
    if settings.mode != "online":
        return settings.mode
    return "online" if _logged_in(settings) else "offline"


def _logged_in(settings: wandb.Settings) -> bool:
    """Whether there is a key in the environment, W&B's settings or netrc. The server is not asked."""
    if settings.api_key or os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    hosts = {urlsplit(settings.base_url).netloc}
    if settings.base_url == wandb.Settings.model_fields["base_url"].default:
        hosts.add("api.wandb.ai")
    try:
        known = netrc.netrc(os.environ.get("NETRC") or Path("~/.netrc").expanduser())
    except (OSError, netrc.NetrcParseError):
        return False
    return any(host in known.hosts for host in hosts)


def _identity(path: Path, project: str) -> dict[str, str]:
    """The W&B id and project of a run folder, made and kept on the first start."""
    if not path.exists():
        write_json(path, {"id": secrets.token_hex(4), "project": project})
    identity = read_json(path, "delete it to start a new W&B run")
    if not isinstance(identity, dict) or not {"id", "project"} <= identity.keys():
        raise DriveRLError(f"{path}: expected `id` and `project`: delete it to start a new W&B run")
    return identity
