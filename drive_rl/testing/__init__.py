"""The contract of every extension point, for tests of your own plugins; the same checks run over what ships.

    from drive_rl.testing import check_plugin

    def test_my_plugin() -> None:
        check_plugin("my_plugin.py")

Each check raises `ContractError`, an AssertionError that says what was expected, or the DriveRLError that a run would
end with.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from drive_rl.config.extensions import Extension, Kind, load_file, registered
from drive_rl.config.plugin_source import Plugin
from drive_rl.config.reader import load_world
from drive_rl.config.shelf import nearest
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.testing.contract import SMALL, ContractError, expect
from drive_rl.testing.heads import check_head
from drive_rl.testing.models import check_perception_model

__all__ = [
    "ContractError",
    "check",
    "check_data_folder",
    "check_driver",
    "check_encoder",
    "check_head",
    "check_metric",
    "check_perception_model",
    "check_plugin",
    "check_reward_term",
]

_STEPS = 30
_CARS = 3


def check_plugin(file: Path | str, options: Mapping[str, Mapping[str, Any]] = MappingProxyType({})) -> list[str]:
    """Check everything that a plugin file registers; return what was checked, such as `encoder mine`.

    Args:
        file: The plugin.
        options: Options of its drivers, by their names: `{"stanley": {"gain": 2.0}}`.

    Raises:
        DriveRLError: it cannot be loaded, or registers no driver that `options` name.
        ContractError: something in it does not keep its contract.
    """
    plugin, checked = load_file(file), list[str]()
    drivers = [name for name, each in registered("driver", installed=False).items() if _is_of(each, plugin)]
    if unknown := [name for name in options if name not in drivers]:
        raise DriveRLError(f"{file}: options: registers no driver {unknown[0]!r}; {nearest(unknown[0], drivers)}")
    for kind, one in _CHECKS.items():
        for name, extension in registered(kind, installed=False).items():
            if _is_of(extension, plugin):
                if kind == "driver":
                    check_driver(name, options.get(name, {}))
                else:
                    one(name)
                checked.append(f"{kind} {name}")
    return checked


def _is_of(extension: Extension, plugin: Plugin) -> bool:
    return extension.plugin.sha256 == plugin.sha256


def check(kind: Kind, name: str) -> None:
    """Check one thing, ours or a plugin's that is loaded.

    Raises:
        ContractError: it does not keep its contract.
    """
    _CHECKS[kind](name)


def check_encoder(name: str) -> None:
    """Check an image encoder: features (B, n) of uint8 pictures, reproducible, with gradients, restored by its weights.

    Raises:
        ContractError: it does not keep its contract.
    """
    import torch

    from drive_rl.config.specs.learner import EncoderSpec
    from drive_rl.perception.models.encoders import Encoder

    what, spec, shape = f"encoder {name}", EncoderSpec(kind=name, features=16), (9, 64, 64)

    def make() -> Encoder:
        torch.manual_seed(0)
        return Encoder(spec, shape, 3).eval()

    pictures = torch.randint(0, 256, (4, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    encoder, again = make(), make()
    features = encoder(pictures)
    expect(tuple(features.shape) == (4, 16), what, f"features (4, 16) of 4 pictures, found {tuple(features.shape)}")
    expect(bool(torch.isfinite(features).all()), what, "finite features")
    expect(torch.equal(features, encoder(pictures)), what, "the same features of the same pictures (in eval mode)")
    expect(torch.equal(features, again(pictures)), what, "the same weights after the same torch.manual_seed")
    apart = torch.cat([encoder(picture[None]) for picture in pictures])
    expect(torch.allclose(features, apart, atol=1e-4), what, "features that do not depend on the rest of the batch")
    encoder.train()(pictures).square().sum().backward()
    without = [key for key, weights in encoder.named_parameters() if weights.grad is None]
    expect(not without, what, f"a gradient for every weight; none for {', '.join(without)}")
    for weights in again.parameters():
        weights.data.add_(1.0)
    again.load_state_dict(make().state_dict())
    expect(torch.equal(features, again(pictures)), what, "the same features after its state_dict is loaded")


def check_reward_term(name: str) -> None:
    """Check a reward term: in [0, 1], pure, and the same in every engine.

    Raises:
        ContractError: it does not keep its contract.
        DriveRLError: it does not compile, or leaves [0, 1].
    """
    what = f"reward term {name}"
    ours = name not in registered("reward_term", installed=False)
    key = f"reward.{name}=1" if ours else f"reward.extra.{name}=1"
    for combine in ("product", "sum"):
        world = load_world(
            "lane_follow", (*SMALL, key, f"reward.combine={combine}", "reward.arrival=0", "reward.failure=0")
        )
        bullet, batch, again = _bullet_terms(world, name), _batch_terms(world, name), _batch_terms(world, name)
        expect(batch == again, what, "the same values of the same drive: a pure function")
        for engine, values in (("bullet", bullet), ("batch", batch)):
            inside = all(0 <= term <= 1 and 0 <= reward <= 1 for term, reward in values)
            expect(inside, what, f"terms and rewards in [0, 1] (engine = {engine})")
        first = np.array(bullet[0]), np.array(batch[0])
        expect(bool(np.allclose(*first, atol=1e-3)), what, f"the same in every engine, found {first}")


def check_driver(name: str, options: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Check a driver: actions within the action space, reproducible, one for each row whatever the others are.

    Raises:
        ContractError: it does not keep its contract.
        DriveRLError: it cannot be made, or its actions are of another shape.
    """
    from drive_rl.drivers.driver import begin_episodes
    from drive_rl.drivers.evaluate import evaluate
    from drive_rl.sim.engines.batch import Batch
    from drive_rl.sim.task.spaces import action_space

    what, world = f"driver {name}", load_world("lane_follow", SMALL)
    driver, again = _driver(name, options, world), _driver(name, options, world)
    batch, rows = Batch(world, _CARS, driver.observation), list(range(_CARS))
    batch.begin(rows, rows)
    seen, space = batch.observe(), action_space(world, driver.actions)
    for each in (driver, again):
        begin_episodes(each, rows)
    actions = np.asarray(driver.act(seen))
    expect(all(space.contains(row) for row in actions.astype(space.dtype)), what, f"actions in {space}")
    expect(np.array_equal(actions, again.act(seen)), what, "the same actions for the same observations")
    begin_episodes(driver, rows)
    expect(np.array_equal(actions, driver.act(seen)), what, "the same actions in an episode that begins alike")
    begin_episodes(again, rows)
    turned = np.asarray(again.act(_taken(seen, rows[::-1])))[::-1]
    expect(np.allclose(actions, turned, atol=1e-5), what, "an action that depends on its own row alone")
    batch.close()
    for engine in ("bullet", "batch"):
        first, second = (evaluate(_driver(name, options, world), world, "val", 2, engine=engine)[1] for _ in range(2))
        expect(first == second, what, f"the same episodes again (engine = {engine})")


