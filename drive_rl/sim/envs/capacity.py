"""How many PyBullet environments fit into one process."""

from drive_rl.config.specs.world import WorldSpec
from drive_rl.errors import DriveRLError
from drive_rl.memory import free_bytes, require_memory
from drive_rl.sim.engines.bullet_client import CLIENT_BYTES, MAX_CLIENTS
from drive_rl.sim.engines.map_cache import slot_bytes

_CLIENTS = {"field": 1, "tiny": 2, "egl": 2}
"""PyBullet clients of an environment: one simulates, and Bullet's own renderers have one more."""
_RENDERER_BYTES = {"field": 0, "tiny": 6_000_000, "egl": 250_000_000}
"""About the memory that a renderer takes besides its client (egl: in software; measured)."""


def check_envs(world: WorldSpec, count: int) -> None:
    """Refuse more environments than one process can hold, before making any.

    Raises:
        DriveRLError: PyBullet opens no more, or memory does not suffice.
    """
    renderer = world.camera.renderer
    clients = _CLIENTS[renderer]
    if count * clients > MAX_CLIENTS:
        raise DriveRLError(
            f"num_envs = {count}: PyBullet opens at most {MAX_CLIENTS} clients in a process; fix: num_envs <="
            f" {MAX_CLIENTS // clients}, or engine=batch"
        )
    needed, free = count * (clients * CLIENT_BYTES + _RENDERER_BYTES[renderer] + slot_bytes(world)), free_bytes()
    fix = f"num_envs <= {max(1, int(count * free / needed))}, or engine=batch"
    require_memory(f"num_envs = {count}", needed, free, fix)
