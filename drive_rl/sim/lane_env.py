"""The Gymnasium environment: a car in a lane, seen through its camera. Knows nothing of learning.

An episode is drawn from its road seed alone. Road seeds come from the split (`spec.SPLITS`); with
`reset(options={"road_seed": n})` the caller names one. The same seed gives the same episode in every process.
"""

import math
from dataclasses import astuple, replace
from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from drive_rl.errors import DriveRLError
from drive_rl.reader import load_world
from drive_rl.sim.bullet import BulletWorld, CarState
from drive_rl.sim.camera import cast_rays
from drive_rl.sim.episode import Episode, draw_episode, lane_centre_d_m
from drive_rl.sim.eye import Eye
from drive_rl.sim.lanes import lane_polylines
from drive_rl.sim.pace import lane_curvature
from drive_rl.sim.render import Scene, Truth, render_truth
from drive_rl.sim.reward import combine, comfort_term, heading_term, lane_term, speed_term
from drive_rl.sim.road import KNOT_M, locate, pose_at, wrap
from drive_rl.sim.scoring import EndReason, EpisodeRecorder
from drive_rl.spec import SPLITS, Actions, Observation, Split, WorldSpec

STATE_FIELDS = (
    "offset_m",
    "heading_error_rad",
    "speed_mps",
    "lateral_speed_mps",
    "yaw_rate_radps",
    "steer_rad",
    "target_speed_mps",
    "curvature_0m",
    "curvature_5m",
    "curvature_10m",
    "curvature_20m",
)
"""The privileged observation, in SI units; curvatures [1/m] are the lane's, at distances ahead."""

_AHEAD_M = (0.0, 5.0, 10.0, 20.0)
_STATE_LIMIT = 1e3
_WRONG_HEADING_RAD = math.pi / 2


def make_env(world: str | WorldSpec, **kwargs: Any) -> "LaneEnv":
    """Return the environment of a world, by name, YAML path or spec; Gymnasium's entry point."""
    return LaneEnv(world if isinstance(world, WorldSpec) else load_world(world), **kwargs)


