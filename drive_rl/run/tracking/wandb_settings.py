"""W&B's settings from the environment and its own files, checked before training.

It knows wandb 0.31. It does not start a run. wandb itself answers wrong values with tracebacks, some only after
training; here each is an error that names the variable.
"""

import configparser
import netrc
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import wandb
from pydantic import ValidationError

from drive_rl.errors import DriveRLError

INSTEAD = "set WANDB_MODE=offline, or choose track=tensorboard, csv or none"

_SAFE: dict[str, tuple[Any, ...]] = {
    "resume": (None, "allow"),
    "fork_from": (None,),
    "resume_from": (None,),
    "launch": (False,),
    "mode": ("online", "offline", "disabled", "dryrun", "run"),
    "x_skip_transaction_log": (False,),
    "x_primary": (True,),
    "x_sync": (False,),
    "x_sync_dir_suffix": ("",),
    "x_files_dir": (None,),
    "x_start_time": (None,),
    "x_cli_only_mode": (False,),
}
"""Settings with which W&B could lose records or fail to continue a resumed run, and their safe values."""

_IGNORED = {"root_dir": "DIR", "use_dot_wandb": "USE_DOT_WANDB", "save_code": "SAVE_CODE", "reinit": "REINIT"}
"""Settings that the run folder overrides: field and variable."""

_TIMES = ("init_timeout", "finish_timeout", "login_timeout")
_SECRET = ("KEY", "HEADERS", "PROXY", "PROXIES", "TOKEN")


def load_settings(project: str | None = None) -> wandb.Settings:
    """Return W&B's settings, all checked; start its process.

    Args:
        project: The project of the run.

    Raises:
        DriveRLError: a variable, a settings file, a login file or the project that W&B could not use.
    """
    check_variables()
    _check_settings_files()
    if project is not None:
        _check_project(project)
    try:
        setup = wandb.setup(wandb.Settings(silent=True))  # silent: no prompt can be shown
        _ = setup.config  # reads the files named by variables
    except Exception as error:  # of any kind: wandb has no common base class
        raise DriveRLError(f"W&B does not start ({reason(error)}){_variables()}; fix: {INSTEAD}") from error
    settings = setup.settings
    if settings.sweep_id is not None and settings.run_id is None:
        raise DriveRLError(
            f"WANDB_SWEEP_ID = {settings.sweep_id!r}, but WANDB_RUN_ID is not set, so a resumed run would become"
            " another one; fix: start it with wandb agent, or unset WANDB_SWEEP_ID"
        )
    if choose_mode(settings) == "online":
        _check_key(settings)
    return settings


def check_variables() -> None:
    """Refuse variables that W&B cannot use.

    Raises:
        DriveRLError: with the variable, its value and what was expected.
    """
    for name, value in sorted(os.environ.items()):
        if name.startswith("WANDB_"):
            _check(name, value, partial(_of_variable, name, value))


def choose_mode(settings: wandb.Settings) -> Any:
    """Return `online` when logged in, else `offline`. A mode set by the user (WANDB_MODE) stands.

    Raises:
        DriveRLError: the netrc file, which may hold the login, cannot be read.
    """
    if settings.mode not in ("online", "run"):
        return "offline" if settings.mode == "dryrun" else settings.mode
    return "online" if _logged_in(settings) else "offline"


def without_effect(settings: wandb.Settings, project: str) -> list[str]:
    """Return the variables that the user set and the run folder overrides."""
    names = [f"WANDB_{name}" for field, name in _IGNORED.items() if field in settings.model_fields_set]
    names = [name for name in names if name in os.environ]
    if settings.project not in (None, project):
        names.append(f"WANDB_PROJECT = {settings.project!r} (project = {project} in the spec counts)")
    return names


def reason(error: BaseException) -> str:
    """Return an error of wandb, pydantic or the system in one line."""
    if isinstance(error, ValidationError):
        return "; ".join(part["msg"].removeprefix("Value error, ") for part in error.errors(include_url=False))
    return " ".join(str(error).split()) or type(error).__name__


