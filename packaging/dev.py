#!/usr/bin/env python3
"""The checkout's front door: makes `.venv` from the lock, then runs the demo, the tests or the window.

    python3 packaging/dev.py demo [ARGS]    the whole main job on the bundled model and data
    python3 packaging/dev.py test [ARGS]    the tests (ARGS go to pytest)
    python3 packaging/dev.py run [FILES]    the window
    python3 packaging/dev.py setup [--dev]  only make .venv (--dev: with the tools that the tests and checks need)
    python3 packaging/dev.py app            a double-clickable launcher for this checkout (app --help tells more)
    python3 packaging/dev.py freeze         the app that needs no checkout, under dist/ (freeze --help tells more)
    python3 packaging/dev.py lock           make the lock files again (needs uv; ARGS go to uv)

Standard library only, and no syntax that Python 3.6 cannot parse, so that an old Python gets a sentence.
"""

import ctypes
import hashlib
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from machine import DRIVERS, TEST_FONTS, SetupError, accelerator, check_platform, check_python

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
COMMAND = VENV / "bin" / "luthier"
MAIN = ROOT / "app" / "__main__.py"
STAMP = VENV / "luthier-setup.json"
LOG = VENV / "setup.log"
RUNTIME_LOCK = ROOT / "packaging" / "requirements.lock"
DEV_LOCK = ROOT / "packaging" / "requirements-dev.lock"
FREEZE_LOCK = ROOT / "packaging" / "requirements-freeze.lock"
# What MLX for an NVIDIA GPU takes in place of mlx-cpu: both bring the same files.
GPU_LOCKS = {kind: ROOT / "packaging" / f"requirements-{kind}.lock" for kind, _ in DRIVERS}

QT_PACKAGES = ["libegl1", "libgl1", "libdbus-1-3", "libfontconfig1", "libglib2.0-0", "libxkbcommon0"]
QT_PACKAGES += ["fonts-inter", "fonts-dejavu-core"]  # offscreen Qt without any font draws boxes
XCB_LIBRARIES = "cursor0 icccm4 image0 keysyms1 randr0 render-util0 shape0 xfixes0 xkb1"
WINDOW_PACKAGES = ["libxkbcommon-x11-0", "libx11-xcb1", *("libxcb-" + name for name in XCB_LIBRARIES.split())]

QT_PROBE = """
import sys
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QApplication
app = QApplication([])
sys.exit(0 if QFontDatabase.families() else "no font is installed")
"""

FONT_PROBE = """
from PySide6.QtGui import QFontDatabase, QGuiApplication
app = QGuiApplication([])
print(*QFontDatabase.families(), sep="\\n")
"""

NETWORK_SIGNS = (
    "name resolution",
    "nodename nor servname",
    "NewConnectionError",
    "timed out",
    "ProxyError",
    "SSLError",
)
PIP_FAILURES = [  # what pip prints -> what it means; the first that matches is told
    (("No space left on device",), "The disk is full: free some 2 GB, then run this command again."),
    (
        ("DO NOT MATCH THE HASHES",),
        "A downloaded package is not the one that the lock names, so nothing was installed: try another network.",
    ),
    (
        NETWORK_SIGNS,
        "The package index cannot be reached: connect to the network (or name a proxy in HTTPS_PROXY, or a mirror "
        "with `pip config`), then run this command again.",
    ),
]


def main(arguments: "list[str]") -> int:
    """Runs one verb; returns 2 after a refusal, or does not return (the verb takes over the process)."""
    verb = arguments[0] if arguments else ""
    if verb not in VERBS:
        print(__doc__.strip(), file=sys.stdout if verb in ("-h", "--help") else sys.stderr)
        return 0 if verb in ("-h", "--help") else 2
    try:
        claim_stdin()
        check_python(sys.version_info[:3])
        check_platform()
        return VERBS[verb](arguments[1:])
    except SetupError as refusal:
        print(f"dev.py: {refusal}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"dev.py: The system refused: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def claim_stdin() -> None:
    """Puts /dev/null on a closed stdin, or the first file opened would become the children's stdin."""
    try:
        os.fstat(0)
    except OSError:
        os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)


# --- the environment ----------------------------------------------------------------------------------------------


