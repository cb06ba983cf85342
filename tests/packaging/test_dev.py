"""`packaging/dev.py` is the first thing that anyone runs: each reason not to go on is one plain sentence."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import ROOT

PACKAGING = ROOT / "packaging"
LOCKS = [PACKAGING / "requirements.lock", PACKAGING / "requirements-dev.lock"]
GPU_LOCKS = [PACKAGING / "requirements-cuda12.lock", PACKAGING / "requirements-cuda13.lock"]
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^]]*\])?==(\S+) ; (.+) \\$", re.MULTILINE)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the scripts alone, so that no test touches the environment that runs it."""
    (tmp_path / "packaging").mkdir()
    for name in ("dev.py", "machine.py", *(lock.name for lock in [*LOCKS, *GPU_LOCKS])):
        (tmp_path / "packaging" / name).write_bytes((PACKAGING / name).read_bytes())
    (tmp_path / "pyproject.toml").write_bytes((PACKAGING.parent / "pyproject.toml").read_bytes())
    return tmp_path


def dev(checkout: Path, *arguments: str, fake: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs dev.py as a program, after `fake` has changed what it will find."""
    folder = checkout / "packaging"
    start = f"sys.argv = {['dev.py', *arguments]!r}; sys.path.insert(0, {str(folder)!r}); import runpy"
    start += f"; runpy.run_path({str(folder / 'dev.py')!r}, run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-c", f"import platform, os, sys, subprocess, shutil, importlib.util\n{fake}\n{start}"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | environment,
        timeout=120,
    )


def refusal(result: subprocess.CompletedProcess[str]) -> str:
    """Returns the sentence of a run that refused; what else it printed must not be a traceback."""
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    last = result.stderr.splitlines()[-1]
    assert last.startswith("dev.py: ")
    assert last.endswith(".")
    return last


@pytest.mark.parametrize("name", ["dev.py", "machine.py"])
def test_an_old_python_can_parse_it(name: str) -> None:
    ast.parse((PACKAGING / name).read_text(encoding="utf-8"), feature_version=(3, 6))


@pytest.mark.parametrize("version", ["3, 6, 15", "3, 10, 13", "3, 15, 0"])
def test_a_python_too_old_or_too_new_is_told_what_is_needed(checkout: Path, version: str) -> None:
    result = dev(checkout, "demo", fake=f"sys.version_info = ({version}, 'final', 0)", PATH="/nowhere")
    assert f"This is Python {version.replace(', ', '.')}, but Luthier needs Python 3.11 to 3.14" in refusal(result)
    assert len(result.stderr.splitlines()) == 1


def test_another_python_that_fits_is_named(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3.12").symlink_to("/bin/true")
    result = dev(checkout, "demo", fake="sys.version_info = (3, 9, 6)", PATH=str(tmp_path / "bin"))
    assert "with `python3.12` instead of `python3`" in refusal(result)


MAC = "sys.platform = 'darwin'; platform.machine = lambda: 'arm64'"
MAC += "; platform.mac_ver = lambda: ('14.1', ('', '', ''), '')"
ROSETTA = """
import ctypes, types
def answer(name, value, *rest):
    value._obj.value = name == b'sysctl.proc_translated'
    return 0
ctypes.CDLL = lambda name: types.SimpleNamespace(sysctlbyname=answer)
"""
LINUX = "sys.platform = 'linux'; platform.machine = lambda: 'x86_64'"


@pytest.mark.parametrize(
    ("fake", "sentence"),
    [
        (f"{MAC}; platform.machine = lambda: 'x86_64'", "Apple silicon"),
        (f"{MAC}; platform.machine = lambda: 'x86_64'; {ROSETTA}", "put `arch -arm64` in front of this command"),
        (f"{MAC}; platform.mac_ver = lambda: ('13.6', ('', '', ''), '')", "this is macOS 13.6"),
        ("sys.platform = 'win32'", "runs on macOS and Linux, not on win32"),
        (f"{LINUX}; platform.machine = lambda: 'riscv64'", "this machine is riscv64"),
        (
            f"{LINUX}; os.confstr = lambda name: 'glibc 2.31'",
            "need glibc 2.35 or later, and this system has glibc 2.31",
        ),
        (f"{LINUX}; os.confstr = lambda name: None", "this system has another C library"),
        (
            f"{LINUX}; platform.machine = lambda: 'aarch64'; os.confstr = lambda name: 'glibc 2.36'",
            "need glibc 2.39 or later",
        ),
    ],
)
def test_a_platform_without_wheels_is_refused_before_anything_is_made(
    checkout: Path, fake: str, sentence: str
) -> None:
    assert sentence in refusal(dev(checkout, "setup", fake=fake))
    assert not (checkout / ".venv").exists()


def test_a_python_without_venv_names_the_debian_package(checkout: Path) -> None:
    fake = "importlib.util.find_spec = lambda name: None; os.geteuid = lambda: 1000"
    sentence = refusal(dev(checkout, "setup", fake=fake))
    assert f"sudo apt-get install -y python3.{sys.version_info[1]}-venv" in sentence


@pytest.mark.slow
def test_no_network_is_one_sentence_and_what_an_interrupted_call_left_is_made_again(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (checkout / ".venv" / "left-over").touch()
    offline = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1"}
    result = dev(checkout, "setup", PIP_FIND_LINKS="", PIP_EXTRA_INDEX_URL="", PIP_NO_CACHE_DIR="1", **offline)
    assert "The package index cannot be reached" in refusal(result)
    assert not (checkout / ".venv" / "left-over").exists()
    assert not (checkout / ".venv" / "luthier-setup.json").exists()


def made_venv(checkout: Path, qt_says: str, qt_status: int, families: Sequence[str] = ()) -> None:
    """An environment that looks finished, and whose python answers the probes of Qt and of its fonts as told."""
    (checkout / ".venv" / "bin").mkdir(parents=True)
    python = checkout / ".venv" / "bin" / "python"
    listed = "\n".join(families)
    lines = ("#!/bin/sh", f"echo '{qt_says}' >&2", f"printf '{listed}'", f"exit {qt_status}", "")
    python.write_text("\n".join(lines), encoding="utf-8")
    python.chmod(0o755)


STAMPED = """
import hashlib, json, pathlib
root = pathlib.Path({root!r})
stamp = dict(python=sys.version, root=str(root))
for lock in ("requirements.lock", "requirements-dev.lock"):
    inputs = [root / "packaging" / lock, root / "pyproject.toml"]
    stamp[lock] = hashlib.sha256(b"".join(path.read_bytes() for path in inputs)).hexdigest()
(root / ".venv/luthier-setup.json").write_text(json.dumps(stamp))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lacks Qt's libraries")
@pytest.mark.parametrize(
    "said",
    [
        "ImportError: libEGL.so.1: cannot open shared object file: No such file or directory",
        "qt.qpa.plugin: From 6.5.0, xcb-cursor0 is needed\nAvailable platform plugins are: offscreen",
    ],
)
def test_a_qt_that_cannot_start_names_the_line_to_run(checkout: Path, said: str) -> None:
    made_venv(checkout, said, 1)
    fake = STAMPED.format(root=str(checkout)) + "os.geteuid = lambda: 1000"
    sentence = refusal(dev(checkout, "setup", fake=fake))
    assert f"Qt cannot start ({said.splitlines()[0]})" in sentence
    assert "run `sudo apt-get install -y libegl1 " in sentence


@pytest.mark.skipif(sys.platform != "linux", reason="a Mac has its display")
@pytest.mark.parametrize(
    ("display", "sentence"),
    [("", "There is no display"), (":77", "The display that DISPLAY names cannot be reached")],
)
def test_a_window_without_a_display_is_refused(checkout: Path, display: str, sentence: str) -> None:
    made_venv(checkout, "qt.qpa.xcb: could not connect to display :77", 1)
    fake = STAMPED.format(root=str(checkout))
    result = dev(checkout, "run", fake=fake, DISPLAY=display, WAYLAND_DISPLAY="", QT_QPA_PLATFORM="")
    assert sentence in refusal(result)


def test_a_finished_environment_is_used_as_it_is(checkout: Path) -> None:
    made_venv(checkout, "", 0)
    result = dev(checkout, "setup", fake=STAMPED.format(root=str(checkout)))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("Ready: ")


def test_the_demo_becomes_the_command_with_its_arguments_and_exit_status(checkout: Path) -> None:
    made_venv(checkout, "", 0)
    python = checkout / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\n[ "$1" = -c ] && exit 0\necho "$@"\nexit 7\n', encoding="utf-8")
    result = dev(checkout, "demo", "--screenshot", "a b.png", fake=STAMPED.format(root=str(checkout)))
    main = checkout / "app" / "__main__.py"
    assert (result.returncode, result.stdout) == (7, f"{main} demo --screenshot a b.png\n")


def test_the_command_starts_the_program_by_its_file(checkout: Path) -> None:
    root = checkout / "it's mine"
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / "app").mkdir()
    (root / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (root / "app" / "__main__.py").write_text("import sys; print(sys.argv)", encoding="utf-8")
    (checkout / "packaging").rename(root / "packaging")
    fake = f"sys.path.insert(0, {str(root / 'packaging')!r}); import dev; dev.write_command(); sys.exit()"
    assert dev(root, fake=fake).returncode == 0
    done = subprocess.run([root / ".venv" / "bin" / "luthier", "a b"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{[str(root / 'app' / '__main__.py'), 'a b']}\n"


def run_tests(checkout: Path, *installed: str, user: int) -> tuple[str, str]:
    """Runs the verb `test` where these fonts are installed; returns what apt-get was asked and what was printed."""
    made_venv(checkout, "", 0, installed)
    program = checkout / "app" / "core" / "protocol" / "program.py"
    program.parent.mkdir(parents=True)
    program.write_text("def fast_arithmetic(environment):\n    return {}\n", encoding="utf-8")
    (checkout / "bin").mkdir()
    apt = checkout / "bin" / "apt-get"
    apt.write_text(f'#!/bin/sh\necho "$@" >> {checkout}/asked\n', encoding="utf-8")
    apt.chmod(0o755)
    fake = STAMPED.format(root=str(checkout)) + f"os.geteuid = lambda: {user}"
    result = dev(checkout, "test", fake=fake, PATH=f"{checkout / 'bin'}{os.pathsep}{os.environ['PATH']}")
    assert result.returncode == 0, result.stderr
    asked = checkout / "asked"
    return asked.read_text() if asked.exists() else "", result.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="a Mac has its own fonts")
def test_the_test_command_brings_the_fonts_of_the_layout_tests_that_are_missing(checkout: Path) -> None:
    asked, _ = run_tests(checkout, "DejaVu Sans", "DejaVu Sans Mono", user=0)
    assert asked.splitlines() == ["update", "install -y --no-install-recommends fonts-inter fonts-hack"]


@pytest.mark.skipif(sys.platform != "linux", reason="a Mac has its own fonts")
def test_who_may_not_install_fonts_is_told_the_line_and_the_tests_run(checkout: Path) -> None:
    asked, said = run_tests(checkout, "DejaVu Sans", "Hack", user=1000)
    assert asked == ""
    assert "are skipped; `sudo apt-get install -y fonts-inter` brings them" in said


@pytest.mark.skipif(sys.platform != "linux", reason="a Mac has its own fonts")
def test_fonts_that_are_there_are_left_alone(checkout: Path) -> None:
    asked, said = run_tests(checkout, "Inter", "DejaVu Sans", "Hack", user=0)
    assert asked == ""
    assert "fonts" not in said


@pytest.mark.parametrize(("arguments", "status"), [([], 2), (["dmeo"], 2), (["--help"], 0)])
def test_anything_but_a_verb_shows_the_verbs(checkout: Path, arguments: list[str], status: int) -> None:
    result = dev(checkout, *arguments)
    assert result.returncode == status
    assert "dev.py demo" in result.stdout + result.stderr


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_the_lock_has_hashes_and_markers_and_no_address(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    pins = PIN.findall(text)
    assert len(pins) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE)) > 50
    assert all("sys_platform ==" in marker for _, _, marker in pins)
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    assert all("--hash=sha256:" in block for block in blocks if block.strip())
    assert not re.search(r"://|file:|\s--(?!hash)|@|\.(org|com|net|io)\b", text)


def test_the_dev_lock_holds_all_of_the_runtime_lock() -> None:
    runtime, everything = (set(PIN.findall(lock.read_text(encoding="utf-8"))) for lock in LOCKS)
    assert runtime < everything
    names = {name for name, _, _ in runtime}
    assert {"mlx", "mlx-cpu", "mlx-metal", "pyside6-essentials", "hatchling", "editables"} <= names
    assert "pytest" not in names


def test_the_tests_leave_out_what_needs_torch_unless_it_is_asked_for(checkout: Path) -> None:
    made_venv(checkout, "", 0)
    fake = STAMPED.format(root=str(checkout)).replace("requirements.lock", "requirements-dev.lock")
    fake += "os.execve = lambda _, command, __: (print(command, flush=True), os._exit(0))\n"
    result = dev(checkout, "test", "-m", "torch", fake=fake, QT_QPA_PLATFORM="offscreen")
    assert result.returncode == 0, result.stderr
    command = ast.literal_eval(result.stdout.splitlines()[-1])
    assert command[1:5] == ["-m", "pytest", "-m", "not torch"]
    assert command[-2:] == ["-m", "torch"]  # pytest takes the last
    processes = str(min((os.cpu_count() or 1) + 1, 4))
    assert command[5:-2] == ["-n", processes, "--dist", "loadfile", "--no-loadscope-reorder"]


@pytest.mark.parametrize("lock", GPU_LOCKS, ids=lambda path: path.name)
def test_the_lock_of_a_gpu_holds_what_replaces_the_cpu_and_no_address(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    pins = {name: version for name, version, _ in PIN.findall(text)}
    usual = {name: version for name, version, _ in PIN.findall(LOCKS[0].read_text(encoding="utf-8"))}
    own = f"mlx-cuda-{lock.stem[-2:]}"
    assert pins[own] == usual["mlx"]
    assert all(name == own or name.startswith("nvidia-") for name in pins)
    assert not re.search(r"://|file:|\s--(?!hash)|@|\.(org|com|net|io)\b", text)


def smi(folder: Path, said: str) -> dict[str, str]:
    """The environment in which NVIDIA's tool says this."""
    folder.mkdir()
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\necho '{said}'\n", encoding="utf-8")
    tool.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.skipif(sys.platform != "linux", reason="CUDA is for Linux")
@pytest.mark.parametrize(
    ("said", "kind", "sentence"),
    [
        ("580.65.06, 9.0", "cuda13", "driver 580.65.6 is here: MLX for its GPU (cuda13"),
        ("570.86.15, 8.6", "cuda12", "MLX for its GPU (cuda12"),
        ("570.86.15, 7.0", "", "compute capability 7.5, and this GPU has 7.0: the CPU it is"),
        ("535.161.07, 8.0", "", "needs 550.54 or later"),
        ("No devices were found", "", ""),
    ],
)
def test_the_driver_decides_what_mlx_runs_on(checkout: Path, said: str, kind: str, sentence: str) -> None:
    """What would be installed is printed in place of running pip."""
    fake = f"""
sys.path.insert(0, {str(checkout / "packaging")!r})
import dev
dev.make_venv = lambda: (dev.VENV / "bin").mkdir(parents=True)
dev.logged = lambda label, command: print(label, *command) or ""
dev.ensure_system = lambda *_: None
sys.exit(dev.main(["setup"]))
"""
    result = dev(checkout, fake=fake, LUTHIER_ACCELERATOR="", **smi(checkout / "bin", said))
    assert result.returncode == 0, result.stderr
    assert sentence in result.stderr
    if not sentence:
        assert result.stderr == ""
    taken = re.findall(r"-r (\S+)", result.stdout)
    if not kind:
        assert taken == [str(checkout / "packaging" / "requirements.lock")]
        return
    usual, gpu = map(Path, taken)
    assert gpu == checkout / "packaging" / f"requirements-{kind}.lock"
    everything = {name for name, _, _ in PIN.findall(LOCKS[0].read_text(encoding="utf-8"))}
    assert {name for name, _, _ in PIN.findall(usual.read_text(encoding="utf-8"))} == everything - {"mlx-cpu"}


@pytest.mark.parametrize(
    ("asked", "line", "found"),
    [
        ("", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30 UTC 2024", "cuda12"),
        ("cpu", "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.82.07", ""),
        ("cuda13", "", "cuda13"),
        ("", "", ""),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="CUDA is for Linux")
def test_the_drivers_own_file_is_read_and_a_wish_comes_first(
    checkout: Path, asked: str, line: str, found: str
) -> None:
    (checkout / "version").write_text(line, encoding="utf-8")
    fake = f"""
sys.path.insert(0, {str(checkout / "packaging")!r})
import machine
machine.DRIVER_FILE = machine.Path({str(checkout / "version")!r})
print(machine.accelerator()[0])
sys.exit()
"""
    result = dev(checkout, fake=fake, LUTHIER_ACCELERATOR=asked, PATH=str(checkout))
    assert result.stdout.strip() == found, result.stderr


def test_an_unknown_wish_is_refused(checkout: Path) -> None:
    assert "must be cpu, cuda13 or cuda12" in refusal(dev(checkout, "setup", LUTHIER_ACCELERATOR="rocm"))
