"""Specs of maps of streets: a kind that a seed draws, with its few parameters, or a file of the user's own.

Test seeds draw from other ranges; a file is the same map for all seeds. Files are looked at where a spec is read from
one (`read_from`), not where its parts are put together anew.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from drive_rl.config.specs.base import Bounds, Fraction, Spec, ordered
from drive_rl.errors import DriveRLError
from drive_rl.plain_files import read_plain

_LARGEST = 2**28  # bytes of a file
_BRIEF = 12  # digits of a SHA-256 in messages

Origin = Literal["recipe", "record"]
"""Where a spec is read from: a recipe, whose files have to be there, or what a run has recorded."""
_ORIGIN = "origin"


class _GridSpec(Spec):
    columns: int = Field(default=5, ge=2, le=12, description="Junctions from west to east.")
    rows: int = Field(default=4, ge=2, le=12, description="Junctions from south to north.")
    missing: Fraction = Field(default=0.12, description="Share of streets left out, as far as all stay joined.")

    @field_validator("block_m", "test_block_m", check_fields=False)
    @classmethod
    def _blocks_have_room(cls, value: Bounds, info: ValidationInfo) -> Bounds:
        ordered(str(info.field_name), value, 60, 400)
        return value


class TownSpec(_GridSpec):
    """A town: irregular blocks, signals and signs, zebra crossings, parking bays, one wide street."""

    kind: Literal["town"] = Field(default="town", description="Which kind of map.")
    block_m: Bounds = Field(default=(75, 115), description="Distance between junctions [m], in training.")
    test_block_m: Bounds = Field(default=(115, 150), description="The same for test seeds [m].")
    signals: Fraction = Field(default=0.6, description="Share of the wide street's junctions with signals.")
    crossings: Fraction = Field(default=0.4, description="Share of streets at junctions with a zebra crossing.")
    parking: Fraction = Field(default=0.5, description="Share of streets along which cars may park.")


class RoundaboutsSpec(_GridSpec):
    """Streets that meet at roundabouts."""

    kind: Literal["roundabouts"] = Field(default="roundabouts", description="Which kind of map.")
    columns: int = Field(default=4, ge=2, le=12, description="Junctions from west to east.")
    rows: int = Field(default=3, ge=2, le=12, description="Junctions from south to north.")
    missing: Fraction = Field(default=0.1, description="Share of streets left out, as far as all stay joined.")
    block_m: Bounds = Field(default=(120, 170), description="Distance between junctions [m], in training.")
    test_block_m: Bounds = Field(default=(170, 210), description="The same for test seeds [m].")
    radius_m: Bounds = Field(default=(15, 22), description="Radius of the lane around [m].")

    @field_validator("radius_m")
    @classmethod
    def _rings_have_room(cls, value: Bounds) -> Bounds:
        ordered("radius_m", value, 14, 30)
        return value


class _LengthSpec(Spec):
    @field_validator("length_m", "test_length_m", check_fields=False)
    @classmethod
    def _lengths_have_room(cls, value: Bounds, info: ValidationInfo) -> Bounds:
        ordered(str(info.field_name), value, 1500, 10_000)
        return value


class MotorwaySpec(_LengthSpec):
    """A motorway: two carriageways, joined at their ends, with on and off ramps to service areas."""

    kind: Literal["motorway"] = Field(default="motorway", description="Which kind of map.")
    length_m: Bounds = Field(default=(1800, 2600), description="Length of each carriageway [m], in training.")
    test_length_m: Bounds = Field(default=(2600, 3400), description="The same for test seeds [m].")
    lanes: int = Field(default=3, ge=2, le=4, description="Lanes of each carriageway.")


class CountrySpec(_LengthSpec):
    """A long, winding two-lane road with side roads."""

    kind: Literal["country"] = Field(default="country", description="Which kind of map.")
    length_m: Bounds = Field(default=(2500, 3500), description="Length of the main road [m], in training.")
    test_length_m: Bounds = Field(default=(3500, 4500), description="The same for test seeds [m].")
    side_roads: int = Field(default=3, ge=1, le=6, description="Side roads; each meets the main road twice.")


def read_from(origin: Origin) -> dict[str, Origin]:
    """Return the context of pydantic with which specs that come from there are validated."""
    return {_ORIGIN: origin}


def origin_of(info: ValidationInfo) -> Origin | None:
    """Return where the spec that is validated comes from; None: from no file."""
    return info.context.get(_ORIGIN) if info.context else None


def read_map_file(path: str, sha256: str | None = None) -> bytes:
    """Return what is in the file of a map.

    Raises:
        DriveRLError: it cannot be read, or its SHA-256 is another.
    """
    try:
        data = read_plain(Path(path), _LARGEST)
    except OSError as error:
        raise DriveRLError(
            f"{path}: cannot be read: {error.strerror}; expected a map; fix: correct the path, or restore the file"
        ) from error
    if sha256 is not None and (found := sum_of(data)) != sha256:
        raise DriveRLError(
            f"{path}: is not the file that was recorded: expected SHA-256 {sha256[:_BRIEF]}, found {found[:_BRIEF]};"
            " fix: restore the file, or for another map sha256: null"
        )
    return data


def sum_of(data: bytes) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


class _FileSpec(Spec):
    path: str = Field(
        min_length=1,
        description="The file; a relative path starts at the folder of the YAML file that names it, on the command line"
        " where the command runs.",
    )
    sha256: str | None = Field(
        default=None,
        exclude_if=lambda found: found is None,
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of the file (null: any); a run records that of its copy.",
    )

    @field_validator("path")
    @classmethod
    def _absolute(cls, value: str, info: ValidationInfo) -> str:
        path = os.path.abspath(os.path.expanduser(value))
        if origin_of(info) == "recipe":
            read_map_file(path)
        return path

    @field_validator("sha256")
    @classmethod
    def _is_of_the_file(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and origin_of(info) and "path" in info.data:
            read_map_file(info.data["path"], value)
        return value


class Lanelet2Spec(_FileSpec):
    """A Lanelet2 map in OSM XML, read by the extra `maps`."""

    kind: Literal["lanelet2"] = Field(default="lanelet2", description="Which kind of map.")


class OpenDriveSpec(_FileSpec):
    """An OpenDRIVE map (.xodr) with right-hand traffic."""

    kind: Literal["opendrive"] = Field(default="opendrive", description="Which kind of map.")


FileMapSpec = Lanelet2Spec | OpenDriveSpec
"""The kinds that are files."""
DrawnMapSpec = TownSpec | RoundaboutsSpec | MotorwaySpec | CountrySpec
"""The kinds that a seed draws."""
MapSpec = Annotated[
    TownSpec | RoundaboutsSpec | MotorwaySpec | CountrySpec | Lanelet2Spec | OpenDriveSpec, Field(discriminator="kind")
]
"""A map of streets of any kind."""
MAPS: Mapping[str, type[Spec]] = {
    spec.model_fields["kind"].default: spec for spec in (TownSpec, RoundaboutsSpec, MotorwaySpec, CountrySpec)
}
"""Kinds of maps that a seed draws."""
FILE_MAPS: Mapping[str, type[Spec]] = {
    spec.model_fields["kind"].default: spec for spec in (Lanelet2Spec, OpenDriveSpec)
}
"""Kinds of maps that are files."""
GridSpec = TownSpec | RoundaboutsSpec
"""The kinds whose junctions lie on a grid."""


def file_map(path: Path) -> FileMapSpec | None:
    """Return the map that a file is, by the end of its name; None: it is none."""
    kind = {".osm": Lanelet2Spec, ".xodr": OpenDriveSpec}.get(path.suffix.lower())
    return kind(path=str(path)) if kind else None


def anchored_map(section: Any, folder: Path) -> Any:
    """Return a raw `map:` section whose `path`, if it has one, starts at a folder where it is relative."""
    if isinstance(section, dict) and isinstance(section.get("path"), str):
        return {**section, "path": os.path.normpath(folder / Path(section["path"]).expanduser())}
    return section


def anchored_maps(raw: Any, folder: Path) -> Any:
    """Return raw values in which the maps of all worlds start at a folder, as `anchored_map`."""
    if isinstance(raw, list):
        return [anchored_maps(each, folder) for each in raw]
    if not isinstance(raw, dict):
        return raw
    found = {key: anchored_maps(value, folder) for key, value in raw.items()}
    if isinstance(streets := found.get("streets"), dict) and "map" in streets:
        found["streets"] = {**streets, "map": anchored_map(streets["map"], folder)}
    return found