def prepare(lock: Path, window: bool = False) -> None:
    """Makes `.venv` hold what `lock` names, and Qt able to start; does next to nothing when both are so."""
    gpu, said = accelerator()
    base = {"python": sys.version, "root": str(ROOT), **({"accelerator": gpu} if gpu else {})}
    stamp = read_stamp()
    differs = any(stamp.get(key) != value for key, value in base.items()) or stamp.get("accelerator", "") != gpu
    if differs or not PYTHON.exists():
        if said:
            print(said, file=sys.stderr)
        make_venv()
        stamp = base
    digest = fingerprint(lock, gpu)
    installed = stamp.get(lock.name) != digest
    if installed:
        if STAMP.exists():
            STAMP.unlink()  # an installation that dies half-way must not look finished
        install(lock, gpu)
        stamp[lock.name] = digest
        if lock != RUNTIME_LOCK:  # the others hold all of it
            stamp[RUNTIME_LOCK.name] = fingerprint(RUNTIME_LOCK, gpu)
        STAMP.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    if sys.platform == "linux":
        ensure_system(window, installed)


def read_stamp() -> "dict[str, str]":
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def fingerprint(lock: Path, gpu: str) -> str:
    more = GPU_LOCKS[gpu].read_bytes() if gpu else b""
    return hashlib.sha256(lock.read_bytes() + (ROOT / "pyproject.toml").read_bytes() + more).hexdigest()


def make_venv() -> None:
    if VENV.exists():
        shutil.rmtree(str(VENV))
    VENV.mkdir()
    package = f"python3.{sys.version_info[1]}-venv"
    if not has_venv() and can_apt():
        apt_install([package])
        importlib.invalidate_caches()
    if not has_venv():
        raise SetupError(
            "This Python cannot make virtual environments: on Debian or Ubuntu run `sudo apt-get install -y "
            f"{package}`, elsewhere use a Python that has its venv and ensurepip modules."
        )
    # A venv's own interpreter is about to be replaced when this script was started with it.
    base = getattr(sys, "_base_executable", None) or sys.executable
    if logged("Making .venv", [base, "-m", "venv", str(VENV)]):
        raise SetupError(f"The virtual environment could not be made: the lines above say why, {LOG} has all.")


def has_venv() -> bool:
    return all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))


def install(lock: Path, gpu: str) -> None:
    """Installs the lock with its hashes, then the project itself, editable."""
    locks = ["-r", str(lock)]
    if gpu:
        usual = VENV / lock.name
        usual.write_text(without_package(lock.read_text(encoding="utf-8"), "mlx-cpu"), encoding="utf-8")
        locks = ["-r", str(usual), "-r", str(GPU_LOCKS[gpu])]
    pip = [str(PYTHON), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--no-deps"]
    pip += ["--progress-bar", "off"]
    steps = [
        ("Installing packages", ["--require-hashes", "--only-binary", ":all:", *locks]),
        ("Installing Luthier", ["--no-build-isolation", "-e", str(ROOT)]),
    ]
    for label, arguments in steps:
        failure = logged(label, pip + arguments)
        if failure:
            raise SetupError(pip_failure(failure))
    write_command()


def write_command() -> None:
    """Makes `.venv/bin/luthier` start the program by its file, in place of the script that pip made.

    Pip's imports `app` through a `.pth` file, which Python skips where macOS has marked `.venv` as hidden: in
    Documents, on the Desktop and in iCloud.
    """
    words = " ".join(shlex.quote(str(path)) for path in (PYTHON, MAIN))
    COMMAND.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
    COMMAND.chmod(0o755)


def without_package(lock: str, name: str) -> str:
    """Returns the text of a lock without the lines of one package."""
    kept, leaves_out = [], False
    for line in lock.splitlines(keepends=True):
        if line[:1] not in (" ", "#", "\n"):
            leaves_out = line.startswith(name + "==")
        if not leaves_out:
            kept.append(line)
    return "".join(kept)


def pip_failure(output: str) -> str:
    for signs, sentence in PIP_FAILURES:
        if any(sign in output for sign in signs):
            return sentence
    return f"pip could not install a package: the lines above say which, {LOG} has all."


def logged(label: str, command: "list[str]") -> str:
    """Runs a command into the log, with one moving line on a terminal; shows and returns the output if it fails."""
    clear = "\r\033[K" if sys.stderr.isatty() else ""
    print(label + " …", file=sys.stderr, flush=True)
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"),
    )
    output = []
    with LOG.open("a", encoding="utf-8") as log:
        for line in (raw.decode("utf-8", "replace") for raw in process.stdout or []):
            log.write(line)
            output.append(line)
            sys.stderr.write(clear and clear + "  " + line.strip()[:76])
    sys.stderr.write(clear)
    if process.wait() == 0:
        return ""
    sys.stderr.writelines("  " + line.rstrip()[:110] + "\n" for line in output[-8:])
    return "".join(output) or f"exit status {process.returncode}"


