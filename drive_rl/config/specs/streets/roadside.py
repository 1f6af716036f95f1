"""The spec of what stands beside streets."""

from pydantic import Field

from drive_rl.config.specs.base import Fraction, Spec


class RoadsideSpec(Spec):
    """What stands beside streets; each map's seed draws where."""

    signs: bool = Field(default=True, description="Stop and give-way signs at their lines, and those of bus stops.")
    buildings: Fraction = Field(default=0.7, description="Share of the lots along streets with a building.")
    trees: Fraction = Field(default=0.4, description="Share of the places along streets with a tree.")
    lamp_posts: Fraction = Field(default=0.6, description="Share of kerbs with lamp posts.")
