"""What Luthier asks of a machine before anything is installed: a Python and a platform that MLX has wheels for.

Standard library only, in syntax that Python 3.6 parses: `dev.py` uses it to tell an old Python so.
"""

import os
import platform
import shutil
import subprocess
import sys

# The oldest C library that the wheels were built for: mlx-cpu's on x86_64, PySide6's on aarch64.
LINUX_GLIBC = {"x86_64": (2, 35), "aarch64": (2, 39)}
# The fonts that the layout tests are run with, from the one found everywhere to a wide one; their Debian packages.
TEST_FONTS = {"DejaVu Sans": "fonts-dejavu-core", "Inter": "fonts-inter", "Hack": "fonts-hack"}


class SetupError(Exception):
    """Why this machine cannot go on, in one plain sentence with what to do."""


def check_python(version: "tuple[int, ...]") -> None:
    """Refuses a Python that the packages have no wheels for."""
    found = ".".join(str(part) for part in version[:3])
    if (3, 11) <= tuple(version[:2]) < (3, 15):
        return
    other = other_python()
    if other:
        how = f"run this command with `{other}` instead of `python3`"
    elif sys.platform == "darwin":
        how = "get one with `brew install python@3.13` or the installer from python.org"
    else:
        how = "install one from your distribution, or with `uv python install 3.13`"
    raise SetupError(f"This is Python {found}, but Luthier needs Python 3.11 to 3.14: {how}.")


def other_python() -> str:
    """Returns the name of a fitting Python on the PATH that really starts, or an empty string."""
    for name in ("python3.13", "python3.12", "python3.14", "python3.11"):
        if shutil.which(name) and quiet([name, "-c", "import ensurepip"]) == 0:
            return name
    return ""


def quiet(command: "list[str]") -> int:
    return subprocess.call(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def check_platform() -> None:
    """Refuses systems that MLX has no wheels for."""
    machine = platform.machine()
    if sys.platform == "darwin":
        release = platform.mac_ver()[0]
        if machine != "arm64":
            raise SetupError(
                f"MLX needs a Mac with Apple silicon and a Python built for it, and this one runs as {machine}."
            )
        if int(release.split(".")[0] or 0) < 14:
            raise SetupError(f"MLX needs macOS 14 or later, and this is macOS {release}: update macOS.")
    elif sys.platform == "linux":
        if machine not in LINUX_GLIBC:
            raise SetupError(f"On Linux, MLX needs x86_64 or aarch64, and this machine is {machine}.")
        glibc = glibc_version()
        if glibc < LINUX_GLIBC[machine]:
            found = "glibc " + ".".join(map(str, glibc)) if glibc else "another C library"
            needed = ".".join(map(str, LINUX_GLIBC[machine]))
            raise SetupError(
                f"On this kind of machine MLX and Qt need glibc {needed} or later, and this system has {found}: "
                "use a newer Linux, such as Ubuntu 24.04 or Debian 13."
            )
    else:
        raise SetupError(f"Luthier runs on macOS and Linux, not on {sys.platform}.")


def glibc_version() -> "tuple[int, ...]":
    """Returns (major, minor), or an empty tuple where the C library is another one (musl)."""
    try:
        return tuple(int(part) for part in (os.confstr("CS_GNU_LIBC_VERSION") or "").split()[-1].split(".")[:2])
    except (IndexError, OSError, ValueError):
        return ()
