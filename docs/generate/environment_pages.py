"""One page for each world, in Gymnasium's order, read off its spec and spaces; and the page that lists them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import cast, get_args

from gymnasium import spaces
from interface_words import END, METRIC, STATE, STREET_END, TERM
from markdown_text import HEADER, joined, table
from pydantic import BaseModel

from drive_rl.config.specs.base import SPLITS, Observation
from drive_rl.config.specs.world import RewardSpec, TaskSpec, WorldSpec
from drive_rl.registration import gym_id
from drive_rl.sim.task.info import SUMMARY
from drive_rl.sim.task.outcome import END_REASONS, METRICS, STATE_FIELDS, TERMS
from drive_rl.sim.task.spaces import action_grid, action_space, observation_space
from drive_rl.sim.traffic.ego import COMMAND_M
from drive_rl.sim.vehicle import CRUISE_GAIN_SPM

_RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"


def environments_index(worlds: list[WorldSpec]) -> str:
    """Return the page that lists the worlds and what they share."""
    rows = [
        (f"[`{world.name}`]({world.name}.md)", f"`{gym_id(world.name)}`", world.description, _stock(world.name))
        for world in worlds
    ]
    return HEADER + joined(
        "# Environments",
        "Each world is one YAML file in `envs/` and one Gymnasium id, registered by `import drive_rl`.",
        table(("world", "id", "in a line", "stock PPO"), rows),
        "Stock PPO: success on 500 test roads, the worst of 3 seeds, of stable-baselines3's own `PPO` and `CnnPolicy`,"
        " which learned from pixels and rewards alone; `benchmarks/stock.py` holds the five arguments that differ from"
        " its defaults.",
        "They make a ladder, the easiest first: `lane_keep` steers alone, in bends of 30 m radius or more;"
        " `lane_follow_plain` adds the pedal and bends down to 15 m; `lane_follow` changes the look from episode to"
        " episode; `lane_follow_hard` has tight bends alone; `town` has junctions, signals and other drivers;"
        " `roundabouts` have who goes around to give way to; `country` and `motorway` are faster."
        " Camera and reward are the same on all of them. [Scenarios](scenarios.md) are worlds, too: short routes in"
        " streets, each of which tests one thing.",
        "Every world speaks the same interface: `gymnasium.make` for one car in PyBullet,"
        ' `gymnasium.make_vec(id, num_envs=N, vectorization_mode="vector_entry_point")` for N cars in the'
        " [batch engine](../howto/batch-engine.md), with the same roads, pictures, rewards and ends.",
        "Both of Gymnasium's and stable-baselines3's `check_env` pass on every world; on a machine without a display,"
        " Gymnasium's with `skip_render_check=True`, for it opens a window.",
        "## Seeds and splits",
        _splits(),
    )


def _stock(world: str) -> str:
    """Return what stable-baselines3's own learner reached with the worst seed."""
    path = _RESULTS / f"stock-{world}.json"
    if not path.exists():
        return "not measured"
    found = json.loads(path.read_text(encoding="utf-8"))
    return f"{100 * min(found['figures']['success']):.1f} % after {found['settings']['steps']:,} steps"


def environment_page(world: WorldSpec) -> str:
    """Return the page of one world, in Gymnasium's order."""
    return HEADER + joined(
        f"# {world.name}",
        f"![{world.name}, seen from behind the car; top right, what the driver gets](../img/{world.name}.jpg)",
        f"{_sentence(world.description)}.",
        _summary(world),
        _usage(world),
        "## Observations",
        _observations(world),
        "## Actions",
        _actions(world),
        "## Reward",
        _reward(world.reward),
        "## Start",
        _start(world.task),
        "## Ends",
        _ends(world),
        "## `info`",
        _info(),
        "## Options",
        _options(world),
        "## Seeds and splits",
        _splits(),
        "## Values",
        f"`drive-rl show world:{world.name}` prints them as YAML; any of them can be changed where the world is"
        f" named, as in `{_change(world)}`. [Keys](../reference/keys.md) has their bounds.",
        *_values(world),
    )


def _change(world: WorldSpec) -> str:
    return "world.streets.route_m=400" if world.streets else "world.road.length_m=200"


def _sentence(text: str) -> str:
    return text if "_" in text.split()[0] else f"{text[:1].upper()}{text[1:]}"


def _summary(world: WorldSpec) -> str:
    camera, continuous = observation_space(world, "camera"), action_space(world, "continuous")
    rows = [
        ("Action space", f"`{continuous}`, or `{action_space(world, 'discrete')}`"),
        ("Observation space", f"`{camera}`"),
        ("Step", f"{1 / world.task.control_hz:g} s"),
        ("Longest episode", f"{world.task.max_steps} steps (`max_episode_steps`)"),
        (
            "Solved",
            f"mean return of {world.reward_threshold:g} (`reward_threshold`)" if world.reward_threshold else "-",
        ),
        (
            "Import",
            f'`gymnasium.make("drive_rl:{gym_id(world.name)}")`, or without `drive_rl:` after `import drive_rl`',
        ),
    ]
    return table(("interface", "value"), rows)


