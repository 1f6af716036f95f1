"""The page of all keys a YAML file may hold: type, default, bounds and meaning, read off the specs."""

import types
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Len, Lt, MaxLen, MinLen
from markdown_text import HEADER, joined, table
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from drive_rl.config.specs.adapter import AdapterSpec
from drive_rl.config.specs.base import Spec
from drive_rl.config.specs.driver import LearnerSpec, PluginDriverSpec, PpoSpec, RecurrentPpoSpec, ReferenceSpec
from drive_rl.config.specs.experiment import RunSpec
from drive_rl.config.specs.off_policy import DqnSpec, QrdqnSpec, SacSpec
from drive_rl.config.specs.perception import PerceptionSpec
from drive_rl.config.specs.plugin import PluginSpec
from drive_rl.config.specs.suite import SuiteSpec
from drive_rl.config.specs.world import WorldSpec

ROOTS: tuple[tuple[str, type[Spec]], ...] = (
    ("Worlds: `envs/NAME.yaml`", WorldSpec),
    ("PPO drivers: `agents/NAME.yaml` with `algorithm: ppo`", PpoSpec),
    ("Recurrent PPO drivers: `algorithm: recurrent-ppo` (the extra `contrib`)", RecurrentPpoSpec),
    ("DQN drivers: `algorithm: dqn`", DqnSpec),
    ("QR-DQN drivers: `algorithm: qrdqn` (the extra `contrib`)", QrdqnSpec),
    ("SAC drivers: `algorithm: sac`", SacSpec),
    ("Reference drivers: `algorithm: reference`", ReferenceSpec),
    ("Drivers of plugins: `algorithm:` the name that a [plugin](../extend/driver.md) registers", PluginDriverSpec),
    ("Experiments: `configs/NAME.yaml`", RunSpec),
    ("Perception recipes: `configs/perception/NAME.yaml`", PerceptionSpec),
    ("Suites: `configs/suites/NAME.yaml`", SuiteSpec),
    ("[Perception models that others made](../howto/own-model.md): `MODEL.yaml`", AdapterSpec),
)
SHORT = {PluginSpec: "file name or mapping"} | dict.fromkeys((WorldSpec, *get_args(LearnerSpec)), "name or mapping")
"""What a file may hold in place of a whole spec."""
SIGNS = {Ge: ("ge", ">="), Gt: ("gt", ">"), Le: ("le", "<="), Lt: ("lt", "<")}


def keys_page() -> str:
    """Return the page: a section for each kind of file, a table for each spec in it that no section has shown yet."""
    shown: set[type] = set()
    return HEADER + joined(
        "# Keys of YAML files",
        "Every key that a file may hold. An unknown key is an error, and so is a value out of bounds; the message names"
        " the fix. `base: NAME` starts from another file of its kind. `drive-rl show NAME` prints the values of one.",
        *(part for title, spec in ROOTS for part in (f"## {title}", *_tables(spec, "", shown))),
    )


def _tables(spec: type[Spec], prefix: str, shown: set[type]) -> Iterable[str]:
    shown.add(spec)
    if prefix:
        yield f"### `{prefix}` ({spec.__name__})"
    yield table(("key", "type", "default", "bounds", "meaning"), (_row(*field) for field in spec.model_fields.items()))
    for name, field in spec.model_fields.items():
        for part in _specs_in(field.annotation):
            if part not in shown:
                yield from _tables(part, f"{prefix}.{name}".strip("."), shown)


def _row(name: str, field: FieldInfo) -> tuple[str, ...]:
    return (f"`{name}`", _type(field.annotation), _default(field), _bounds(field.metadata), field.description or "")


def _type(kind: Any) -> str:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _type(parts[0])
    if origin is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys("null" if part is type(None) else _type(part) for part in parts))
    if origin is tuple:
        return f"list of {_type(parts[0])}"
    if origin is dict:
        return "mapping" if _specs_in(kind) else f"mapping of {_type(parts[1])}"
    return SHORT.get(kind, "mapping") if _specs_in(kind) else kind.__name__


def _specs_in(kind: Any) -> list[type[Spec]]:
    if isinstance(kind, type) and issubclass(kind, Spec):
        return [kind]
    return [spec for part in get_args(kind) for spec in _specs_in(part)]


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "required" if field.default_factory is None else ""
    if isinstance(value, Spec) or value == "":
        return ""
    if isinstance(value, tuple):
        return "`[" + ", ".join(str(part) for part in value) + "]`"
    return f"`{'null' if value is None else str(value).lower() if isinstance(value, bool) else value}`"


def _bounds(metadata: Iterable[Any]) -> str:
    found: list[str] = []
    for part in metadata:
        for kind, (attribute, sign) in SIGNS.items():
            if isinstance(part, kind):
                found.append(f"{sign} {getattr(part, attribute):,.12g}")
        if isinstance(part, MinLen | Len):
            found.append(f"length >= {part.min_length}")
        if isinstance(part, MaxLen):
            found.append(f"length <= {part.max_length}")
    return ", ".join(found)
