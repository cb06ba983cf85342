"""``luthier doctor``: what is installed, what works, what is missing and how to get it."""

from __future__ import annotations

import ctypes.util
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from app.command import output
from app.core.installation import is_frozen, repair_hint

application = typer.Typer(add_completion=False, rich_markup_mode=None)

PACKAGES = ("mlx", "mlx-lm", "PySide6-Essentials", "pyqtgraph", "transformers", "safetensors", "numpy")
LEAST_DISK = 5e9
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was looked at. ``needed`` is false where Luthier works without it, only slower or plainer."""

    name: str
    ok: bool
    found: str
    hint: str = ""
    needed: bool = True


@application.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> int:
    """Looks at everything that Luthier needs. Exit code 1 if something that is needed is missing."""
    findings = examine()
    usable = all(finding.ok for finding in findings if finding.needed)
    if as_json:
        output.say_json({"ok": usable, "findings": [asdict(finding) for finding in findings]})
        return 0 if usable else 1
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark = "ok     " if finding.ok else "MISSING" if finding.needed else "absent "
        output.say(f"{mark}  {finding.name:{width}}  {finding.found}")
        if finding.hint and not finding.ok:
            output.say(f"{'':7}  {'':{width}}  {finding.hint}")
    output.say("\nEverything that is needed is there." if usable else "\nSomething that is needed is missing.")
    return 0 if usable else 1


def examine() -> list[Diagnosis]:
    """All findings."""
    checks: list[Callable[[], list[Diagnosis]]] = [
        _python, _packages, what_mlx_runs_on, _device, _qt, _display, _speed, _places,
    ]  # fmt: skip
    return [finding for check in checks for finding in check()]


def _python() -> list[Diagnosis]:
    from app import __version__
    from app.core.system.rosetta import rosetta_refusal

    version, translated = sys.version.split()[0], rosetta_refusal()
    fits = (3, 11) <= sys.version_info < (3, 15) and not translated
    return [
        Diagnosis("Luthier", True, __version__),
        Diagnosis("Python", fits, f"{version} ({sys.executable})", translated or "Python 3.11 to 3.14 is needed."),
        Diagnosis("system", True, f"{platform.platform()} · {platform.machine()} · {os.cpu_count()} cores"),
    ]


def _packages() -> list[Diagnosis]:
    found = []
    for name in PACKAGES:
        try:
            found.append(Diagnosis(name, True, metadata.version(name)))
        except metadata.PackageNotFoundError:
            found.append(Diagnosis(name, False, "not installed", repair_hint()))
    return found


def what_mlx_runs_on() -> list[Diagnosis]:
    """What MLX runs on, by the package that is installed; an NVIDIA GPU that lies idle is told."""
    from app.core.protocol import program

    build = program.mlx_build()
    if not build:
        return [Diagnosis("MLX runs on", False, "nothing", repair_hint())]
    on = {"mlx-metal": "the GPU, by Metal", "mlx-cpu": "the CPU"} | dict.fromkeys(
        program.CUDA_BUILDS, "an NVIDIA GPU, by CUDA"
    )
    idle = build == "mlx-cpu" and (shutil.which("nvidia-smi") is not None or NVIDIA_DRIVER.exists())
    hint = (
        "There is an NVIDIA driver, and this app has MLX for the CPU alone; in a checkout of Luthier "
        if is_frozen()
        else "There is an NVIDIA driver: "
    ) + "`python3 packaging/dev.py setup` says whether its GPU can be used, and uses it."
    found = [Diagnosis("MLX runs on", True, f"{on[build]} ({build} {metadata.version(build)})")]
    return (
        [*found, Diagnosis("NVIDIA GPU", False, "has a driver, but is not used", hint, needed=False)]
        if idle
        else found
    )


def _device() -> list[Diagnosis]:
    """Whether MLX starts, asked of a worker: its first event tells device and memory."""
    from app.core.protocol import event
    from app.core.protocol.client import log_tail, started_job
    from app.core.protocol.job import InspectJob

    # An inspection of no model says hello, then that there is none.
    with started_job(InspectJob(model="")) as worker:
        for said in worker.events():
            if isinstance(said, event.Hello):
                memory = f"{said.device} · {said.memory_gb:.1f} GB memory, {said.working_set_gb:.1f} GB for MLX"
                return [Diagnosis("device", True, memory)]
        tail = log_tail(worker.log, 3)
    return [Diagnosis("device", False, f"MLX does not start: {tail}", "MLX needs an Apple-silicon Mac or Linux.")]


def _qt() -> list[Diagnosis]:
    """Whether Qt starts without a screen, and has fonts."""
    before = os.environ.get("QT_QPA_PLATFORM")
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    try:
        from PySide6.QtGui import QFontDatabase, QGuiApplication
        from PySide6.QtWidgets import QWidget  # noqa: F401  # the library that lacks its Debian packages first
    except ImportError as error:
        hint = (
            "Debian, Ubuntu: apt-get install libegl1 libgl1 libdbus-1-3 libfontconfig1 libglib2.0-0 libxkbcommon0"
        )
        return [Diagnosis("Qt", False, str(error), hint)]
    else:
        there = QGuiApplication.instance()  # of whoever runs this in a process of its own: not ours to end
        application = there or QGuiApplication([])
        families = len(QFontDatabase.families())
        if there is None:
            application.shutdown()
        hint = "Debian, Ubuntu: apt-get install fonts-dejavu-core"
        return [Diagnosis("Qt", True, "starts"), Diagnosis("fonts", families > 0, f"{families} families", hint)]
    finally:
        if before is None:
            del os.environ["QT_QPA_PLATFORM"]
        else:
            os.environ["QT_QPA_PLATFORM"] = before


def _display() -> list[Diagnosis]:
    if sys.platform != "linux":
        return [Diagnosis("display", True, "the system's own", needed=False)]
    name = os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY")
    hint = "Without one the command line works, and `QT_QPA_PLATFORM=offscreen` draws pictures of the window."
    found = [Diagnosis("display", bool(name), name or "none", hint, needed=False)]
    if os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
        there = ctypes.util.find_library("xcb-cursor") is not None
        more = "Debian, Ubuntu: apt-get install libxcb-cursor0"
        found.append(Diagnosis("libxcb-cursor", there, "there" if there else "not there", more))
    return found


def _speed() -> list[Diagnosis]:
    """What MLX's CPU build on Linux is fast with."""
    if sys.platform != "linux":
        return []
    blas, compiler = ctypes.util.find_library("openblas"), shutil.which("g++")
    return [
        Diagnosis(
            "OpenBLAS",
            blas is not None,
            blas or "not there",
            "Training is some 9 × slower without it. Debian, Ubuntu: apt-get install libopenblas0",
            needed=False,
        ),
        Diagnosis(
            "g++",
            compiler is not None,
            compiler or "not there",
            "MLX compiles its steps with it. Debian, Ubuntu: apt-get install g++",
            needed=False,
        ),
    ]


def _places() -> list[Diagnosis]:
    from app.core.model.folder import hub_cache
    from app.core.quantity import bytes_text
    from app.core.run.folder import runs_dir
    from app.core.system.starter import starter_dir

    runs = runs_dir()
    parent = next(path for path in (runs, *runs.parents) if path.exists())
    free = shutil.disk_usage(parent).free
    writable = os.access(parent, os.W_OK)
    found = [
        Diagnosis(
            "runs", writable, str(runs), f"{parent} cannot be written; choose another place in the settings."
        ),
        Diagnosis(
            "disk", free > LEAST_DISK, f"{bytes_text(free)} free", "Runs and models need room.", needed=False
        ),
        Diagnosis("models", True, _there(hub_cache()), needed=False),
    ]
    try:
        found.append(Diagnosis("starter model", True, str(starter_dir()), needed=False))
    except FileNotFoundError:
        hint = "Reinstall Luthier; the demo needs it."
        found.append(Diagnosis("starter model", False, "not there", hint, needed=False))
    return found


def _there(path: Path) -> str:
    return str(path) if path.exists() else f"{path} (nothing downloaded yet)"