def _usage(world: WorldSpec) -> str:
    return f"""```python
import gymnasium
import drive_rl

env = gymnasium.make("{gym_id(world.name)}")
observation, info = env.reset(seed=0)
observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
```"""


def _observations(world: WorldSpec) -> str:
    camera, image = world.camera, cast(spaces.Box, observation_space(world, "camera"))
    motion = cast(spaces.Box, observation_space(world, "motion"))
    picture = "RGB pictures" if camera.planes == 3 else "grey pictures"
    rows = [(i, f"`{name}`", *STATE[name]) for i, name in enumerate(_same(STATE, STATE_FIELDS))]
    return joined(
        f"Uint8 pictures of shape `{image.shape}`, row 0 at the top, made of the latest {camera.frame_stack} {picture}"
        f" of {camera.width_px}x{camera.height_px}, oldest first; at the start these show the way to it, at the same"
        f" speed. What an id returns by default is the world's `observation`, here `{world.observation}`:",
        table(
            ("`observation`", "the observation"),
            [
                ("`camera`", "the frames as they are"),
                (
                    "`motion`",
                    f"shape `{motion.shape}`: the changes from each frame to the next, and the newest frame less its"
                    " mean, all over the newest frame's standard deviation; first where they are brighter, then where"
                    " they are darker, else 0: it shows speed, and neither light nor shade",
                ),
                ("`state`", f"float32 of shape `({len(STATE_FIELDS)},)`, the true lane state"),
                ("`camera+state`", "a `Dict` of both, `camera` and `state`"),
            ],
        ),
        *_navigation(world),
        "A driver observes what its recipe says, whatever the default of the id."
        " The true lane state is privileged, for a real car does not have it:",
        table(("index", "field", "unit", "meaning"), rows),
    )


def _navigation(world: WorldSpec) -> tuple[str, ...]:
    """Return what a driver is given of its route, where there is one to choose."""
    if world.streets is None or world.streets.navigation == "none":
        return ()
    return (
        "Of its route a driver is given the command at the next junction, in every observation of pictures: an arrow in"
        f" the upper left corner that points left, straight on or right, from {COMMAND_M:g} m before the junction until"
        " it is crossed. Where the lane runs, whether the way is free and which light is lit, it has to see.",
    )


def _actions(world: WorldSpec) -> str:
    task, car, names = world.task, world.car, world.task.command_names
    full = {
        "steer": ("full right", "straight on", f"full left: {car.max_steer_rad:g} rad"),
        "pedal": (f"full brake: {car.brake_force_n:g} N", "rolls", f"full throttle: {car.drive_force_n:g} N"),
    }
    values = {"steer": _numbers(task.steer_grid), "pedal": _numbers(task.pedal_grid)}
    index = f", steering first: `index = i_steer * {len(task.pedal_grid)} + i_pedal`" if "pedal" in names else ""
    held = (
        "There is no pedal (`task.controls`): the car holds the target speed by itself, slower in bends, with a"
        f" proportional controller, `pedal = {CRUISE_GAIN_SPM:g} s/m * (target speed - speed)` in [-1, 1]."
    )
    return joined(
        f'`actions="continuous"` (the default): float32 of shape `({len(names)},)` in [-1, 1]; values beyond are'
        " clipped.",
        table(("index", "action", "-1", "0", "+1"), [(i, name, *full[name]) for i, name in enumerate(names)]),
        *([] if "pedal" in names else [held]),
        f"The wheels turn at {car.steer_rate_radps:g} rad/s at most, so a command takes time to arrive.",
        f'`actions="discrete"`: `Discrete({len(action_grid(task))})`, an index into a grid{index}.',
        table(("action", "values"), [(name, values[name]) for name in names]),
    )


def _reward(reward: RewardSpec) -> str:
    formula = {
        "product": "The reward of a step is the product of `term ** weight`, in [0, 1]",
        "sum": "The reward of a step is the weighted mean of the terms, in [0, 1]",
    }[reward.combine]
    rows = [(f"`{name}`", f"{getattr(reward, name):g}", TERM[name]) for name in _same(TERM, TERMS)]
    return joined(
        f"{formula}; the last step of an episode gets {reward.arrival:g} more if the car arrives, and"
        f" {reward.failure:g} less if the episode ends otherwise than by the clock.",
        table(("term", "weight", "meaning"), rows),
        "The score (success, driving score) reads metrics and never the reward.",
    )


def _start(task: TaskSpec) -> str:
    low, high = task.start_speed_mps
    return (
        f"At the start of the route, up to {task.start_offset_m:g} m beside the lane's centre line and"
        f" {task.start_heading_rad:g} rad off its heading, at {low:g} to {high:g} m/s, each drawn"
        " uniformly from the road seed."
    )


def _ends(world: WorldSpec) -> str:
    task, ends = world.task, END | (STREET_END if world.streets else {})
    blocked = f"{task.blocked_s:g} s" if task.blocked_s else "`task.blocked_s`, which is null here: never"
    rows = [
        (f"`{name}`", how, what.format(limit=task.time_limit_s, steps=task.max_steps, blocked=blocked))
        for name, (how, what) in _in_order(ends)
    ]
    return joined(
        table(("`end_reason`", "flag", "when"), rows),
        "An episode is a success (`is_success`) if it arrived, the car's centre never left its lane, nothing was"
        f" touched, and the mean speed was at least {task.min_mean_speed_mps:g} m/s.",
    )


