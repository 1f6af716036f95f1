"""The batch engine on a GPU: a thread a car drives, a thread a pixel paints, by the functions that the CPU calls.

Arrays are torch tensors on the device, which kernels see without a copy. The host keeps the roads and says which car
drives where; a step hands it the end codes, and nothing else.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import cuda as numba_cuda
from numba.core import config
from numpy.typing import NDArray

from drive_rl.config.spec import SPLITS, Observation
from drive_rl.config.world_spec import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.sim.compiled import CACHED, njit
from drive_rl.sim.engines.batch import Batch, check_batch
from drive_rl.sim.engines.car_step import begin_car, pose_before, step_car
from drive_rl.sim.engines.map_cache import Array, Roads, slot_bytes
from drive_rl.sim.sensors.shading import paint_pixel
from drive_rl.sim.sensors.solids import Solids
from drive_rl.sim.task.extra_terms import ExtraTerms

cuda: Any = numba_cuda  # its kernels have no types

_CARS_A_BLOCK = 64
_PIXELS_A_BLOCK = 256
_ROADS_SHARE = 4
"""One part in so many of the free memory may hold roads that nobody drives on."""


class CudaBatch(Batch):
    """A `Batch` whose arrays are torch tensors on a GPU; `observe` returns tensors, `get_state` NumPy arrays.

    Roads stay on the device, as many as the training split has where memory allows, so that drawing roads soon costs
    nothing. Kernels and torch share the device's default stream.

    Args:
        world: The world.
        num_cars: N.
        observation: What is to be seen.
        device: A CUDA device; in numba's simulator (NUMBA_ENABLE_CUDASIM=1) the CPU.

    Raises:
        DriveRLError: numba cannot use the device, N is no positive number, memory does not suffice, or only PyBullet
            can run this world.
    """

    def __init__(
        self, world: WorldSpec, num_cars: int, observation: Observation = "camera", device: str | torch.device = "cuda"
    ) -> None:
        self.device = _usable(device)
        free = 2**30 if simulated() else torch.cuda.mem_get_info(self.device)[0]
        check_batch(world, num_cars, free)
        self._made = world, num_cars, observation, str(device)
        spare_roads = min(len(SPLITS["train"]), free // _ROADS_SHARE // slot_bytes(world))
        self._set_up(world, num_cars, observation, spare_roads, threads=1)
        self._lie_there = np.full(len(self.ring.seeds), -1, np.int64)  # seeds of the roads on the device
        self._roads = Roads(*(self.zeros(array.shape, array.dtype.type) for array in self.ring.roads))
        self._seen_cars, self._seen_roads, self._seen_lens = _seen(self.cars), _seen(self._roads), _seen(self._lens)

    def _begin(self, chosen: NDArray[np.int64]) -> None:
        if not len(chosen):
            return
        self._tell()
        indices = _view(self.of_numpy(chosen))
        cars, roads, plan = self._seen_cars, self._seen_roads, self._plan
        _begin[_blocks(len(chosen), _CARS_A_BLOCK), _CARS_A_BLOCK](_Chosen(indices), cars, roads, plan)
        stack, pixels = self.frames.shape[1], math.prod(self.frames.shape[3:])
        if stack:
            grid = len(chosen) * stack, _blocks(pixels, _PIXELS_A_BLOCK)
            shown = _Frames(_view(self.frames), _view(self.frames))
            _show_begin[grid, (1, _PIXELS_A_BLOCK)](_Chosen(indices), cars, roads, plan, self._seen_lens, shown)

    def _step(self, commands: Any) -> None:
        given = _Commands(_view(torch.as_tensor(commands, dtype=torch.float64, device=self.device)))
        self._tell()
        cars, roads = self._seen_cars, self._seen_roads
        _step[_blocks(self.num_cars, _CARS_A_BLOCK), _CARS_A_BLOCK](cars, roads, self._plan, given)
        pixels = math.prod(self.frames.shape[3:])
        if pixels:
            shown = _Frames(_view(self._frames_before), _view(self.frames))
            grid = self.num_cars, _blocks(pixels, _PIXELS_A_BLOCK)
            _show[grid, (1, _PIXELS_A_BLOCK)](cars, roads, self._seen_lens, shown)

    def _weighing(self, extra: ExtraTerms) -> Callable[[Any], object]:
        weigh = extra.weigh

        @cuda.jit
        def weigh_cars(cars):
            i = cuda.grid(1)
            if i < cars.slot.shape[0] and cars.drives[i]:
                cars.reward[i] = weigh(cars.metrics[i], cars.terms[i])

        return lambda cars: weigh_cars[_blocks(self.num_cars, _CARS_A_BLOCK), _CARS_A_BLOCK](self._seen_cars)

    def _tell(self) -> None:
        """Copy to the device which car drives where, and the roads that do not lie there yet."""
        self.cars.drives.copy_(torch.from_numpy(self.drives))
        self.cars.slot.copy_(torch.from_numpy(self.slot))
        roads, slots = self.ring.roads, self.slot[self.drives]
        if roads.d_cells.shape != tuple(self._roads.d_cells.shape):
            self._grow(roads.d_cells.shape[1])
        new = np.unique(slots[self._lie_there[slots] != self.ring.seeds[slots]])
        if not len(new):
            return
        where = torch.as_tensor(new, device=self.device)
        for on_device, array in zip(self._roads, roads, strict=True):
            on_device[where] = self.of_numpy(array[new])
        self._lie_there[new] = self.ring.seeds[new]

    def _grow(self, cells: int) -> None:
        """Make room for larger fields, as the ring has done."""
        wider = {}
        for name in ("d_cells", "s_cells"):
            grid = getattr(self._roads, name)
            wider[name] = self.zeros((len(grid), cells), np.float32)
            wider[name][:, : grid.shape[1]] = grid
        self._roads = self._roads._replace(**wider)
        self._seen_roads = _seen(self._roads)

    def zeros(self, shape: tuple[int, ...], dtype: type[np.generic]) -> torch.Tensor:
        """Return a tensor of zeros on the device."""
        return torch.zeros(shape, dtype=torch.from_numpy(np.empty(0, dtype)).dtype, device=self.device)

    def copy(self, array: torch.Tensor) -> torch.Tensor:
        """Return a copy of a tensor."""
        return array.clone()

    def of_numpy(self, array: NDArray[Any]) -> torch.Tensor:
        """Return an array as a tensor on the device."""
        return torch.tensor(array, device=self.device)

    def to_numpy(self, array: Any) -> NDArray[Any]:
        """Return a tensor as an array; an array stays as it is."""
        return array.cpu().numpy() if isinstance(array, torch.Tensor) else array


def simulated() -> bool:
    """Return whether numba runs kernels in its simulator, on the CPU."""
    return bool(config.ENABLE_CUDASIM)  # pyright: ignore - set from the environment


def _usable(name: str | torch.device) -> torch.device:
    """Return a device that torch and numba can use.

    Raises:
        DriveRLError: it is no CUDA device, there is none of this number, or numba cannot use it.
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
    cars: Array  # (n,) int64


