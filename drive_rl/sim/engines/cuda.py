"""The batch engine on a GPU: one thread drives a car, one renders a pixel, with the functions that the CPU calls.

Arrays are torch tensors on the device, which kernels read without a copy. The host draws the roads and assigns them to
cars; a step returns the end codes to it, and nothing else.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import cuda as numba_cuda
from numba.core import config
from numba.cuda.core import config as numba_cuda_config  # pyright: ignore - of numba-cuda, not of numba
from numpy.typing import NDArray

from drive_rl.config.specs.base import SPLITS, Observation
from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.compiled import CACHED, njit
from drive_rl.sim.engines.batch import Batch
from drive_rl.sim.engines.batch_state import check_batch
from drive_rl.sim.engines.car_step import Cars, begin_car, body_of, position_before, step_car
from drive_rl.sim.engines.map_cache import Lens, Roads, slot_bytes, view_of
from drive_rl.sim.sensors.motion import GAIN, LEAST_DEVIATION
from drive_rl.sim.sensors.pinhole import Viewpoint
from drive_rl.sim.sensors.shading import paint_pixel
from drive_rl.sim.task.extra_terms import ExtraTerms

cuda: Any = numba_cuda  # its kernels have no types
numba_cuda_config.CUDA_LOW_OCCUPANCY_WARNINGS = 0  # a few cars do not fill a GPU, and need not

_CARS_A_BLOCK = 64
_PIXELS_A_BLOCK = 256
_ROADS_SHARE = 4
"""One part in so many of the free memory may hold roads without a car."""


class CudaBatch(Batch):
    """A `Batch` whose arrays are torch tensors on a GPU; `observe` returns tensors, `get_state` NumPy arrays.

    Roads stay on the device, all of the training split where memory allows, so that drawing roads soon costs nothing.
    Kernels and torch share the device's default stream.

    Args:
        world: The world.
        num_cars: N.
        observation: What drivers observe.
        device: A CUDA device; in numba's simulator (NUMBA_ENABLE_CUDASIM=1) the CPU.

    Raises:
        DriveRLError: numba cannot use the device, N is not positive, memory does not suffice, or only PyBullet can run
            this world.
    """

    def __init__(
        self, world: WorldSpec, num_cars: int, observation: Observation = "camera", device: str | torch.device = "cuda"
    ) -> None:
        if world.streets is not None:
            raise DriveRLError(f"device = {device}: no GPU simulates streets yet ({world.name}); fix: device=cpu")
        self.device = _usable(device)
        free = 2**30 if simulated() else torch.cuda.mem_get_info(self.device)[0]
        check_batch(world, num_cars, free)
        self._made = world, num_cars, observation, str(device)
        spare_roads = min(len(SPLITS["train"]), free // _ROADS_SHARE // slot_bytes(world))
        self._set_up(world, num_cars, observation, spare_roads, threads=1)
        self._on_device = np.full(len(self.maps.seeds), -1, np.int64)  # seeds of the roads there
        tensors: Any = [self.zeros(array.shape, array.dtype.type) for array in self.maps.roads]
        self._roads = Roads(*tensors)
        self._cars, self._lens_there = Cars(*map(_view, self.cars)), Lens(*map(_view, self._lens))
        self._roads_there = Roads(*map(_view, self._roads))

    def _begin(self, chosen: NDArray[np.int64]) -> None:
        if not len(chosen):
            return
        self._upload()
        indices = _view(self.of_numpy(chosen))
        cars, roads, plan = self._cars, self._roads_there, self._plan
        _begin[_blocks(len(chosen), _CARS_A_BLOCK), _CARS_A_BLOCK](_Chosen(indices), cars, roads, plan)
        stack, pixels = self.frames.shape[1], math.prod(self.frames.shape[3:])
        if stack:
            grid = len(chosen) * stack, _blocks(pixels, _PIXELS_A_BLOCK)
            shown = _Frames(_view(self.frames), _view(self.frames))
            _show_begin[grid, (1, _PIXELS_A_BLOCK)](_Chosen(indices), cars, roads, plan, self._lens_there, shown)

    def _step(self, commands: Any) -> None:
        given = _Commands(_view(torch.as_tensor(commands, dtype=torch.float64, device=self.device)))
        self._upload()
        cars, roads = self._cars, self._roads_there
        _step[_blocks(self.num_cars, _CARS_A_BLOCK), _CARS_A_BLOCK](cars, roads, self._plan, given)
        pixels = math.prod(self.frames.shape[3:])
        if pixels:
            shown = _Frames(_view(self._frames_before), _view(self.frames))
            grid = self.num_cars, _blocks(pixels, _PIXELS_A_BLOCK)
            _show[grid, (1, _PIXELS_A_BLOCK)](cars, roads, self._lens_there, shown)

    def _weighing(self, extra: ExtraTerms) -> Callable[[], object]:
        weigh = extra.weigh

        @cuda.jit
        def weigh_cars(cars):
            i = cuda.grid(1)
            if i < cars.slot.shape[0] and cars.drives[i]:
                cars.reward[i] = weigh(cars.metrics[i], cars.terms[i], cars.end[i])

        return lambda: weigh_cars[_blocks(self.num_cars, _CARS_A_BLOCK), _CARS_A_BLOCK](self._cars)

    def _upload(self) -> None:
        """Copy to the device which car drives where, and the roads that are not there yet."""
        cars: Any = self.cars  # of tensors
        cars.drives.copy_(torch.from_numpy(self.drives))
        cars.slot.copy_(torch.from_numpy(self.slot))
        roads, slots = self.maps.roads, self.slot[self.drives]
        if roads.d_cells.shape != tuple(self._roads.d_cells.shape):
            self._grow(roads.d_cells.shape[1])
        new = np.unique(slots[self._on_device[slots] != self.maps.seeds[slots]])
        if not len(new):
            return
        where = torch.as_tensor(new, device=self.device)
        for on_device, array in zip(self._roads, roads, strict=True):
            on_device[where] = self.of_numpy(array[new])
        self._on_device[new] = self.maps.seeds[new]

    def _grow(self, cells: int) -> None:
        """Make room for larger fields, as the cache has done."""
        wider = {}
        for name in ("d_cells", "s_cells"):
            grid = getattr(self._roads, name)
            wider[name] = self.zeros((len(grid), cells), np.float32)
            wider[name][:, : grid.shape[1]] = grid
        self._roads = self._roads._replace(**wider)
        self._roads_there = Roads(*map(_view, self._roads))

    def zeros(self, shape: tuple[int, ...], dtype: type[np.generic]) -> torch.Tensor:
        """Return a tensor of zeros on the device."""
        return torch.zeros(shape, dtype=torch.from_numpy(np.empty(0, dtype)).dtype, device=self.device)

    def motion(self, frames: torch.Tensor) -> torch.Tensor:
        """Return what changed in stacks of frames, equal to the CPU's: `sensors.motion` in double precision."""
        newest = frames[:, -1]
        road = newest[:, :, 3 * newest.shape[2] // 10 :].to(torch.int64)
        number, dims = road[0].numel(), (1, 2, 3)
        mean = road.sum(dims) / number
        variance = (road * road).sum(dims) / number - mean * mean
        scale = GAIN / (variance.clamp(min=0).sqrt() + LEAST_DEVIATION)
        shades = frames.to(torch.float64)
        brighter = torch.cat((shades[:, 1:] - shades[:, :-1], (shades[:, -1] - mean.view(-1, 1, 1, 1))[:, None]), 1)
        shown = (torch.cat((brighter, -brighter), 1) * scale.view(-1, 1, 1, 1, 1) + 0.5).floor().clamp(0, 255)
        return shown.to(torch.uint8).flatten(1, 2)

    def copy(self, array: torch.Tensor) -> torch.Tensor:
        """Return a copy of a tensor."""
        return array.clone()

    def channels_last(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return a view (..., H, W, C) of pictures (..., C, H, W)."""
        return pictures.movedim(-3, -1)

    def of_numpy(self, array: NDArray[Any]) -> torch.Tensor:
        """Return an array as a tensor on the device."""
        return torch.tensor(array, device=self.device)

    def to_numpy(self, array: Any) -> NDArray[Any]:
        """Return a tensor as an array; an array unchanged."""
        return array.cpu().numpy() if isinstance(array, torch.Tensor) else array


def simulated() -> bool:
    """Return whether numba runs kernels in its simulator, on the CPU."""
    return bool(config.ENABLE_CUDASIM)  # pyright: ignore - set from the environment


def _usable(name: str | torch.device) -> torch.device:
    """Return a device that torch and numba can use.

    Raises:
        DriveRLError: it is not a CUDA device, there is none of this number, or numba cannot use it.
    """
    kind, _, number = str(name).partition(":")
    if simulated():
        return torch.device("cpu")
    if kind != "cuda" or not (number or "0").isdecimal():
        raise DriveRLError(f"device {str(name)!r}: expected cuda or cuda:NUMBER; fix: without a device, on the CPU")
    count = torch.cuda.device_count()
    if int(number or 0) >= count:
        raise DriveRLError(
            f"device {str(name)!r}: torch {torch.__version__} sees {count} GPUs; fix: without a device, on the CPU"
        )
    if not cuda.is_available():
        raise DriveRLError(
            f"device {str(name)!r}: torch can use it, numba cannot; fix: pip install 'numba-cuda[cu13]' (or [cu12],"
            " as torch.version.cuda says), or --device cpu"
        )
    cuda.select_device(int(number or 0))
    return torch.device("cuda", int(number or 0))


class _Chosen(NamedTuple):
    cars: NDArray[np.int64]  # (n,)


class _Commands(NamedTuple):
    values: NDArray[np.float64]  # (N, 1 or 2), as `task.command_names`


class _Frames(NamedTuple):
    before: NDArray[np.uint8]  # (N, stack, C, H, W)
    after: NDArray[np.uint8]  # (N, stack, C, H, W)


def _view(tensor: Any) -> Any:
    """Return a tensor as a kernel takes it, without a copy."""
    return tensor.numpy() if simulated() else cuda.as_cuda_array(tensor)


def _blocks(threads: int, a_block: int) -> int:
    return -(-threads // a_block)


@cuda.jit(cache=CACHED)
def _begin(chosen, cars, roads, plan):
    n = cuda.grid(1)
    if n < chosen.cars.shape[0]:
        begin_car(chosen.cars[n], cars, roads, plan)


@cuda.jit(cache=CACHED)
def _step(cars, roads, plan, commands):
    i = cuda.grid(1)
    if i < cars.slot.shape[0] and cars.drives[i]:
        step_car(i, cars, roads, plan, commands.values[i])


@cuda.jit(cache=CACHED)
def _show_begin(chosen, cars, roads, plan, lens, frames):
    n, pixel = cuda.grid(2)
    stack = frames.after.shape[1]
    if pixel < frames.after.shape[3] * frames.after.shape[4]:
        i, k = chosen.cars[n // stack], n % stack
        x, y = position_before(i, cars, plan, stack - 1 - k)
        _paint(pixel, x, y, body_of(i, cars.body).yaw_rad, cars.slot[i], roads, lens, frames.after[i, k])


@cuda.jit(cache=CACHED)
def _show(cars, roads, lens, frames):
    i, pixel = cuda.grid(2)
    before, after = frames.before, frames.after
    stack, planes, height, width = after.shape[1], after.shape[2], after.shape[3], after.shape[4]
    if pixel < height * width and cars.drives[i]:
        for k in range(stack - 1):
            for plane in range(planes):
                after[i, k, plane, pixel // width, pixel % width] = before[
                    i, k + 1, plane, pixel // width, pixel % width
                ]
        car = body_of(i, cars.body)
        _paint(pixel, car.x_m, car.y_m, car.yaw_rad, cars.slot[i], roads, lens, after[i, stack - 1])


@njit
def _paint(pixel, x, y, yaw, slot, roads, lens, image):
    width, at = image.shape[2], Viewpoint(x, y, math.cos(yaw), math.sin(yaw))
    paint_pixel(pixel // width, pixel % width, view_of(slot, roads, lens), at, image)
