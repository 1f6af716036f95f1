"""The Gymnasium environment: keep a car in its lane, by its camera. Knows nothing of learning.

An episode depends on its road seed alone. Road seeds come from the split (`spec.SPLITS`), or from the caller:
`reset(options={"road_seed": n})`. The same seed gives the same episode in every process.
"""

from typing import Any, cast

import gymnasium
import numpy as np
from numpy.typing import NDArray

from drive_rl.config.specs.base import SPLITS, Actions, Observation, Split
from drive_rl.config.specs.car import CameraSpec
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.engines.bullet import BulletWorld
from drive_rl.sim.envs.env_state import check_env_state
from drive_rl.sim.envs.frame_stack import FrameStack
from drive_rl.sim.envs.road_sampler import generator_state, set_generator_state
from drive_rl.sim.envs.views import CHASE, Window, chase_view, driver_view, road_truth
from drive_rl.sim.sensors.renderer import Truth
from drive_rl.sim.state import State
from drive_rl.sim.task.episode import Drive, Episode, draw_episode
from drive_rl.sim.task.extra_terms import extra_terms, term_names
from drive_rl.sim.task.info import code_names, end_info, step_info
from drive_rl.sim.task.outcome import (
    END_REASONS,
    METRICS,
    SPEED,
    TARGET_SPEED,
    TRACE_COMPLETION,
    TRACE_METRICS,
    Ahead,
    Route,
    S,
    Step,
    free_road,
    lane_state,
    outcome,
    rules_of,
    state_fields,
)
from drive_rl.sim.task.scoring import TRACE, EndReason, EpisodeMetrics, Info, summarise
from drive_rl.sim.task.spaces import (
    action_decoder,
    action_space,
    command_of,
    known,
    observation_space,
    reset_options,
    road_seed_of,
)
from drive_rl.sim.vehicle import CarState, cruise_pedal, steering_of