def _of_variable(name: str, value: str) -> wandb.Settings:
    settings = wandb.Settings()
    settings.update_from_env_vars({name: value})
    return settings


def _of_file(key: str, value: str) -> wandb.Settings:
    return wandb.Settings.model_validate({key: value.split(",") if key == "ignore_globs" else value})


def _check(where: str, shown: str, read: Callable[[], wandb.Settings]) -> None:
    """Refuse a value that W&B cannot use, or with which it could lose records."""
    if any(word in where.upper() for word in _SECRET):
        shown = "(hidden)"
    try:
        settings = read()
        settings.to_proto()
    except Exception as error:  # of any kind: wandb has no common base class
        raise DriveRLError(f"{where} = {shown!r}: {reason(error)}; fix: correct it, or unset it") from error
    for field, safe in _SAFE.items():
        if getattr(settings, field) not in safe:
            raise DriveRLError(
                f"{where} = {shown!r}: W&B could lose records, or fail to continue a resumed run; fix: unset it"
            )
    for field in _TIMES:
        value = getattr(settings, field)
        if value is not None and not 0 <= value <= 86400:
            raise DriveRLError(f"{where} = {shown!r}: expected 0 to 86400 s; fix: correct it, or unset it")


def _check_settings_files() -> None:
    """Refuse a wrong settings file: wandb would log a traceback and ignore it."""
    folder = Path(os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb").expanduser()
    for path in (folder / "settings", Path(wandb.Settings().settings_workspace)):
        parser = configparser.ConfigParser()
        try:
            parser.read(path)
            given = dict(parser["default"]) if parser.has_section("default") else {}
        except (configparser.Error, OSError, ValueError) as error:
            raise DriveRLError(f"{path}: W&B's settings cannot be read ({reason(error)}); fix: correct it") from error
        for key, value in given.items():
            if key not in ("anonymous", "root_dir", "settings_system"):  # wandb skips these itself
                _check(f"{path}: {key}", value, partial(_of_file, key, value))


def _check_project(project: str) -> None:
    try:
        if not project.strip():
            raise ValueError("it is empty")
        wandb.Settings(project=project)
    except (wandb.Error, ValueError) as error:
        raise DriveRLError(f"project = {project!r}: {reason(error)}; fix: such as project=drive-rl") from error


def _check_key(settings: wandb.Settings) -> None:
    key = os.environ.get("WANDB_API_KEY")
    if key is not None and len(key) < 40:  # wandb checks more, with the server
        raise DriveRLError(
            "WANDB_API_KEY = (hidden): a key has 40 characters or more; fix: copy it from"
            f" {settings.app_url}/authorize, or {INSTEAD}"
        )


def _logged_in(settings: wandb.Settings) -> bool:
    """Whether the environment, W&B's settings or netrc hold a key. The server is not asked."""
    if settings.api_key or os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    hosts = {urlsplit(settings.base_url).netloc}
    if settings.base_url == wandb.Settings.model_fields["base_url"].default:
        hosts.add("api.wandb.ai")
    return _netrc_has_key(hosts)


def _netrc_has_key(hosts: set[str]) -> bool:
    path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        known = netrc.netrc(path).hosts
    except FileNotFoundError:
        return False
    except (OSError, netrc.NetrcParseError, ValueError) as error:
        raise _bad_netrc(path, reason(error)) from error
    found = hosts & known.keys()
    if found and not any(known[host][2] for host in found):  # wandb would fail without naming the file
        raise _bad_netrc(path, f"machine {min(found)} has no password, which is W&B's key")
    return bool(found)


def _bad_netrc(path: Path, why: str) -> DriveRLError:
    where = "NETRC names it" if os.environ.get("NETRC") else "its default"
    return DriveRLError(
        f"{path}: cannot be read ({why}), and W&B reads its login from there ({where}); fix: correct the file, or"
        f" {INSTEAD}"
    )


def _variables() -> str:
    """Return the variables that are set, in words: one of them may be the cause."""
    names = [name for name in sorted(os.environ) if name.startswith("WANDB_")]
    return f"; set: {', '.join(names)}" if names else ""
