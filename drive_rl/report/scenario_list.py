"""The scenarios on the shelf in words. It prints nothing."""

from drive_rl.config.reader import load_scenario
from drive_rl.config.shelf import entries
from drive_rl.errors import DriveRLError


def scenario_rows() -> list[tuple[str, str, str]]:
    """Return ability, name and description of every scenario, by ability; of a broken file its error, first."""
    return sorted(_row(name) for name in entries("envs/scenarios"))


def _row(name: str) -> tuple[str, str, str]:
    try:
        world, scenario = load_scenario(name)
    except (DriveRLError, OSError) as error:
        return "", name, f"BROKEN: {error}"
    return scenario.ability.replace("_", " "), name, world.description
