"""The keys that a spec knows, found from its pydantic models, and the nearest one to a key that it does not know."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from drive_rl.config.extensions import Kind, registered
from drive_rl.config.shelf import nearest
from drive_rl.config.specs.driver import ALGORITHMS, PLUGIN_DRIVER
from drive_rl.config.specs.plugin import Extends

Loc = tuple[str | int, ...]
"""A place in a spec as pydantic gives it: keys, indices, and the algorithm or kind that picks one of several specs."""


def is_agent(adapter: TypeAdapter[Any]) -> bool:
    """Whether the spec is a driver's, whose kind `algorithm` picks."""
    return any(_tags(model) for model in _top(adapter))


def fields(adapter: TypeAdapter[Any], loc: Sequence[str | int]) -> list[str]:
    """Return the keys known at a place of the spec."""
    return sorted({key for model in _walk(adapter, loc)[0] for key in model.model_fields})


def written(adapter: TypeAdapter[Any], loc: Loc) -> Loc:
    """Return a place as the user writes it: without the algorithms and kinds that pydantic puts in for unions."""
    picks = _walk(adapter, loc)[1]
    return tuple(part for at, part in enumerate(loc) if at not in picks)


def names_at(adapter: TypeAdapter[Any], loc: Loc) -> list[str]:
    """Return the algorithms or kinds of the specs known at a place; none where that has neither."""
    return [str(name) for model in _walk(adapter, loc)[0] for name in _names(model)]


def nearest_key(adapter: TypeAdapter[Any], loc: Loc, prefix: str, algorithm: str | None, fixed: Collection[str]) -> str:
    """Return the fix for an unknown key: the nearest one beside it, or one of that name elsewhere in the spec.

    Keys that name what plugins register, such as the terms in `reward.extra`, are known, too; of a driver's keys, only
    those of its `algorithm`. Keys that are `fixed` cannot be given here.
    """
    if others := _others_with(adapter, loc):
        fix = "leave it out" if _chosen(loc) else f"leave it out, or `{loc[-1]}: null` where its base has it"
        return f"it is a key of {', '.join(others)}; fix: {fix}"
    beside = [key for key in fields(adapter, loc[:-1]) if key not in fixed]
    elsewhere: dict[str, str] = {}
    for dotted in sorted(_dotted(_top(adapter), algorithm=_chosen(loc) or algorithm), key=len):
        if (leaf := dotted.rpartition(".")[2]) not in fixed:
            elsewhere.setdefault(leaf, f"{prefix}{dotted}")
    near = nearest(str(loc[-1]), beside, {leaf: dotted for leaf, dotted in elsewhere.items() if leaf not in beside})
    parent = ".".join(map(str, loc[:-1]))
    own = next((dotted for dotted in _open_mappings(_top(adapter)) if dotted.rpartition(".")[0] == parent), None)
    return near if own is None or near.endswith("?") else f"{near}; or, of a plugin, {prefix}{own}.{loc[-1]}"


def _chosen(loc: Loc) -> str | int | None:
    """Return the algorithm that picks the driver's spec; None in a spec without a driver."""
    return next((part for part in loc if part in (*ALGORITHMS, PLUGIN_DRIVER)), None)


def _others_with(adapter: TypeAdapter[Any], loc: Loc) -> list[str]:
    """Return the algorithms or kinds other than the one chosen that know a key."""
    picks = _walk(adapter, loc)[1]
    if not picks:
        return []
    at = picks[-1]
    others = [name for name in names_at(adapter, loc[:at]) if name not in (loc[at], PLUGIN_DRIVER)]
    return [name for name in others if loc[-1] in fields(adapter, [*loc[:at], name, *loc[at + 1 : -1]])]


def _walk(adapter: TypeAdapter[Any], loc: Sequence[str | int]) -> tuple[list[type[BaseModel]], list[int]]:
    """Return the specs that a place may hold, and which parts of the place are algorithms or kinds, not keys."""
    models, of_user, picks = _top(adapter), False, list[int]()
    for at, part in enumerate(loc):
        if of_user:  # a key of a mapping whose keys are the user's own, or a place in a list
            of_user = False
            continue
        tagged = [m for m in models if part in _names(m)] if len(models) > 1 else []
        below = [m.model_fields[str(part)].annotation for m in models if str(part) in m.model_fields]
        picks += [at] if tagged else []
        models = tagged or [model for annotation in below for model in _models(annotation)]
        of_user = not tagged and any(get_origin(annotation) in (dict, tuple) for annotation in below)
    return models, picks


def _top(adapter: TypeAdapter[Any]) -> list[type[BaseModel]]:
    return _models(adapter._type)  # pydantic has no public name for it


def _dotted(models: Iterable[type[BaseModel]], above: str = "", algorithm: object = None) -> Iterator[str]:
    """Yield the keys of some specs; where an algorithm is chosen, not those of others."""
    for model in models:
        if algorithm is not None and (own := _tags(model)) and algorithm not in own:
            continue
        for key, field in model.model_fields.items():
            yield f"{above}{key}"
            yield from (f"{above}{key}.{name}" for name in _extensions(field))
            if get_origin(field.annotation) not in (dict, tuple):  # whose keys are the user's own, or numbers
                yield from _dotted(_models(field.annotation), f"{above}{key}.", algorithm)


def _open_mappings(models: Iterable[type[BaseModel]], above: str = "") -> Iterator[str]:
    """Yield the keys of mappings whose own keys name extensions."""
    for model in models:
        for key, field in model.model_fields.items():
            if _kind(field) is not None:
                yield f"{above}{key}"
            yield from _open_mappings(_models(field.annotation), f"{above}{key}.")


def _extensions(field: FieldInfo) -> Iterable[str]:
    """Return the keys of a mapping that names extensions."""
    return () if (kind := _kind(field)) is None else registered(kind)


def _kind(field: FieldInfo) -> Kind | None:
    """Return which extensions the keys of a mapping name; None where they name none."""
    marks: list[Kind] = [mark.kind for mark in field.metadata if isinstance(mark, Extends)]
    return marks[0] if marks and get_origin(field.annotation) is dict else None


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def _tags(model: type[BaseModel]) -> tuple[object, ...]:
    """Return the algorithms of a driver's spec; none for another spec."""
    field = model.model_fields.get("algorithm")
    return (get_args(field.annotation) or (PLUGIN_DRIVER,)) if field else ()


def _names(model: type[BaseModel]) -> tuple[object, ...]:
    """Return the algorithms or kinds that pick a spec; none for one that nothing picks."""
    kind = model.model_fields.get("kind")
    return _tags(model) or (get_args(kind.annotation) if kind else ())
