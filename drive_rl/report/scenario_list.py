"""The scenarios on the shelf in words. It prints nothing."""

from drive_rl.config.reader import load_scenario
from drive_rl.config.shelf import entries
from drive_rl.errors import DriveRLError


def scenario_rows() -> list[tuple[str, str, str]]:
    """Return ability, name and description of every scenario, by ability; of a broken file its error, first."""
    return sorted(_row(name) for name in entries("envs/scenarios"))


def below_abilities() -> list[tuple[str, str]]:
    """Return name and description of every scenario, the first of each ability below a row with that alone."""
    found, before = list[tuple[str, str]](), ""
    for ability, name, description in scenario_rows():
        found += [(ability, "")] if ability != before else []
        found.append((f"  {name}", description))
        before = ability
    return found


def _row(name: str) -> tuple[str, str, str]:
    try:
        world, scenario = load_scenario(name)
    except (DriveRLError, OSError) as error:
        return "", name, f"BROKEN: {error}"
    return scenario.ability.replace("_", " "), name, world.description
