"""Environments that are closed, copied, pickled and forked, and actions that are none: clear words, or it works."""

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import episodes
import gymnasium
import numpy as np
import pytest
from episodes import commands, fingerprint

from drive_rl.config.reader import load_world
from drive_rl.errors import DriveRLError
from drive_rl.sim.envs.lane_env import LaneEnv
from drive_rl.sim.envs.vector_env import BatchVectorEnv

SHORT = ("road.length_m=60", "camera.width_px=16", "camera.height_px=16")
N = 8


def one(renderer: str = "field", **kwargs: Any) -> LaneEnv:
    return LaneEnv(load_world("parked_cars", [*SHORT, f"camera.renderer={renderer}"]), **kwargs)


def many(**kwargs: Any) -> BatchVectorEnv:
    return BatchVectorEnv(load_world("parked_cars", SHORT), N, threads=2, **kwargs)


# --- closed ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["reset", "step", "render", "set_state"])
def test_a_closed_environment_says_so(verb: str) -> None:
    env = one(render_mode="rgb_array")
    env.reset(seed=0)
    state = env.get_state()
    env.close()
    env.close()
    arguments = {"step": [[0, 0]], "set_state": [state]}.get(verb, [])
    for closed in (env, copy.deepcopy(env)):
        with pytest.raises(DriveRLError, match=rf"{verb}: the environment is closed; fix: make a new one"):
            getattr(closed, verb)(*arguments)


@pytest.mark.parametrize("verb", ["reset", "step", "set_state"])
def test_a_closed_vector_environment_says_so(verb: str) -> None:
    env = many()
    env.reset(seed=0)
    state = env.get_state()
    env.close()
    env.close()
    arguments = {"step": [np.zeros((N, 2))], "set_state": [state]}.get(verb, [])
    for closed in (env, copy.deepcopy(env)):
        with pytest.raises(DriveRLError, match=rf"{verb}: the environment is closed; fix: make a new one"):
            getattr(closed, verb)(*arguments)


# --- copied and sent elsewhere --------------------------------------------------------------------------------------


@pytest.mark.parametrize("renderer", ["field", "tiny"])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_drives_alike_and_independently(renderer: str, copied: Any) -> None:
    env = one(renderer, observation="camera+state")
    env.reset(seed=3)
    actions = commands(1, 12)
    for action in actions[:4]:
        env.step(action)
    twin = copied(env)
    expected = fingerprint(twin, actions[4:]), twin.reset()[1]["road_seed"]
    twin.close()
    assert (fingerprint(env, actions[4:]), env.reset()[1]["road_seed"]) == expected
    env.close()


def test_a_copy_that_was_never_reset_begins_as_its_original() -> None:
    env = one(observation="state")
    twin = copy.deepcopy(env)
    assert np.array_equal(env.reset(seed=1)[0], twin.reset(seed=1)[0])
    env.close()
    twin.close()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_of_a_vector_environment_drives_alike_and_independently(copied: Any) -> None:
    env = many(observation="camera+state")
    env.reset(seed=3)
    actions = np.random.default_rng(0).uniform((-0.3, 0), (0.3, 1), (30, N, 2))
    for action in actions[:10]:
        env.step(action)
    twin = copied(env)
    there = [twin.step(action) for action in actions[10:]]
    twin.close()
    for action, expected in zip(actions[10:], there, strict=True):
        found = env.step(action)
        assert all(np.array_equal(found[0][key], expected[0][key]) for key in found[0])
        assert all(np.array_equal(own, their) for own, their in zip(found[1:4], expected[1:4], strict=True))
    env.close()


ELSEWHERE = """
import pickle, sys
sys.path.insert(0, sys.argv[1])
from episodes import commands, fingerprint
with open(sys.argv[2], "rb") as file:
    print(fingerprint(pickle.load(file), commands(1, 8)))
"""


def test_an_environment_that_is_sent_to_another_process_drives_on_there(tmp_path: Path) -> None:
    env = one(observation="camera+state")
    env.reset(seed=3)
    env.step([0, 0.5])
    (tmp_path / "env").write_bytes(pickle.dumps(env))
    call = [sys.executable, "-c", ELSEWHERE, str(Path(episodes.__file__).parent), str(tmp_path / "env")]
    there = subprocess.run(call, capture_output=True, text=True, check=True).stdout.split()[-1]
    assert fingerprint(env, commands(1, 8)) == there
    env.close()