class _Commands(NamedTuple):
    values: Array  # (N, 2) float64


class _Frames(NamedTuple):
    before: Array  # (N, stack, C, H, W) uint8
    after: Array  # (N, stack, C, H, W) uint8


def _view(tensor: torch.Tensor) -> Any:
    """Return a tensor as a kernel sees it, without a copy."""
    return tensor.numpy() if simulated() else cuda.as_cuda_array(tensor)


def _seen(arrays: Any) -> Any:
    return type(arrays)(*map(_view, arrays))


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
        step_car(i, cars, roads, plan, commands.values[i, 0], commands.values[i, 1])


@cuda.jit(cache=CACHED)
def _show_begin(chosen, cars, roads, plan, lens, frames):
    n, pixel = cuda.grid(2)
    stack = frames.after.shape[1]
    if pixel < frames.after.shape[3] * frames.after.shape[4]:
        i, k = chosen.cars[n // stack], n % stack
        x, y = pose_before(i, cars, plan, stack - 1 - k)
        _paint(pixel, x, y, cars.body[2, i], cars.slot[i], roads, lens, frames.after[i, k])


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
        _paint(pixel, cars.body[0, i], cars.body[1, i], cars.body[2, i], cars.slot[i], roads, lens, after[i, stack - 1])


@njit
def _paint(pixel, x, y, yaw, slot, roads, lens, picture):
    width = picture.shape[2]
    solids = Solids(roads.solids[slot, 1], roads.shape[slot], roads.top_colour[slot], roads.side_colour[slot])
    paint_pixel(
        pixel // width,
        pixel % width,
        roads.rays[slot],
        lens.bearings,
        roads.origin[slot],
        roads.d_cells[slot],
        roads.s_cells[slot],
        (roads.size[slot, 0], roads.size[slot, 1]),
        roads.corner[slot, 0],
        roads.corner[slot, 1],
        solids,
        roads.paint[slot],
        roads.palette[slot],
        lens.texels,
        x,
        y,
        math.cos(yaw),
        math.sin(yaw),
        picture,
    )
