"""What every spec is built on: the frozen base class, the vocabularies that specs share, and ranges of numbers.

Field descriptions are the only documentation of the keys; `drive-rl show NAME` prints the resolved values.
Units: SI, radians, seconds; a field's suffix names its unit.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationInfo, field_validator
from pydantic_core import CoreSchema

from drive_rl.plain_text import readable

Observation = Literal["camera", "motion", "camera+state", "state"]
Actions = Literal["continuous", "discrete"]
Controls = Literal["steering", "steering+pedal"]
Steering = Literal["angle", "rate"]
Renderer = Literal["field", "tiny", "egl"]
Split = Literal["train", "val", "test"]
Engine = Literal["bullet", "batch"]
Track = Literal["wandb", "tensorboard", "csv", "none"]

SPLITS: dict[str, range] = {
    "train": range(0, 10_000),
    "val": range(10_000, 11_000),
    "test": range(20_000, 21_000),
}
"""Road seeds of each split. Nothing is ever trained or tuned on `test`."""

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(gt=0, le=1000)]
Bounds = tuple[float, float]


def _make_scalars_strict(schema: Any) -> None:
    if isinstance(schema, dict):
        if schema.get("type") in ("bool", "int", "float", "str"):
            schema["strict"] = True
        for part in schema.values():
            _make_scalars_strict(part)
    elif isinstance(schema, list):
        for part in schema:
            _make_scalars_strict(part)


class Spec(BaseModel):
    """A frozen declaration. An unknown key is an error, and so is a value of another type.

    Neither `true` nor the text "3" is a number. Only `true` and `false` are booleans.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=(), defer_build=True
    )

    @field_validator("*")
    @classmethod
    def _readable(cls, value: Any, field: ValidationInfo) -> Any:
        """Refuse text that would control a terminal; put a description on one line."""
        if isinstance(value, str):
            return readable(" ".join(value.split()) if field.field_name == "description" else value)
        if isinstance(value, dict):
            for key in value:
                readable(str(key))
        return value

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Make scalars strict. Not `strict=True` everywhere: YAML lists become tuples, and mappings specs."""
        schema = handler(source)
        _make_scalars_strict(schema)
        return schema


def ordered(name: str, bounds: Bounds, low: float, high: float) -> None:
    """Refuse bounds that are not two values in order, within a range.

    Raises:
        ValueError: they are not.
    """
    if not low <= bounds[0] <= bounds[1] <= high:
        raise ValueError(
            f"{name} = {list(bounds)}: expected two values, low <= high, within [{low:g}, {high:g}]; fix: such as"
            f" [{low:g}, {high:g}]"
        )