FORK = """
import os, sys
import numpy as np
from drive_rl.config.reader import load_world
from drive_rl.sim.envs.lane_env import LaneEnv
from drive_rl.sim.envs.vector_env import BatchVectorEnv
world = load_world("parked_cars", ["road.length_m=60", "camera.width_px=16", "camera.height_px=16"])
one, many = LaneEnv(world), BatchVectorEnv(world, 8, threads=2)
one.reset(seed=0), many.reset(seed=0), many.step(np.zeros((8, 2)))
child = os.fork()
seen = one.step([0.1, 0.5])[0].sum(), many.step(np.full((8, 2), 0.1))[0].sum()
if child:
    os.waitpid(child, 0)  # one line after the other
print(seen, flush=True)
if child == 0:
    os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_goes_on_in_both_processes() -> None:
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=60)
    parent, child = done.stdout.splitlines()[-2:]
    assert parent == child, done.stderr


# --- actions --------------------------------------------------------------------------------------------------------


class Hostile:
    def __array__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("no")

    def __repr__(self) -> str:
        raise RuntimeError("no")


WRONG: list[Any] = [
    [10**400, 0], [10**5000, 0], [[0], [0, 1]], [0, [1]], None, "left", ["0", "0"], b"00", [True, False],
    [1j, 0], np.array([1j, 0]), [np.nan, 0], [np.inf, 0], [], [0], np.zeros((2, 2)), {}, {0: 1}, object(), Hostile(),
    [Hostile(), 0], np.array([0, 0], "datetime64[s]"), range(3),
]  # fmt: skip
NO_CHOICE: list[Any] = [10**400, 10**5000, -1, 21, 1.0, True, np.bool_(True), None, "1", [1], np.array([1]), 1j, {}]
NO_CHOICE += [object(), Hostile(), np.nan]


@pytest.mark.parametrize(("actions", "wrong"), [("continuous", WRONG), ("discrete", [*NO_CHOICE, *WRONG])])
def test_what_is_no_action_is_refused(actions: Any, wrong: list[Any]) -> None:
    env, envs = one(observation="state", actions=actions), many(observation="state", actions=actions)
    env.reset(seed=0)
    envs.reset(seed=0)
    for action in wrong:
        with pytest.raises(DriveRLError, match="step: action"):
            env.step(action)
        for row in (action, [action] * N):
            with pytest.raises(DriveRLError, match="step: action"):
                envs.step(row)
    env.close()
    envs.close()


@pytest.mark.parametrize("seed", [-1, 1.5, "1", True, 2**63, None, pytest.param(10**5000, id="huge")])
def test_what_is_no_road_seed_is_refused(seed: Any) -> None:
    for env in (one(observation="state"), many(observation="state")):
        with pytest.raises(DriveRLError, match="road_seed = "):
            env.reset(options={"road_seed": seed})
        env.close()


# --- observations of a vector ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("observation", ["camera", "camera+state", "state"])
def test_observations_are_the_callers_own(observation: str) -> None:
    env = gymnasium.make_vec(
        "drive_rl/LaneFollow-v1", num_envs=2, vectorization_mode="vector_entry_point", observation=observation
    )
    seen = [env.reset(seed=0)[0]]
    kept = copy.deepcopy(seen)
    for _ in range(4):
        seen.append(env.step(np.full((2, 2), 0.5, np.float32))[0])
        kept.append(copy.deepcopy(seen[-1]))
    for own, their in zip(seen, kept, strict=True):
        parts = [(own[key], their[key]) for key in own] if isinstance(own, dict) else [(own, their)]
        assert all(np.array_equal(*pair) for pair in parts)
    env.close()


@pytest.mark.parametrize("options", [3, "road_seed", [7], {"seed": 7}, {3: 4, "road_seed": 7}])
def test_what_are_no_options_is_refused(options: Any) -> None:
    for env in (one(), many()):
        with pytest.raises(DriveRLError, match="reset: options"):
            env.reset(options=options)
        env.close()
