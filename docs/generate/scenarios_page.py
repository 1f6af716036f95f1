"""The page that lists the scenarios by the ability that they test."""

from collections.abc import Iterable
from typing import cast, get_args

from interface_words import PASSING
from markdown_text import HEADER, joined, table

from drive_rl.config.reader import load_scenario
from drive_rl.config.specs.streets.streets import JunctionSpec, StreetsSpec
from drive_rl.config.specs.world import Ability, ScenarioSpec, WorldSpec
from drive_rl.sim.task.outcome import STATE_FIELDS
from drive_rl.sim.traffic.passing import PASSING_FIELDS

_BENCH2DRIVE = 44
_ABILITIES: dict[Ability, str] = {
    "merging": "Finding a place among others, who go first.",
    "overtaking": "Passing what stands or is slow in the lane.",
    "emergency_brake": "Braking for what nobody could foresee.",
    "give_way": "Letting those pass who may claim the way.",
    "traffic_signs": "Obeying lights, signs and the rules of priority.",
}


def scenarios_page(names: Iterable[str]) -> str:
    """Return the page."""
    found = [load_scenario(name) for name in names]
    sections = [_section(ability, [world for world, its in found if its.ability == ability]) for ability in _same()]
    return HEADER + joined(
        "# Scenarios",
        "Worlds that test one thing each: short routes that begin before it. A scenario is one YAML file in"
        " `envs/scenarios/`, named as CARLA and Bench2Drive name theirs"
        f" ({len(found)} of {_BENCH2DRIVE} families); every seed is a variant, in the same splits as"
        " all worlds have. `drive-rl bench driving DRIVER --scenarios` drives them all and prints success by ability"
        " ([how](../howto/bench-driving.md)); each is a world for every other verb:",
        "<!-- test: resolve, a minute -->\n```sh\ndrive-rl eval reference world=scenarios/t_junction engine=batch\n"
        "drive-rl train quickstart world=scenarios/t_junction engine=batch\n```",
        "They have no Gymnasium id. In Python a scenario is a world by its name:",
        "```python\nfrom drive_rl.sim.envs.make_env import make_env\n\n"
        'env = make_env("scenarios/t_junction")\nobservation, info = env.reset(seed=0)\n```',
        "Success takes all that it takes in [`town`](town.md). `bench driving` counts it only where the car ran no"
        f" {_words(ScenarioSpec(ability='merging').forbids)}, unless `scenario.forbids` says otherwise.",
        *sections,
        "## Passing",
        "In worlds with a hazard of kind `obstacle` the car may use the lane on its left near it: it ends as"
        " `wrong_way` or `off_road` only so much farther to the left, and success does not take that it kept its lane."
        " CARLA's and nuPlan's scores count the other lane as they do anywhere. The privileged state of these worlds"
        " has more fields, behind those of [`town`](town.md), which the driver `expert` reads. Those of kind"
        " `invading_cars` have them, too, but take that it keeps its lane:",
        table(("index", "field", "unit", "meaning"), _passing()),
        "## Pulling out",
        "In worlds with a hazard of kind `parking_exit` the car may be 1.5 m farther to the right until it has come to"
        " within 0.5 m of the lane's centre line, and success does not take that it kept its lane.",
    )


def _passing() -> list[tuple[object, ...]]:
    assert tuple(PASSING) == PASSING_FIELDS
    return [(i, f"`{name}`", *words) for i, (name, words) in enumerate(PASSING.items(), len(STATE_FIELDS))]


def _same() -> tuple[Ability, ...]:
    """Return the abilities, if each is described."""
    assert tuple(_ABILITIES) == get_args(Ability)
    return tuple(_ABILITIES)


def _section(ability: Ability, worlds: list[WorldSpec]) -> str:
    rows = [(f"`scenarios/{world.name.partition('/')[2]}`", *_row(world)) for world in worlds]
    shown = (
        table(("scenario", "in a line", "map", "junction", "changes of lanes", "others", "hazard"), rows)
        if rows
        else "None yet."
    )
    return joined(f"## {ability.replace('_', ' ').capitalize()}", _ABILITIES[ability], shown)


def _row(world: WorldSpec) -> tuple[str, ...]:
    streets = cast(StreetsSpec, world.streets)
    kinds = f" ({', '.join(streets.traffic.kinds)} only)" if len(streets.traffic.kinds) == 1 else ""
    hazard = streets.hazard.kind.replace("_", " ") if streets.hazard else "-"
    others = f"{streets.traffic.actors}{kinds}"
    changes = str(streets.lane_changes or "-")
    return world.description, streets.map.kind, _junction(streets.junction), changes, others, hazard


def _junction(junction: JunctionSpec | None) -> str:
    asked = junction.model_dump(exclude_none=True, exclude={"approach_m"}) if junction else {}
    return ", ".join(f"{name} {value}".replace("_", " ") for name, value in asked.items()) or "-"


def _words(forbidden: Iterable[str]) -> str:
    return " and no ".join(name.replace("_", " ") for name in forbidden)
