from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from small_specs import dqn, ppo, world
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.vec_env import VecTransposeImage, is_vecenv_wrapped

from drive_rl.config.specs.base import Engine, Observation
from drive_rl.config.specs.driver import DqnSpec, PpoSpec
from drive_rl.errors import DriveRLError
from drive_rl.learn.build import build_model, build_policy, make_envs
from drive_rl.learn.sb3.serial_vec_env import SerialVecEnv
from drive_rl.run.process.device import choose_device, describe_device

CPU = torch.device("cpu")


class Counter(gymnasium.Env[Any, Any]):
    """Observes how many steps it has taken; ends after three, by the clock or by itself."""

    observation_space = spaces.Box(-1, 100, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, truncated: bool) -> None:
        self.count, self.truncated = 0, truncated

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.count = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.count += 1
        end = self.count == 3
        return np.full(1, self.count, np.float32), 0.5, end and not self.truncated, end and self.truncated, {}

    def get_state(self) -> dict[str, np.ndarray]:
        return {"count": np.array(self.count)}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        self.count = int(state["count"])


@pytest.mark.parametrize("truncated", [False, True])
def test_an_episode_ends_as_stable_baselines3_wants_it(truncated: bool) -> None:
    envs = SerialVecEnv([lambda: Counter(truncated)] * 2)
    assert np.array_equal(np.asarray(envs.reset()), [[0], [0]])
    for _ in range(2):
        envs.step(np.zeros(2, int))
    observations, rewards, dones, infos = envs.step(np.zeros(2, int))
    assert np.array_equal(np.asarray(observations), [[0], [0]])  # the next episode's
    assert rewards.dtype == np.float32
    assert dones.tolist() == [True, True]
    for info in infos:
        assert info["terminal_observation"].tolist() == [3]
        assert info["TimeLimit.truncated"] == truncated
        assert info["episode"] == {"r": 1.5, "l": 3}


def test_the_learner_is_given_scaled_rewards_and_the_return_counts_them_as_they_are() -> None:
    envs = SerialVecEnv([lambda: Counter(False)], 0.25)
    envs.reset()
    steps = [envs.step(np.zeros(1, int)) for _ in range(3)]
    assert [float(rewards[0]) for _, rewards, _, _ in steps] == [0.125] * 3
    assert steps[-1][3][0]["episode"]["r"] == 1.5
    envs = make_envs(world(), ppo("reward_scale=0.25"), "train", 2, 0)
    assert isinstance(envs, SerialVecEnv)
    assert [slot.reward_scale for slot in envs.slots] == [0.25, 0.25]
    envs.close()


@pytest.mark.parametrize("engine", ["bullet", "batch"])
def test_rewards_reach_the_learner_on_its_scale(engine: Engine) -> None:
    spec = ppo("reward_scale=0.2", "observation=state", "num_envs=1")
    envs = make_envs(world("task.start_speed_mps=[10, 10]"), spec, "train", 1, 0, engine)
    envs.reset()
    given, infos = 0.0, [{}]
    while "episode" not in infos[0]:
        _, rewards, _, infos = envs.step(np.zeros((1, 2), np.float32))
        given += float(rewards[0])
    envs.close()
    assert given > 0
    assert given == pytest.approx(infos[0]["episode"]["r"] * 0.2, rel=1e-5)


@pytest.mark.parametrize("engine", ["bullet", "batch"])
@pytest.mark.parametrize(("observation", "changes", "ends"), [
    ("camera", ("task.control_hz=1", "task.time_limit_s=1"), False),  # episodes of one step, which the clock ends
    ("state", ("task.control_hz=1", "task.time_limit_s=1"), False),
    ("state", ("task.start_offset_m=1.7", "task.start_heading_rad=0.5", "task.start_speed_mps=[12, 12]"), True),
])  # fmt: skip
def test_only_a_real_end_ends_what_dqn_expects(
    observation: Observation, changes: tuple[str, ...], ends: bool, engine: Engine
) -> None:
    """The loss of an episode's last step, by hand: the clock leaves the value of what would come next."""
    spec = dqn(f"observation={observation}", "guidance=null", "n_steps=1", "gamma=0.9", "learning_starts=1000")
    spec = spec.model_copy(update={"num_envs": 1})
    envs = make_envs(world(*changes), spec, "train", 1, 0, engine)
    model: Any = build_model(spec, envs, CPU, 0)
    steps: list[dict[str, Any]] = []

    def until_an_end(here: dict[str, Any], _: Any) -> bool:
        over = any("episode" in step["info"] for step in steps)  # a step is stored after this
        steps.append({"info": here["infos"][0], "reward": here["rewards"][0], "action": here["actions"][0]})
        return not over

    model.learn(33, callback=until_an_end)
    envs.close()
    last = steps[-2]
    assert last["info"]["TimeLimit.truncated"] != ends
    buffer, row = model.replay_buffer, len(steps) - 2
    observed = torch.as_tensor(buffer.observations[np.array([row]), np.array([0])])
    terminal = torch.as_tensor(last["info"]["terminal_observation"])[None]
    with torch.no_grad():
        value = model.q_net(observed)[0, int(last["action"])]
        target = float(last["reward"]) + (0 if ends else 0.9 * float(model.q_net_target(terminal).max()))
    loss = float(torch.nn.functional.smooth_l1_loss(value, torch.tensor(target)))
    only_the_last(buffer, row)
    model.train(1, 4)
    assert model.logger.name_to_value["train/loss"] == pytest.approx(loss, rel=1e-4)


