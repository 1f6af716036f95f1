"""The state of NumPy's PCG64 generator, as JSON."""

from typing import Annotated, Literal

from pydantic import Field

from drive_rl.run.storage.schema import Table

Word = Annotated[int, Field(ge=0, lt=2**32)]
Bit = Annotated[int, Field(ge=0, le=1)]


class PCG64Words(Table):
    """The two numbers of a PCG64 generator."""

    state: int = Field(ge=0, lt=2**128)
    inc: int = Field(ge=0, lt=2**128)


class PCG64State(Table):
    """The state of NumPy's PCG64 generator, as JSON."""

    bit_generator: Literal["PCG64"]
    state: PCG64Words
    has_uint32: Bit
    uinteger: Word
