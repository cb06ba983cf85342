"""Runs first in the frozen app, in each of its processes: PyInstaller's runtime hook.

Linux: the loader was given the bundle's libraries through `LD_LIBRARY_PATH`; programs that Luthier starts (ssh,
g++, zenity) must find the system's, and its own workers begin as it did itself. macOS: MLX looks for its Metal
library beside `libmlx` as it was loaded, so that is loaded from where both are, before `import mlx`; only in a
worker, as the window has no MLX.
"""

import ctypes
import os
import sys
from pathlib import Path


def restore_environment() -> None:
    """Gives the environment back as it was before the program's own loader changed it.

    Its notes to itself go too: a worker that found them would take the libraries' path as set, which it is not.
    """
    for name in [name for name in os.environ if name.startswith("_PYI_")]:
        del os.environ[name]
    for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"):
        before = os.environ.pop(f"{name}_ORIG", None)
        if before is not None:
            os.environ[name] = before
        elif getattr(sys, "_MEIPASS", None) and os.environ.get(name) == sys._MEIPASS:  # type: ignore[attr-defined]
            del os.environ[name]


def preload_mlx(bundle: Path) -> None:
    """Loads MLX's library by its full path; raises `OSError` where it cannot be loaded."""
    library = bundle / "mlx" / "lib" / "libmlx.dylib"
    if library.exists():
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


if getattr(sys, "frozen", False):
    restore_environment()
    if sys.platform == "darwin" and sys.argv[1:2] == ["--worker"]:
        preload_mlx(Path(sys._MEIPASS))  # type: ignore[attr-defined]