def only_the_last(buffer: Any, row: int) -> None:
    """Sample nothing but one transition."""
    buffer.sample = lambda batch_size, env=None: buffer._get_samples(np.full(batch_size, row), env)


def test_the_first_action_noise_is_the_specs_and_is_learned() -> None:
    spec = ppo("log_std_init=[-2, -0.5]")
    envs = make_envs(world(), spec, "train", spec.num_envs, 0)
    policy: Any = build_model(spec, envs, CPU, 0).policy
    envs.close()
    assert policy.log_std.tolist() == [-2, -0.5]
    assert any(part is policy.log_std for group in policy.optimizer.param_groups for part in group["params"])


def test_an_environment_in_its_slot_continues_from_its_state() -> None:
    first, second = (SerialVecEnv([lambda: Counter(False)]) for _ in range(2))
    for envs in (first, second):
        envs.reset()
    first.step(np.zeros(1, int))
    second.env_method("set_state", first.env_method("get_state")[0])
    for envs in (first, second):
        envs.step(np.zeros(1, int))
    infos = [envs.step(np.zeros(1, int))[3][0] for envs in (first, second)]
    assert infos[0]["episode"] == infos[1]["episode"] == {"r": 1.5, "l": 3}


@pytest.mark.parametrize("observation", ["camera", "camera+state", "state"])
@pytest.mark.parametrize("make", [ppo, dqn])
def test_models_of_every_observation_learn(make: Callable[..., PpoSpec | DqnSpec], observation: Observation) -> None:
    single = ["n_steps=1"] if make is dqn else []  # n-step returns of two observations do not exist
    spec = make(f"observation={observation}", *single)
    envs = make_envs(world(), spec, "train", spec.num_envs, 0)
    model = build_model(spec, envs, CPU, 0)
    before = {name: tensor.clone() for name, tensor in model.policy.state_dict().items()}
    model.learn(72)
    assert any(not torch.equal(before[name], tensor) for name, tensor in model.policy.state_dict().items())
    assert not is_vecenv_wrapped(envs, VecTransposeImage)
    envs.close()


@pytest.mark.parametrize("spec", [ppo(), dqn()], ids=["ppo", "dqn"])
def test_the_policy_alone_is_the_models_policy(spec: PpoSpec | DqnSpec) -> None:
    envs = make_envs(world(), spec, "train", spec.num_envs, 0)
    model = build_model(spec, envs, CPU, 0)
    policy = build_policy(spec, world(), CPU)
    shapes = [{n: t.shape for n, t in p.state_dict().items()} for p in (model.policy, policy)]
    assert shapes[0] == shapes[1]
    envs.close()


@pytest.mark.parametrize("guidance", ["null", "{}"])
def test_the_camera_is_an_image_to_stable_baselines3(guidance: str) -> None:
    envs = make_envs(world(), ppo(f"guidance={guidance}"), "train", 1, 0)
    space = envs.observation_space
    if guidance != "null":
        assert isinstance(space, spaces.Dict)
        assert set(space.spaces) == {"camera", "state"}
        space = space["camera"]
    assert isinstance(space, spaces.Box)
    assert is_image_space(space)
    assert is_image_space_channels_first(space)
    envs.close()


def test_more_channels_than_rows_are_an_error() -> None:
    spec = ppo()
    with pytest.raises(DriveRLError, match=r"48 stacked channels in an image of 24x16 px.*fix:"):
        make_envs(world("camera.channels=rgb", "camera.frame_stack=16"), spec, "train", 1, 0)


def test_seeds_decide_the_roads_and_environments_differ() -> None:
    spec = ppo("observation=state")

    def first(seed: int) -> np.ndarray:
        envs = make_envs(world(), spec, "train", 3, seed)
        observations = envs.reset()
        envs.close()
        assert isinstance(observations, np.ndarray)
        return observations

    assert np.array_equal(first(0), first(0))
    rows = np.concatenate([first(0), first(1)])
    assert len(np.unique(rows, axis=0)) == 6


def test_the_learning_rate_falls_in_a_line() -> None:
    spec = dqn("learning_rate=4e-4", "learning_rate_end=1e-4")
    envs = make_envs(world(), spec, "train", spec.num_envs, 0)
    model = build_model(spec, envs, CPU, 0)
    rates = [model.lr_schedule(remaining) for remaining in (1.0, 0.5, 0.0, -0.1)]  # the last steps overshoot
    assert rates == pytest.approx([4e-4, 2.5e-4, 1e-4, 1e-4])
    envs.close()


def test_environments_explore_apart() -> None:
    spec = dqn("num_envs=16", "observation=state")
    envs = make_envs(world(), spec, "train", 16, 0)
    model: Any = build_model(spec, envs, CPU, 0)
    observations = np.zeros((16, 11), np.float32)
    model.exploration_rate = 0.5
    greedy = model.predict(observations, deterministic=True)[0]
    explored = np.mean([(model.predict(observations)[0] != greedy).sum() for _ in range(50)])
    assert 5 < explored < 11  # one coin for all would give 0 or about 15 each time
    counts = {int((model.predict(observations)[0] != greedy).sum()) for _ in range(50)}
    assert len(counts) > 4
    envs.close()


def test_the_device_is_what_was_asked_for() -> None:
    assert choose_device("cpu").type == "cpu"
    assert "thread" in describe_device(choose_device("cpu"))
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(DriveRLError, match="expected auto, cpu or cuda"):
        choose_device("tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu_is_an_error_with_a_fix() -> None:
    with pytest.raises(DriveRLError, match=r"device 'cuda': no usable GPU here .*fix: --device cpu"):
        choose_device("cuda")
