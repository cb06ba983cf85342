"""What Luthier asks of a machine before anything is installed: a Python and a platform that MLX has wheels for.

Standard library only, in syntax that Python 3.6 parses: `dev.py` uses it to tell an old Python so.
"""

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

# The oldest C library that the wheels were built for: mlx-cpu's on x86_64, PySide6's on aarch64.
LINUX_GLIBC = {"x86_64": (2, 35), "aarch64": (2, 39)}
# NVIDIA's driver from which each kind of MLX for its GPUs runs, the newest first, and the oldest GPU that does.
DRIVERS = [("cuda13", (580,)), ("cuda12", (550, 54))]
LEAST_CAPABILITY = (7, 5)
DRIVER_FILE = Path("/proc/driver/nvidia/version")
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
        if machine != "arm64" and translated():
            raise SetupError(
                f"This Python runs as {machine}, translated by Rosetta, and MLX needs it native: in the Finder's "
                "Get Info of your terminal switch “Open using Rosetta” off, or put `arch -arm64` in front of this "
                "command; if that fails, this Python was built for Intel alone: get one for Apple silicon with "
                "`brew install python@3.13` or the installer from python.org."
            )
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


def translated() -> bool:
    """Returns whether Rosetta runs this process, as `app.core.system.rosetta` says once there is an app to ask."""
    value = ctypes.c_int(0)
    size = ctypes.c_size_t(ctypes.sizeof(value))
    ask = getattr(ctypes.CDLL(None), "sysctlbyname", None)
    told = ask is not None and ask(b"sysctl.proc_translated", ctypes.byref(value), ctypes.byref(size), None, 0) == 0
    return told and value.value == 1


def glibc_version() -> "tuple[int, ...]":
    """Returns (major, minor), or an empty tuple where the C library is another one (musl)."""
    try:
        return tuple(int(part) for part in (os.confstr("CS_GNU_LIBC_VERSION") or "").split()[-1].split(".")[:2])
    except (IndexError, OSError, ValueError):
        return ()


def accelerator() -> "tuple[str, str]":
    """Returns which MLX this machine gets besides the usual one (an extra of pyproject.toml, or nothing), and a
    sentence where there is an NVIDIA driver. LUTHIER_ACCELERATOR says it instead: cpu, cuda12 or cuda13."""
    kinds = [kind for kind, _ in DRIVERS]
    asked = os.environ.get("LUTHIER_ACCELERATOR", "")
    if asked not in ["", "cpu", *kinds]:
        raise SetupError(f"LUTHIER_ACCELERATOR is “{asked}”, and must be cpu, {' or '.join(kinds)}.")
    if asked or sys.platform != "linux":
        return ("" if asked == "cpu" else asked), ""
    driver, capability = nvidia()
    if not driver:
        return "", ""
    found = f"NVIDIA's driver {'.'.join(map(str, driver))} is here"
    if capability and capability < LEAST_CAPABILITY:
        compute = ".".join(map(str, capability))
        return (
            "",
            f"{found}, but MLX needs compute capability 7.5, and this GPU has {compute}: the CPU it is.",
        )
    for kind, least in DRIVERS:
        if driver >= least:
            return kind, f"{found}: MLX for its GPU ({kind}, some 2 GB) is installed."
    return "", f"{found}, but MLX needs 550.54 or later: update the driver to train on the GPU. Now it is the CPU."


def nvidia() -> "tuple[tuple[int, ...], tuple[int, ...]]":
    """Returns the driver's version and the first GPU's compute capability; empty where they are not known."""
    command = ["nvidia-smi", "--query-gpu=driver_version,compute_cap", "--format=csv,noheader"]
    if shutil.which(command[0]):
        asked = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        first = asked.stdout.decode("utf-8", "replace").split("\n")[0].split(",")
        if asked.returncode == 0 and numbers(first[0]):
            return numbers(first[0]), numbers(first[1]) if len(first) > 1 else ()
    try:
        words = DRIVER_FILE.read_text(encoding="utf-8", errors="replace").split("\n")[0].split()
    except OSError:
        return (), ()
    return next((numbers(word) for word in words if len(numbers(word)) > 1), ()), ()


def numbers(text: str) -> "tuple[int, ...]":
    """Returns "550.54.14" as numbers; empty for other words."""
    parts = text.strip().split(".")
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else ()