def check_metric(name: str) -> None:
    """Check a metric: pure, a finite number or None, of no episodes too.

    A metric of a part of the benchmark other than `accuracy` is checked by the benchmark itself.

    Raises:
        ContractError: it does not keep its contract.
        DriveRLError: it fails, or is not a finite number.
    """
    from drive_rl.drivers.plugin_metrics import metric_value

    extension, what = registered("metric", installed=False)[name], f"metric {name}"
    expect(extension.about.better in (1, -1, 0), what, "better = 1, -1 or 0")
    if extension.about.of not in ("episodes", "accuracy"):
        return
    measured = _episodes() if extension.about.of == "episodes" else _accuracy()
    first, again = metric_value(extension, measured), metric_value(extension, measured)
    expect(first == again, what, f"the same value again, found {first} and {again}")
    if extension.about.of == "episodes":
        try:
            metric_value(extension, ())
        except DriveRLError as error:
            raise ContractError(f"{what}: expected a number or None of no episodes, too: {error}") from error


def check_data_folder(name: str, folder: Path | str) -> None:
    """Check a data format on a folder of it: recognised, the same records again, pictures and labels that decode.

    Raises:
        ContractError: it does not keep its contract.
        DriveRLError: it cannot be read.
    """
    from drive_rl.perception.data.folder_dataset import read_folder
    from drive_rl.perception.data.formats.detect import DataFolder

    what, folders = f"data format {name}", [DataFolder.open(Path(folder), name) for _ in range(2)]
    found = [[(part, each.where, each.image) for part in data.parts for each in data.parts[part]] for data in folders]
    expect(found[0] == found[1], what, "the same records in the same order again")
    data = read_folder(Path(folder), load_world("lane_follow"), name, limit=8)
    expect(not len(data.skipped), what, f"every picture to decode, skipped {data.skipped.report(3)}")


