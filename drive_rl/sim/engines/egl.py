"""Bullet's EGL plugin, with one OpenGL context per client. It knows no scene.

The plugin makes a context current when it is loaded, and never again: all clients of a process would draw into the
newest one's, and closing any of them would leave the others without one. `EglContext.use` fixes that.
"""

import ctypes
import importlib.util
import os

from drive_rl.errors import DriveRLError
from drive_rl.sim.engines.bullet_client import pybullet

_DRAW = 0x3059  # EGL_DRAW, egl.h


class EglContext:
    """The context of a client; `use` it before Bullet draws, or removes a body or the client.

    It belongs to the process that made it: a fork cannot use it.

    Raises:
        DriveRLError: Bullet's EGL plugin cannot be loaded.
    """

    def __init__(self, client: int) -> None:
        load_egl(client)
        self._process = os.getpid()
        self._egl = ctypes.CDLL("libEGL.so.1")
        for name in ("eglGetCurrentDisplay", "eglGetCurrentSurface", "eglGetCurrentContext"):
            getattr(self._egl, name).restype = ctypes.c_void_p
        display = ctypes.c_void_p(self._egl.eglGetCurrentDisplay())
        surface = ctypes.c_void_p(self._egl.eglGetCurrentSurface(_DRAW))
        self._current = display, surface, surface, ctypes.c_void_p(self._egl.eglGetCurrentContext())

    def use(self) -> None:
        """Make the context current in this thread.

        Raises:
            DriveRLError: this process is a fork of the one that made it.
        """
        if os.getpid() != self._process:
            raise DriveRLError(
                "camera.renderer = 'egl': OpenGL cannot be used in a fork of the process that opened it; fix: make the"
                " environment in the new process, or multiprocessing's start method 'spawn'"
            )
        self._egl.eglMakeCurrent(*self._current)


def load_egl(client: int) -> None:
    """Load Bullet's EGL plugin into a client.

    Raises:
        DriveRLError: it cannot be loaded.
    """
    found = importlib.util.find_spec("eglRenderer")
    plugin = -1
    if found and found.origin:
        plugin = pybullet.loadPlugin(found.origin, "_eglRendererPlugin", physicsClientId=client)
    if plugin < 0:
        raise DriveRLError(
            "camera.renderer = 'egl': Bullet's EGL plugin cannot be loaded on this machine;"
            " fix: camera.renderer=field (fastest, needs no GPU) or tiny"
        )
