"""Steps an environment for some seconds and says how far it came; as a program, a peer's, in the peers' own venv.

It imports Gymnasium and numpy only. As a program: `python stepping.py PEER`, then one number of seconds a line on
standard input; each is answered by one line of JSON.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import gymnasium
import numpy as np

Plan = tuple[dict[str, Any], Iterator[Any]]
"""One episode: the arguments of `reset`, and the actions. An episode also ends where its actions do."""


class Stepper:
    """Drives episode after episode, in blocks of seconds; an episode may span blocks."""

    def __init__(self, env: gymnasium.Env[Any, Any], plans: Iterator[Plan]) -> None:
        self._env, self._plans = env, plans
        self._actions: Iterator[Any] | None = None

    def block(self, seconds: float) -> dict[str, float]:
        """Step for some seconds, resets included; return the counts and the rate."""
        env, steps, resets, reset_s = self._env, 0, 0, 0.0
        begin = now = time.perf_counter()
        while now - begin < seconds:
            action = None if self._actions is None else next(self._actions, None)
            if action is None:
                options, self._actions = next(self._plans)
                env.reset(**options)
                resets += 1
                reset_s += time.perf_counter() - now
            else:
                _, _, terminated, truncated, _ = env.step(action)
                steps += 1
                if terminated or truncated:
                    self._actions = None
            now = time.perf_counter()
        spent = now - begin
        return {
            "steps": steps,
            "seconds": spent,
            "resets": resets,
            "reset_seconds": reset_s,
            "steps_per_s": steps / spent,
        }


def smooth(rng: np.random.Generator, action: Callable[[float], Any]) -> Iterator[Any]:
    """Yield actions of a slowly wandering steering command in [-1, 1]."""
    steer = 0.0
    while True:
        steer = 0.9 * steer + 0.1 * float(rng.uniform(-1, 1))
        yield action(steer)


def car_racing() -> tuple[gymnasium.Env[Any, Any], Iterator[Plan], float]:
    """Return CarRacing-v3 (96x96 RGB), its plans, and the simulated seconds a step."""
    env = gymnasium.make("CarRacing-v3", disable_env_checker=True)
    rng = np.random.default_rng(0)

    def plans() -> Iterator[Plan]:
        while True:
            yield {"seed": int(rng.integers(2**31))}, smooth(rng, lambda steer: np.array([steer, 0.1, 0], np.float32))

    return env, plans(), 1 / 50


def highway() -> tuple[gymnasium.Env[Any, Any], Iterator[Plan], float]:
    """Return highway-env's grey image observation (4 stacked 128x64), its plans, and the simulated seconds a step."""
    import highway_env  # noqa: F401  # pyright: ignore[reportMissingImports] - registers its ids; in the peers' venv

    grey = {
        "type": "GrayscaleObservation",
        "observation_shape": (128, 64),
        "stack_size": 4,
        "weights": [0.2989, 0.5870, 0.1140],
        "scaling": 1.75,
    }
    config = {"observation": grey, "offscreen_rendering": True}
    env = gymnasium.make("highway-fast-v0", render_mode="rgb_array", config=config, disable_env_checker=True)
    rng = np.random.default_rng(0)

    def plans() -> Iterator[Plan]:
        while True:  # 1 = keep lane and speed, 0 and 2 = change lane
            yield (
                {"seed": int(rng.integers(2**31))},
                smooth(rng, lambda steer: 1 if abs(steer) < 0.3 else 1 + int(np.sign(steer))),
            )

    unwrapped: Any = env.unwrapped
    return env, plans(), 1 / unwrapped.config["policy_frequency"]


PEERS = {
    "car_racing": (car_racing, "CarRacing-v3", "gymnasium"),
    "highway": (highway, "highway-fast-v0", "highway-env"),
}


def main() -> None:
    """Serve one peer over standard input and output."""
    os.environ |= {"SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy", "PYGAME_HIDE_SUPPORT_PROMPT": "1"}
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    make, name, package = PEERS[sys.argv[1]]
    env, plans, step_s = make()
    stepper = Stepper(env, plans)
    observation = np.asarray(env.reset(seed=0)[0])
    about = {
        "env": name,
        "version": f"{package} {metadata.version(package)}",
        "observation": [*observation.shape],
        "dtype": str(observation.dtype),
        "simulated_s_per_step": step_s,
    }
    print(json.dumps(about), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(stepper.block(float(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