def _check_data_format(name: str) -> None:
    """Check that a format recognises nothing in a folder that holds nothing of it."""
    from drive_rl.perception.data.formats.plugin_format import of_plugin

    detect = of_plugin(registered("data_format", installed=False)[name])[0]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "notes.txt").write_text("nothing\n")
        expect(not detect(Path(folder)), f"data format {name}", "an empty mapping for a folder of something else")


def _episodes() -> Any:
    from drive_rl.drivers.evaluate import evaluate

    world = load_world("lane_follow", SMALL)
    return evaluate(_driver("reference", {}, world), world, "val", 3, engine="batch")[1]


def _accuracy() -> Any:
    from drive_rl.config.specs.perception import DataSpec, ModelSpec
    from drive_rl.perception.data.rendered_dataset import held_out
    from drive_rl.perception.evaluation.accuracy import evaluate_accuracy
    from drive_rl.perception.models.perception_model import PerceptionModel

    world = load_world("lane_follow", ("camera.width_px=64", "camera.height_px=32"))
    model = PerceptionModel(ModelSpec(heads=("lane", "segmentation", "lines", "scene")), world).eval()
    samples = held_out(world, DataSpec(per_road=1), "val", 8)
    return evaluate_accuracy(model, samples, 8)


def _driver(name: str, options: Mapping[str, Any], world: WorldSpec) -> Any:
    from drive_rl.config.specs.driver import ExpertSpec, PluginDriverSpec, ReferenceSpec
    from drive_rl.drivers.expert import ExpertDriver
    from drive_rl.drivers.plugin_driver import plugin_driver
    from drive_rl.drivers.reference import ReferenceDriver

    if name == "reference":
        return ReferenceDriver(ReferenceSpec(name=name, algorithm="reference"), world.car, world.task)
    if name == "expert":
        return ExpertDriver(ExpertSpec(name=name, algorithm="expert"), world.car, world.task)
    return plugin_driver(PluginDriverSpec(name=name, algorithm=name, options=dict(options)), world)


def _bullet_terms(world: WorldSpec, name: str) -> list[tuple[float, float]]:
    """Return a term and the reward of each step of a drive in PyBullet."""
    from drive_rl.sim.envs.lane_env import LaneEnv
    from drive_rl.sim.task.info import reward_key

    env, found = LaneEnv(world, "state"), list[tuple[float, float]]()
    env.reset(options={"road_seed": 0})
    for action in _actions():
        _, reward, terminated, truncated, info = env.step(action)
        found.append((float(info[reward_key(name)]), float(reward)))
        if terminated or truncated:
            break
    env.close()
    return found


def _batch_terms(world: WorldSpec, name: str) -> list[tuple[float, float]]:
    """Return a term and the reward of each step of a drive with the batch engine."""
    from drive_rl.sim.engines.batch import Batch

    batch, found = Batch(world, 1, "state"), list[tuple[float, float]]()
    batch.begin([0], [0])
    for action in _actions():
        ended = batch.step(action[None].astype(np.float64))
        found.append((float(batch.cars.terms[0, batch.term_names.index(name)]), float(batch.cars.reward[0])))
        if len(ended):
            break
    batch.close()
    return found


def _actions() -> np.ndarray:
    """Return steering and pedal that leave the lane sooner or later, (_STEPS, 2)."""
    return np.random.default_rng(0).uniform((-0.3, -0.4), (0.3, 1.0), (_STEPS, 2)).astype(np.float32)


def _taken(seen: Any, rows: list[int]) -> Any:
    return {key: part[rows] for key, part in seen.items()} if isinstance(seen, dict) else seen[rows]


_CHECKS: dict[Kind, Callable[[str], None]] = {
    "encoder": check_encoder,
    "reward_term": check_reward_term,
    "driver": check_driver,
    "metric": check_metric,
    "data_format": _check_data_format,
    "head": check_head,
    "perception_model": check_perception_model,
}