class LaneEnv(gymnasium.Env[Any, Any]):
    """Keep the right-hand lane to the end of the road.

    Observations: `camera`, uint8 (channels x frame_stack, H, W); `state`, float32 of `STATE_FIELDS`; `camera+state`, a
    Dict of both. Actions: `continuous`, [steer, pedal] in [-1, 1] (steer +1 = full left, pedal -1 = full brake);
    `discrete`, an index into the world's grid, steer-major.

    Args:
        world: the world.
        observation: what the driver is given.
        actions: what the driver gives.
        split: where road seeds are drawn from, unless `reset` names one.
        render_mode: `rgb_array` (a film frame), `human` (a window), or None.

    Raises:
        DriveRLError: an unknown mode.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human"], "render_fps": 10}  # noqa: RUF012 - gymnasium's

    def __init__(
        self,
        world: WorldSpec,
        observation: Observation = "camera",
        actions: Actions = "continuous",
        split: Split = "train",
        render_mode: str | None = None,
    ) -> None:
        _known("observation", observation, ("camera", "camera+state", "state"))
        _known("actions", actions, ("continuous", "discrete"))
        _known("split", split, tuple(SPLITS))
        _known("render_mode", render_mode, (None, "rgb_array", "human"))
        task = world.task
        self.world = world
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": task.control_hz}
        self._observation, self._split = observation, split
        self._grid = [(steer, pedal) for steer in task.steer_grid for pedal in task.pedal_grid]
        self._discrete = actions == "discrete"
        self.action_space = spaces.Discrete(len(self._grid)) if self._discrete else spaces.Box(-1, 1, (2,), np.float32)
        self.observation_space = _observation_space(world, observation)
        self._lane_d_m = lane_centre_d_m(world.road)
        self._half_lane_m = world.road.lane_width_m / 2
        self._bullet = BulletWorld(world.car, 1 / task.physics_hz)
        try:
            self._eye = None if observation == "state" else Eye(world, self._bullet.client)
        except DriveRLError:
            self._bullet.close()
            raise
        self._recorder = EpisodeRecorder(self._half_lane_m)
        self._window: Any = None
        self._episode: Episode | None = None

    # --- the loop -----------------------------------------------------------------------------------------------

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start the episode of a road seed: `options["road_seed"]`, or one drawn from the split."""
        super().reset(seed=seed)
        unknown = set(options or ()) - {"road_seed"}
        if unknown:
            raise DriveRLError(f"reset: options: unknown key {sorted(unknown)[0]!r}; expected only 'road_seed'")
        seeds = SPLITS[self._split]
        drawn = int(self.np_random.integers(seeds.start, seeds.stop))
        self._begin(_road_seed((options or {}).get("road_seed", drawn)))
        if self._eye:
            self._eye.open(self.episode, self._car)
        if self.render_mode == "human":
            self.render()
        return self._observe(), {"metrics": self._metrics, "road_seed": self.episode.seed}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Drive one control step.

        Raises:
            DriveRLError: the action does not fit the action space, or the episode is over.
        """
        steer, pedal = self._command(action)
        touched = self._bullet.drive(steer, pedal, self.world.task.physics_hz // self.world.task.control_hz)
        self._look_where(self._bullet.state(), steer)
        terms = self._reward_terms(steer)
        self._recorder.step(self._metrics, touched)
        end = self._end(touched)
        self._steer, self._over = steer, end is not None
        info: dict[str, Any] = {"reward_terms": terms, "metrics": self._metrics}
        if end:
            info.update(self._summary(end))
        if self._eye:
            self._eye.look(self._car)
        if self.render_mode == "human":
            self.render()
        terminated = self._over and end != "timeout"
        return self._observe(), combine(terms, self.world.reward), terminated, end == "timeout", info

    def render(self) -> NDArray[np.uint8] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the chase view (H, W, 3) uint8 in `rgb_array` mode; show it in a window in `human` mode."""
        from drive_rl.sim.window import Window, chase_view  # the window needs a display, most users never open it

        frame = chase_view(self.world, self.episode, self._car)
        if self.render_mode == "rgb_array":
            return frame
        if self.render_mode == "human":
            self._window = self._window or Window(str(self.world.name))
            self._window.show(frame, self.world.task.control_hz)
        return None

    def close(self) -> None:
        """Free the Bullet client and the window."""
        self._bullet.close()
        if self._window:
            self._window.close()
            self._window = None

    # --- what others may ask ------------------------------------------------------------------------------------

    @property
    def episode(self) -> Episode:
        """The running episode."""
        if self._episode is None:
            raise DriveRLError("the environment has not been reset; mend: call reset() before step() or render()")
        return self._episode

    @property
    def car(self) -> CarState:
        """The car's state."""
        return self._car

    def truth(self) -> Truth:
        """Return the driver's present picture, as the `field` renderer paints it, and its ground truth.

        Segmentation (indices into `render.CLASSES`), depth and the painted lines' polylines; in every observation mode.
        """
        episode, car, camera = self.episode, self._car, self.world.camera
        errors = episode.look.camera_height_error_m, episode.look.camera_pitch_error_rad
        scene = Scene(episode.field, self.world.road, episode.look, episode.parked_solids)
        image = np.empty((3 if camera.channels == "rgb" else 1, camera.height_px, camera.width_px), np.uint8)
        seen = render_truth(scene, cast_rays(camera, *errors), car.x_m, car.y_m, car.yaw_rad, image)
        lanes = lane_polylines(episode.road, self.world.road, camera, car.x_m, car.y_m, car.yaw_rad, *errors)
        return replace(seen, lanes=tuple(lanes))

    def get_state(self) -> dict[str, NDArray[Any]]:
        """Return arrays from which `set_state` goes on exactly here, in this or another process."""
        generator = self.np_random.bit_generator.state
        words = [generator["state"]["state"], generator["state"]["inc"]]
        split = [part for word in words for part in (word >> 64, word & (2**64 - 1))]
        return {
            "seed": np.array(self.episode.seed),
            "car": np.array(astuple(self._car)),
            "control": np.array([self._steer, self._steps, self._over]),
            "random": np.array([*split, generator["has_uint32"], generator["uinteger"]], np.uint64),
            **({"frames": self._eye.frames.copy()} if self._eye else {}),
            **{f"recorder.{name}": value for name, value in self._recorder.get_state().items()},
        }

    def set_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on where `get_state` was called, on an environment of the same world and modes."""
        self._begin(int(state["seed"]))
        self._bullet.set_state(CarState(*(float(value) for value in state["car"])))
        self._steer, steps, over = (float(value) for value in state["control"])
        self._steps, self._over = int(steps), bool(over)
        self._look_where(self._bullet.state(), self._steer, advance=False)
        if self._eye:
            self._eye.open(self.episode, self._car)
            self._eye.frames[:] = state["frames"]
        self._recorder.set_state(
            {name.removeprefix("recorder."): a for name, a in state.items() if name.startswith("recorder.")}
        )
        parts = [int(part) for part in state["random"]]
        self.np_random.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": {"state": parts[0] << 64 | parts[1], "inc": parts[2] << 64 | parts[3]},
            "has_uint32": parts[4],
            "uinteger": parts[5],
        }

    # --- the parts of a step ------------------------------------------------------------------------------------

    def _begin(self, seed: int) -> None:
        self._episode = draw_episode(self.world, seed)
        self._bullet.place(self._episode.start, self._episode.parked)
        self._recorder.reset()
        self._steer, self._steps, self._over = 0.0, 0, False
        self._car = self._episode.start
        self._look_where(self._bullet.state(), 0.0, advance=False)

    def _command(self, action: Any) -> tuple[float, float]:
        if self._episode is None or self._over:
            raise DriveRLError("step: the episode is over or was never begun; mend: call reset() first")
        if self._discrete:
            if not self.action_space.contains(action):
                raise DriveRLError(f"step: action {action!r}: expected an integer in [0, {len(self._grid)})")
            return self._grid[int(action)]
        try:
            values = np.asarray(action, np.float64)
        except (TypeError, ValueError):
            values = np.empty(0)
        if values.shape != (2,) or not np.isfinite(values).all():
            raise DriveRLError(f"step: action {action!r}: expected 2 finite numbers [steer, pedal] in [-1, 1]")
        steer, pedal = values
        return min(max(float(steer), -1.0), 1.0), min(max(float(pedal), -1.0), 1.0)

    def _look_where(self, car: CarState, steer: float, advance: bool = True) -> None:
        """Take in the car's new state: where it is on the road, and the step's metrics."""
        episode, task = self.episode, self.world.task
        before, self._car = self._car, car
        self._steps += advance
        s, d, heading, _ = locate(episode.road.knots, car.x_m, car.y_m)
        self._d_m = d
        route_m = episode.road.end_s_m - episode.road.start_s_m
        self._metrics: dict[str, float] = {
            "offset_m": d - self._lane_d_m,
            "heading_error_rad": wrap(car.yaw_rad - heading),
            "speed_mps": car.vx_mps,
            "target_speed_mps": self._target_speed(s),
            "route_completion": min(max((s - episode.road.start_s_m) / route_m, 0.0), 1.0),
            "lateral_accel_mps2": car.vx_mps * car.yaw_rate_radps,
            "longitudinal_accel_mps2": (car.vx_mps - before.vx_mps) * task.control_hz,
            "steer_rad": car.steer_rad,
            "s_m": s,
            "x_m": car.x_m,
            "y_m": car.y_m,
            "yaw_rad": car.yaw_rad,
            "time_s": self._steps / task.control_hz,
        }

    def _target_speed(self, s: float) -> float:
        speeds = self.episode.pace_mps
        at = min(max(s / KNOT_M, 0.0), len(speeds) - 1.001)
        i = int(at)
        return float(speeds[i] + (speeds[i + 1] - speeds[i]) * (at - i))

    def _reward_terms(self, steer: float) -> dict[str, float]:
        metrics = self._metrics
        return {
            "lane": lane_term(metrics["offset_m"], self._half_lane_m),
            "speed": speed_term(metrics["speed_mps"], metrics["target_speed_mps"]),
            "heading": heading_term(metrics["heading_error_rad"]),
            "comfort": comfort_term(metrics["lateral_accel_mps2"], steer - self._steer),
        }

    def _end(self, touched: bool) -> EndReason | None:
        road = self.world.road
        if touched:
            return "collision"
        if self._d_m < -road.lanes_ahead * road.lane_width_m or (self._d_m > 0 and not road.lanes_oncoming):
            return "off_road"
        if self._d_m > 0 or abs(self._metrics["heading_error_rad"]) > _WRONG_HEADING_RAD:
            return "wrong_way"
        if self._metrics["s_m"] >= self.episode.road.end_s_m:
            return "arrived"
        return "timeout" if self._steps >= self.world.task.time_limit_s * self.world.task.control_hz else None

    def _summary(self, end: EndReason) -> dict[str, Any]:
        episode, recorder = self.episode, self._recorder
        in_lane = recorder.max_offset_m <= self._half_lane_m
        success = end == "arrived" and in_lane and recorder.mean_speed_mps >= self.world.task.min_mean_speed_mps
        return {
            "is_success": success,
            "end_reason": end,
            "road_seed": episode.seed,
            "tier": episode.road.tier,
            "episode_metrics": recorder.finish(end, success, episode.seed, episode.road.tier),
        }

    def _observe(self) -> Any:
        if self._observation == "camera":
            return cast(Eye, self._eye).observation()
        if self._observation == "state":
            return self._state()
        return {"camera": cast(Eye, self._eye).observation(), "state": self._state()}

    def _state(self) -> NDArray[np.float32]:
        m, car, knots = self._metrics, self._car, self.episode.road.knots
        curvature = [lane_curvature(pose_at(knots, m["s_m"] + ahead)[3], self._lane_d_m) for ahead in _AHEAD_M]
        state = (
            m["offset_m"], m["heading_error_rad"], car.vx_mps, car.vy_mps, car.yaw_rate_radps, car.steer_rad,
            m["target_speed_mps"], *curvature,
        )  # fmt: skip
        return np.array(state, np.float32)


def _observation_space(world: WorldSpec, observation: Observation) -> spaces.Space[Any]:
    camera = world.camera
    channels = (3 if camera.channels == "rgb" else 1) * camera.frame_stack
    image = spaces.Box(0, 255, (channels, camera.height_px, camera.width_px), np.uint8)
    state = spaces.Box(-_STATE_LIMIT, _STATE_LIMIT, (len(STATE_FIELDS),), np.float32)
    if observation == "camera+state":
        return spaces.Dict({"camera": image, "state": state})
    return image if observation == "camera" else state


def _known(key: str, value: object, known: tuple[object, ...]) -> None:
    if value not in known:
        raise DriveRLError(f"{key} = {value!r}: expected one of {', '.join(str(name) for name in known)}")


def _road_seed(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise DriveRLError(f"reset: options: road_seed = {value!r}: expected an integer >= 0")
    return int(value)
