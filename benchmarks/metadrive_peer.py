"""Steps MetaDrive with a small camera; runs in an interpreter that has it, and is started by `beside_metadrive.py`.

Reads a number of seconds a line, and answers with steps a second. MetaDrive asks for 16 samples a pixel, which Mesa
does not have, and draws its ground as a mesh; without either, it is at its fastest.
"""

# pyright: reportMissingImports=false

import json
import sys
import time
from types import SimpleNamespace
from typing import Any

import panda3d.core as panda

panda.loadPrcFileData("", "load-display p3headlessgl\ngl-version 3 3")


class OneSample(panda.FrameBufferProperties):
    """Properties of a buffer that keep one sample a pixel."""

    def set_multisamples(self, count: int) -> None:
        """Keep one."""
        super().set_multisamples(0)


def make() -> Any:
    """Return the environment: 64x40, three frames, in traffic that respawns."""
    import metadrive.component.sensors.rgb_camera as camera
    import metadrive.engine.core.engine_core as core
    from metadrive.envs.metadrive_env import MetaDriveEnv

    camera.p3d = SimpleNamespace(**{**vars(panda), "FrameBufferProperties": OneSample})
    smooth = core.init
    core.init = lambda **keys: smooth(**{**keys, "msaa_samples": 0})
    shown = {"show_terrain": False, "show_skybox": False, "show_logo": False, "show_fps": False}
    return MetaDriveEnv(
        {
            **shown,
            "use_render": False,
            "image_observation": True,
            "sensors": {"rgb_camera": (camera.RGBCamera, 64, 40)},
            "vehicle_config": {"image_source": "rgb_camera"},
            "traffic_mode": "respawn",
            "traffic_density": 0.3,
            "num_scenarios": 16,
            "log_level": 40,
        }
    )


def main() -> None:
    """Answer until the input ends."""
    import metadrive

    env = make()
    env.reset()
    for _ in range(10):
        env.step([0.0, 0.2])
    about = {
        "version": f"metadrive-simulator {metadrive.version.VERSION}",
        "actors": len(env.engine.traffic_manager.traffic_vehicles),
        "observation": list(env.observation_space["image"].shape),
    }
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        begin, steps = time.perf_counter(), 0
        while time.perf_counter() - begin < float(line):
            *_, terminated, truncated, _ = env.step([0.0, 0.2])
            if terminated or truncated:
                env.reset()
            steps += 1
        print(json.dumps(steps / (time.perf_counter() - begin)), flush=True)


if __name__ == "__main__":
    main()