# --- what Linux must bring ----------------------------------------------------------------------------------------


def ensure_system(window: bool, installed: bool) -> None:
    """Sees by trying that Qt starts; installs the Debian packages it lacks, or says which line does."""
    failure = qt_failure(window)
    packages = QT_PACKAGES + (WINDOW_PACKAGES if window else []) if failure else []
    packages += faster_packages() if installed else []
    line = "sudo apt-get install -y " + " ".join(packages)
    if packages and can_apt():
        apt_install(packages)
        failure = failure and qt_failure(window)
    elif packages and not failure:
        print(f"Training on this CPU is many times faster after `{line}`.", file=sys.stderr)
    if failure:
        raise SetupError(
            f"Qt cannot start ({failure}): on Debian or Ubuntu run `{line}`, elsewhere install the same libraries, "
            "then run this command again."
        )


def qt_failure(window: bool) -> str:
    """Returns what Qt says when it cannot start in a process of its own, or an empty string."""
    environment = dict(os.environ) if window else dict(os.environ, QT_QPA_PLATFORM="offscreen")
    probe = subprocess.run(
        [str(PYTHON), "-c", QT_PROBE],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=environment,
    )
    if probe.returncode == 0:
        return ""
    if "could not connect to display" in probe.stderr:
        raise SetupError("The display that DISPLAY names cannot be reached: start this from the desktop itself.")
    said = [line for line in probe.stderr.splitlines() if line.strip()]
    # Qt ends with a list of its plugins: what went wrong stands before, in a line of "qt.qpa.plugin".
    telling = [line for line in said if "qt.qpa" in line] or said[-1:]
    return telling[0] if telling else f"exit status {probe.returncode}"


def faster_packages() -> "list[str]":
    """The BLAS that MLX's CPU build is 18 times faster with, and the compiler that it makes kernels with."""
    packages = [] if loads("libopenblas.so.0") else ["libopenblas0"]
    return packages if shutil.which("g++") else [*packages, "g++"]


def ensure_fonts() -> None:
    """Brings the fonts that the layout tests are run with, or says which line does: without it they are skipped."""
    command = [str(PYTHON), "-c", FONT_PROBE]
    environment = dict(os.environ, QT_QPA_PLATFORM="offscreen")
    probe = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment)
    installed = probe.stdout.splitlines()
    packages = [package for family, package in TEST_FONTS.items() if family not in installed]
    if packages and can_apt():
        apt_install(packages)
    elif packages:
        line = "sudo apt-get install -y " + " ".join(packages)
        print(
            f"The layout tests of fonts that are not installed are skipped; `{line}` brings them.", file=sys.stderr
        )


def loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def can_apt() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_install(packages: "list[str]") -> None:
    """Installs Debian packages, one by one if this release lacks a name; the caller sees whether it helped."""
    logged("Updating the list of Debian packages", ["apt-get", "update"])
    command = ["apt-get", "install", "-y", "--no-install-recommends"]
    if logged("Installing " + " ".join(packages), command + packages):
        for package in packages:
            logged("Installing " + package, [*command, package])


# --- the verbs ----------------------------------------------------------------------------------------------------


def has_display() -> bool:
    return sys.platform != "linux" or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    )