def _info() -> str:
    rows = [(f"`{name}`", *METRIC[name]) for name in _same(METRIC, METRICS)]
    keys = [
        ("`reward_lane`, ...", "float64", "each term in [0, 1], unweighted"),
        ("`road_seed`", "int64", "the seed of the road"),
        ("`tier`", "int64", '`env.metadata["tiers"][info["tier"]]` is the name of the road\'s tier'),
        ("`end_reason`", "int64", '`env.metadata["end_reasons"][info["end_reason"]]` is its name; 0 while it runs'),
        ("`is_success`", "bool", "false while it runs"),
    ]
    return joined(
        "A flat dictionary of NumPy scalars and arrays, with the same keys after `reset` and every step, so that tools"
        " that turn it into arrays need nothing special:",
        table(("key", "type", "value"), [*keys, ("the metrics below", "float64", "of the car now")]),
        table(("metric", "unit", "meaning"), rows),
        "The last step adds the episode's "
        + ", ".join(f"`{name}`" for name in SUMMARY)
        + "; [`EpisodeMetrics`](../reference/environments.md) describes them.",
    )


def _options(world: WorldSpec) -> str:
    rows = [
        ("`observation`", f'`"{world.observation}"`', " or ".join(f'`"{name}"`' for name in get_args(Observation))),
        ("`actions`", '`"continuous"`', '`"continuous"` or `"discrete"`'),
        ("`split`", '`"train"`', "where `reset` draws road seeds from"),
        ("`channels_last`", "`False`", "`True`: pictures are (H, W, channels), as Gymnasium's image wrappers expect"),
        (
            "`streets` or `road`, `car`, `camera`, `task`, `reward`, `appearance`",
            "`{}`",
            'changes of the values below, such as `camera={"width_px": 84, "height_px": 84}`',
        ),
        (
            "`render_mode`",
            "`None`",
            '`"rgb_array"`: the view from behind; `make` only: `"rgb_array_list"`, all so far, `"human"`, a window',
        ),
        ("`max_episode_steps`", "the world's", "a shorter limit; with a longer `task`, it must be given, too"),
        (
            "`autoreset_mode`",
            '`"NextStep"`',
            'when a car begins its next episode: `"NextStep"`, `"SameStep"` or `"Disabled"` (`make_vec` only)',
        ),
        ("`threads`", "`None`", "cores that the cars are spread over (`make_vec` only)"),
        ("`device`", "`None`", "a CUDA device; observations and rewards are torch tensors there (`make_vec` only)"),
        ("`copy`", "`True`", "`False`: observations are views, valid for two steps (`make_vec` only)"),
    ]
    return joined(
        "Of `gymnasium.make` and `gymnasium.make_vec`:",
        table(("keyword", "default", "values"), rows),
        '`reset(options={"road_seed": n})` names the road. `make_vec` takes `reset_mask`, too: N booleans, for the cars'
        " that are reset. Nothing else may be given.",
    )


def _splits() -> str:
    use = {"train": "learning", "val": "evaluation while training, choice of checkpoints", "test": "measuring alone"}
    rows = [(f"`{name}`", f"{seeds.start} to {seeds.stop - 1}", use[name]) for name, seeds in SPLITS.items()]
    return joined(
        "A road seed stands for all that is random in an episode: road or route, start, look, parked cars, traffic."
        " The same seed gives the same episode in both engines and in every process. `reset(seed=n)` seeds the order"
        " in which road seeds are drawn from the split.",
        table(("split", "road seeds", "used for"), rows),
    )


def _values(world: WorldSpec) -> Iterable[str]:
    for part in ("streets" if world.streets else "road", "car", "camera", "task", "reward", "appearance"):
        spec: BaseModel = getattr(world, part)
        rows = [
            (f"`{key}`", f"`{_plain(getattr(spec, key))}`", field.description or "")
            for key, field in type(spec).model_fields.items()
        ]
        yield f"### {part}"
        yield table(("key", "value", "meaning"), rows)


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(part)}" for key, part in value.items()) + "}"
    if isinstance(value, BaseModel):
        return _plain(value.model_dump())
    if isinstance(value, tuple):
        return "[" + ", ".join(_plain(part) for part in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _numbers(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _same(
    described: dict[str, object] | dict[str, str] | dict[str, tuple[str, str]], names: Iterable[str]
) -> list[str]:
    """Return the names, all of which must be described: a new one without words fails here."""
    missing = set(names) ^ set(described)
    assert not missing, (
        f"docs/generate/interface_words.py describes other names than the package has: {sorted(missing)}"
    )
    return list(names)


def _in_order(ends: dict[str, tuple[str, str]]) -> list[tuple[str, tuple[str, str]]]:
    return [(name, ends[name]) for name in _same(ends, END_REASONS)]