class LaneEnv(gymnasium.Env[Any, Any]):
    """Keep the right-hand lane to the end of the road.

    Observations: `camera`, uint8 (channels x frame_stack, H, W); `motion`, the changes between its frames and the
    newest, (2 x channels x frame_stack, H, W); `state`, float32 of `state_fields`; `camera+state`, a Dict of `camera`
    and `state`. Actions: `continuous`, [steer, pedal] in [-1, 1] (steer +1 = full left, pedal -1 = full brake);
    `discrete`, an index into the world's grid, steer-major. With `task.controls` = steering there is no pedal: the car
    holds the target speed.

    A copy (`copy.deepcopy`, or `pickle` in another process) resumes from the same state, and from then on the two are
    independent. An environment dropped without `close` frees its memory, too.

    Args:
        world: the world.
        observation: what the driver observes.
        actions: what the driver returns.
        split: where road seeds are drawn from, unless `reset` gets one.
        render_mode: `rgb_array` (a film frame), `human` (a window), or None.
        channels_last: whether pictures are (H, W, channels x frame_stack), as Gymnasium's image wrappers expect.

    Raises:
        DriveRLError: an unknown mode.
    """

    metadata: Info = {"render_modes": ["rgb_array", "human"], "render_fps": 10}  # noqa: RUF012 - gymnasium's

    def __init__(
        self,
        world: WorldSpec,
        observation: Observation = "camera",
        actions: Actions = "continuous",
        split: Split = "train",
        render_mode: str | None = None,
        channels_last: bool = False,
    ) -> None:
        known("split", split, tuple(SPLITS))
        known("render_mode", render_mode, (None, "rgb_array", "human"))
        self.observation_space = observation_space(world, observation, channels_last)
        self.action_space = action_space(world, actions)
        task = world.task
        self.world = world
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": task.control_hz, **code_names(world)}
        self._observation, self._split, self._channels_last = observation, split, channels_last
        self._decoder = action_decoder(task, actions)
        self._rules = rules_of(world)
        self._term_names, self._extra, self._tiers = term_names(world), extra_terms(world), world.tiers
        self._row, self._terms = np.zeros(len(METRICS)), np.zeros(len(self._term_names))
        self._frame_stack = None if observation == "state" else self._new_frame_stack()
        self._bullet = BulletWorld(world.car, 1 / task.physics_hz)
        self._closed = False
        self._trace: list[list[float]] = []
        self._end: EndReason | None = None
        self._window: Any = None
        self._episode: Drive | None = None

    # --- the loop -----------------------------------------------------------------------------------------------

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Any, Info]:
        """Start the episode of a road seed: `options["road_seed"]`, or one drawn from the split.

        Raises:
            DriveRLError: a seed or an option does not fit, or the environment is closed; no episode has started.
        """
        self._need_open("reset")
        super().reset(seed=seed)
        given = reset_options(options)
        seeds = SPLITS[self._split]
        drawn = int(self.np_random.integers(seeds.start, seeds.stop))
        self._begin(road_seed_of(given.get("road_seed", drawn)))
        if self._frame_stack:
            self._frame_stack.start(self.episode, self._car)
        if self.render_mode == "human":
            self.render()
        return self._observe(), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, Info]:
        """Drive one control step.

        Raises:
            DriveRLError: the action does not fit the action space, the episode is over, or the environment is closed.
        """
        self._need_open("step")
        steer, pedal = self._command(action)
        touched = self._drive(steer, pedal)
        self._steps += 1
        reward, end = self._take_in(self._bullet.state(), steer, touched)
        self._trace.append([self._row[i] for i in TRACE_METRICS])
        self._steer, self._over = steer, end is not None
        self._end = end
        info = self._info()
        if end:
            info |= end_info(self.episode_metrics())
        if self._frame_stack:
            self._frame_stack.append(self._car)
        if self.render_mode == "human":
            self.render()
        return self._observe(), reward, self._over and end != "timeout", end == "timeout", info

    def render(self) -> NDArray[np.uint8] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the chase view (H, W, 3) uint8 in `rgb_array` mode; show it in a window in `human` mode."""
        self._need_open("render")
        if self.render_mode == "human":
            self._window = self._window or Window(str(self.world.name))
            self._window.show(self.chase_view(), self.world.task.control_hz)
        return self.chase_view() if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Free the Bullet clients and the window; safe to call twice."""
        self._closed = True
        self._bullet.close()
        if self._frame_stack:
            self._frame_stack.close()
        if self._window:
            self._window.close()
            self._window = None

    def __getstate__(self) -> Info:
        return {**self.__dict__, "_window": None}  # a copy opens a window of its own

    def _need_open(self, verb: str) -> None:
        if self._closed:
            raise DriveRLError(f"{verb}: the environment is closed; fix: make a new one")

    # --- what others may ask ------------------------------------------------------------------------------------

    @property
    def episode(self) -> Drive:
        """The running episode."""
        if self._episode is None:
            raise DriveRLError("the environment has not been reset; fix: call reset() before step() or render()")
        return self._episode

    @property
    def car(self) -> CarState:
        """The car's state."""
        return self._car

    def episode_metrics(self) -> EpisodeMetrics:
        """Return the metrics of the episode that has just ended.

        Raises:
            DriveRLError: it has not ended.
        """
        if self._end is None:
            raise DriveRLError("episode_metrics: no episode has ended; fix: call it after terminated or truncated")
        rules = self._rules.kept_half, self.world.task.min_mean_speed_mps
        return summarise(np.array(self._trace), *rules, self._end, self.episode.seed, self.episode.road.tier)

    def chase_view(self, camera: CameraSpec = CHASE) -> NDArray[np.uint8]:
        """Return the car seen from behind, (H, W, 3) RGB uint8."""
        return chase_view(self.world, cast(Episode, self.episode), self._car, camera)

    def driver_view(self, width_px: int, height_px: int) -> NDArray[np.uint8]:
        """Return the driver's camera's picture at another size, (H, W, 3) RGB uint8."""
        return driver_view(self.world, cast(Episode, self.episode), self._car, width_px, height_px)

    def truth(self) -> Truth:
        """Return the driver's picture and its ground truth, in any observation mode."""
        return road_truth(self.world, cast(Episode, self.episode), self._car)

    def get_state(self) -> State:
        """Return arrays from which `set_state` resumes exactly, in this or another process."""
        return {
            "seed": np.array(self.episode.seed),
            "car": np.array(self._car),
            "control": np.array([self._steer, self._steps, self._over, self._row[S]]),
            "trace": np.array(self._trace).reshape(-1, len(TRACE)),
            "random": generator_state(self.np_random),
            **({"frames": self._frame_stack.frames.copy()} if self._frame_stack else {}),
        }

    def set_state(self, state: State) -> None:
        """Resume where `get_state` was called, on an environment of the same world and modes.

        Raises:
            DriveRLError: it is of another one, or a car cannot be in it; nothing has changed.
        """
        self._need_open("set_state")
        self._check_state(state)
        self._begin(int(state["seed"]))
        self._restore(state)

    def _check_state(self, state: State) -> None:
        check_env_state(state, self._rules.max_steps, self._frame_stack.frames.shape if self._frame_stack else None)

    def _restore(self, state: State) -> None:
        """Go on where a state was saved, in the episode that has just begun anew."""
        self._bullet.set_state(CarState(*state["car"].tolist()))
        self._steer, steps, over, self._row[S] = (float(value) for value in state["control"])
        self._steps, self._over = int(steps), bool(over)
        self._take_in(self._bullet.state(), self._steer)
        self._trace = state["trace"].tolist()
        if self._frame_stack:
            self._frame_stack.start(self.episode, self._car)
            self._frame_stack.frames[:] = state["frames"]
        set_generator_state(self.np_random, state["random"])

    # --- the parts of a step ------------------------------------------------------------------------------------

    def _begin(self, seed: int) -> None:
        self._episode = self._draw(seed)
        self._bullet.place(self._episode.start, self._episode.parked)
        self._trace = []
        self._steer, self._steps, self._over, self._end = 0.0, 0, False, None
        self._car, road = self._episode.start, self._episode.road
        self._route = Route(road.knots, self._episode.speed_profile_mps, road.start_s_m, road.end_s_m)
        self._row[S] = road.start_s_m
        self._take_in(self._bullet.state(), 0.0)

    def _draw(self, seed: int) -> Drive:
        return draw_episode(self.world, seed)

    def _new_frame_stack(self) -> FrameStack:
        return FrameStack(self.world)

    def _drive(self, steer: float, pedal: float) -> bool:
        """Drive one control step with commands in [-1, 1]; return whether the car touched anything."""
        return self._bullet.drive(steer, pedal, self.world.task.physics_hz // self.world.task.control_hz)

    def _ahead(self, touched: bool) -> Ahead:
        return free_road(touched)

    def _command(self, action: Any) -> tuple[float, float]:
        if self._episode is None or self._over:
            raise DriveRLError("step: the episode is over or was never started; fix: call reset() first")
        command, *pedal = command_of(action, self._decoder)
        steer = steering_of(command, self._steer, self._rules.steering_reach)
        return steer, pedal[0] if pedal else cruise_pedal(self._row[SPEED], self._row[TARGET_SPEED])

    def _take_in(self, car: CarState, steer: float, touched: bool = False) -> tuple[float, EndReason | None]:
        """Work out metrics and reward terms of the car's new state; return the reward, and the end reason if any."""
        before, ahead = self._rules.blocked_steps, self._ahead(touched)
        then = self._trace[-before][TRACE_COMPLETION] if 0 < before <= len(self._trace) and not ahead.waits else -1.0
        step = Step(float(self._row[S]), self._car.vx_mps, steer - self._steer, self._steps, then, ahead)
        self._car = car
        reward, code = outcome(self._route, self._rules, car, step, self._row, self._terms)
        if extra := self._extra:
            reward = extra.explained(lambda: extra.weigh(self._row, self._terms, code), lambda: self._row)
            extra.check(self._terms)
        return reward, END_REASONS[code - 1] if code else None

    def _info(self) -> Info:
        road_seed, tier = np.int64(self.episode.seed), np.int64(self._tiers.index(self.episode.road.tier))
        return step_info(self._row, self._term_names, self._terms, road_seed, tier)

    def _observe(self) -> Any:
        if self._observation in ("camera", "motion"):
            return self._pictures()
        if self._observation == "state":
            return self._state()
        return {"camera": self._pictures(), "state": self._state()}

    def _pictures(self) -> NDArray[np.uint8]:
        stack = cast(FrameStack, self._frame_stack).observation(self._observation == "motion")
        return np.ascontiguousarray(np.moveaxis(stack, 0, -1)) if self._channels_last else stack

    def _state(self) -> NDArray[np.float32]:
        state = np.empty(len(state_fields(self.world)), np.float32)
        lane_state(self._route.knots, self._row, self._car, self._rules.lane_d, state)
        return state