def become(command: "list[str]", **environment: str) -> NoReturn:
    """Turns this process into the command, so that its signals and its exit status are the command's own."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, dict(os.environ, **environment))


def demo(arguments: "list[str]") -> NoReturn:
    prepare(RUNTIME_LOCK)
    become([str(PYTHON), str(MAIN), "demo", *arguments])


def run(arguments: "list[str]") -> NoReturn:
    if not has_display():
        raise SetupError(
            "There is no display for a window (neither DISPLAY nor WAYLAND_DISPLAY is set): use a desktop."
        )
    prepare(RUNTIME_LOCK, window=True)
    become([str(PYTHON), str(MAIN), *arguments])


def test(arguments: "list[str]") -> NoReturn:
    prepare(DEV_LOCK)
    if sys.platform == "linux":
        ensure_fonts()
    os.chdir(str(ROOT))
    # Torch is no dependency: what compares with it is left out unless ARGS say `-m torch` (the last -m counts).
    become([str(PYTHON), "-m", "pytest", "-m", "not torch", *side_by_side(), *arguments], **test_environment())


def test_environment() -> "dict[str, str]":
    """The variables that the tests are run with, beside those that are there."""
    environment = {} if has_display() else {"QT_QPA_PLATFORM": "offscreen"}
    # Compiling MLX's CPU kernels costs seconds in each of the tests' many short-lived workers.
    environment["MLX_DISABLE_COMPILE"] = "1"
    # What is exact in float32 is so on every machine: newer GPUs take fewer digits (TF32) unless told otherwise.
    environment["MLX_ENABLE_TF32"] = "0"
    # Threads of OpenBLAS wait by spinning: more of them than cores, and each process takes the cores of the others.
    environment["OPENBLAS_NUM_THREADS"] = "1"
    # Hundreds of workers start: none compiles again what another has, nor lists what transformers has.
    environment["PYTHONDONTWRITEBYTECODE"] = ""
    if sys.platform == "linux":
        sys.path.insert(0, str(ROOT))
        from app.core.protocol.program import fast_arithmetic  # which needs a newer Python than this file

        environment.update(fast_arithmetic(os.environ))
    return environment


def side_by_side() -> "list[str]":
    """Tests run in one process more than there are cores, at most four; a file stays in one. ARGS may say `-n 0`.

    One more, as a fourth of the time a test waits: for a worker that begins, a timer, a disk.
    """
    return ["-n", str(min((os.cpu_count() or 1) + 1, 4)), "--dist", "loadfile", "--no-loadscope-reorder"]


def setup(arguments: "list[str]") -> int:
    prepare(DEV_LOCK if "--dev" in arguments else RUNTIME_LOCK)
    print(f"Ready: {COMMAND}")
    return 0


def app(arguments: "list[str]") -> NoReturn:
    prepare(RUNTIME_LOCK)
    become([str(PYTHON), str(ROOT / "packaging" / "launcher.py"), *arguments])


def freeze(arguments: "list[str]") -> NoReturn:
    prepare(FREEZE_LOCK)
    become([str(PYTHON), str(ROOT / "packaging" / "freeze.py"), *arguments])


def lock(arguments: "list[str]") -> int:
    """Makes the locks; versions stay as they are unless ARGS say `--upgrade` or `--upgrade-package NAME`."""
    uv = shutil.which("uv")
    if not uv:
        raise SetupError("Locking needs uv: get it with `pip install uv` or your package manager.")
    command = [uv, "pip", "compile", "pyproject.toml", "--quiet", "--universal", "--python-version", "3.11"]
    command += ["--group", "build", "--generate-hashes"]
    command += ["--no-header", "--no-emit-index-url", "--no-emit-find-links"]
    dev = ["--extra", "dev", "-o", str(DEV_LOCK.relative_to(ROOT))]
    runtime = ["-c", str(DEV_LOCK.relative_to(ROOT)), "-o", str(RUNTIME_LOCK.relative_to(ROOT))]
    frozen = ["--extra", "freeze", *runtime[:-1], str(FREEZE_LOCK.relative_to(ROOT))]
    for target in ([*dev, *arguments], runtime, frozen):
        if subprocess.call(command + target, cwd=str(ROOT)) != 0:
            return 1
    return lock_gpus(uv)


def lock_gpus(uv: str) -> int:
    """Makes the locks of MLX for NVIDIA's GPUs, of the version that the runtime lock has."""
    version = next(
        line.split(" ")[0].split("==")[1]
        for line in RUNTIME_LOCK.read_text(encoding="utf-8").splitlines()
        if line.startswith("mlx==")
    )
    for kind, path in GPU_LOCKS.items():
        command = [uv, "pip", "compile", "-", "--quiet", "--universal", "--python-version", "3.11"]
        command += ["--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url"]
        command += ["--no-emit-find-links", "-o", str(path.relative_to(ROOT))]
        wanted = f"mlx-cuda-{kind[4:]}=={version} ; sys_platform == 'linux'\n"
        if subprocess.run(command, input=wanted.encode("ascii"), cwd=str(ROOT)).returncode != 0:
            return 1
    return 0


VERBS = {"demo": demo, "test": test, "run": run, "setup": setup, "app": app, "freeze": freeze, "lock": lock}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
