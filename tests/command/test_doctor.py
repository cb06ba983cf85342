"""``doctor``: what is there, what is missing and how it is got, and whether the program can be used."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app import __version__
from app.command.health import doctor, selftest
from app.command.health.doctor import Diagnosis
from app.command.output import FailedError
from app.core.protocol import event, program
from tests.command.conftest import Luthier
from tests.command.spoken import SpokenWorker

Found = list[Diagnosis]


def test_people_get_a_line_for_each_thing_with_what_to_do(
    luthier: Luthier, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        Diagnosis("Python", True, "3.11", "Another is needed."),
        Diagnosis("OpenBLAS", False, "not there", "Install it.", needed=False),
    ]
    monkeypatch.setattr(doctor, "examine", lambda: found)
    lines = "ok       Python    3.11\nabsent   OpenBLAS  not there\n                   Install it.\n"
    assert luthier("doctor").stdout == f"{lines}\nEverything that is needed is there.\n"
    found.append(Diagnosis("mlx", False, "not installed"))
    assert luthier("doctor", code=1).stdout == (
        f"{lines}MISSING  mlx       not installed\n\nSomething that is needed is missing.\n"
    )
    assert '"ok": false' in luthier("doctor", "--json", code=1).stdout


def test_everything_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = ("_python", "_packages", "what_mlx_runs_on", "_device", "_qt", "_display", "_speed", "_places")
    for name in checks:
        monkeypatch.setattr(doctor, name, lambda name=name: [Diagnosis(name, True, "")])
    assert [one.name for one in doctor.examine()] == list(checks)


@pytest.mark.parametrize(
    ("version", "fits"), [((3, 10, 9), False), ((3, 11, 0), True), ((3, 14, 9), True), ((3, 15, 0), False)]
)
def test_pythons_that_fit(version: tuple[int, ...], fits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.setattr("app.core.system.rosetta.rosetta_refusal", lambda: "")
    luthier, python, system = doctor._python()
    assert (luthier.ok, python.ok, system.ok) == (True, fits, True)
    assert python.found == f"{sys.version.split()[0]} ({sys.executable})"
    assert python.hint == "Python 3.11 to 3.14 is needed."
    assert system.found.endswith(f" · {os.cpu_count()} cores")
    monkeypatch.setattr("app.core.system.rosetta.rosetta_refusal", lambda: "It is translated.")
    assert (doctor._python()[1].ok, doctor._python()[1].hint) == (False, "It is translated.")


def test_a_package_or_mlx_itself_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "numpy":
            raise metadata.PackageNotFoundError(name)
        return "1.2"

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(doctor, "repair_hint", lambda: "Install it.")
    assert doctor._packages() == [
        *(Diagnosis(name, True, "1.2") for name in doctor.PACKAGES if name != "numpy"),
        Diagnosis("numpy", False, "not installed", "Install it."),
    ]
    monkeypatch.setattr(program, "mlx_build", lambda: "")
    assert doctor.what_mlx_runs_on() == [Diagnosis("MLX runs on", False, "nothing", "Install it.")]


@pytest.mark.parametrize(
    ("build", "on"),
    [
        ("mlx-metal", "the GPU, by Metal"),
        ("mlx-cpu", "the CPU"),
        (program.CUDA_BUILDS[0], "an NVIDIA GPU, by CUDA"),
    ],
)
def test_what_mlx_runs_on(build: str, on: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(program, "mlx_build", lambda: build)
    monkeypatch.setattr(metadata, "version", lambda _: "0.1")
    monkeypatch.setattr(doctor, "NVIDIA_DRIVER", tmp_path / "none")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert doctor.what_mlx_runs_on() == [Diagnosis("MLX runs on", True, f"{on} ({build} 0.1)")]
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    for frozen, words in ((False, "driver: `python3"), (True, "this app has MLX for the CPU alone; in a checkout")):
        monkeypatch.setattr(doctor, "is_frozen", lambda frozen=frozen: frozen)
        idle = doctor.what_mlx_runs_on()[1:]
        assert [(one.ok, one.needed, words in one.hint) for one in idle] == [(False, False, True)] * (
            build == "mlx-cpu"
        )


def test_the_device_is_what_a_worker_says_first(worker: SpokenWorker) -> None:
    worker.says = [
        event.Hello(task="inspect", device="M9", memory_gb=64.0, working_set_gb=48.25),
        event.Failed(message="None."),
    ]  # fmt: skip
    assert doctor._device() == [Diagnosis("device", True, "M9 · 64.0 GB memory, 48.2 GB for MLX")]
    worker.says = [event.Failed(message="None.")]
    worker.log.write_text("one\ntwo\nthree\nfour\n")
    assert doctor._device() == [
        Diagnosis(
            "device", False, "MLX does not start: two\nthree\nfour", "MLX needs an Apple-silicon Mac or Linux."
        )
    ]


def test_qt_is_asked_without_a_screen_and_the_variable_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "minimal")
    assert [one.ok for one in doctor._qt()] == [True, True]
    assert os.environ["QT_QPA_PLATFORM"] == "minimal"
    monkeypatch.setitem(sys.modules, "PySide6.QtGui", None)
    (qt,) = doctor._qt()
    assert (qt.name, qt.ok, qt.needed, "apt-get install libegl1" in qt.hint) == ("Qt", False, True, True)
    assert os.environ["QT_QPA_PLATFORM"] == "minimal"
    monkeypatch.delenv("QT_QPA_PLATFORM")
    doctor._qt()
    found = os.environ.pop("QT_QPA_PLATFORM", "")
    assert found == ""


DISPLAYS: list[tuple[dict[str, str], str, list[tuple[str, bool, str, bool]]]] = [
    ({"WAYLAND_DISPLAY": "wayland-0"}, "lib", [("display", True, "wayland-0", False)]),
    (
        {"DISPLAY": ":0", "WAYLAND_DISPLAY": "wayland-0"}, "lib", [("display", True, "wayland-0", False)],
    ),
    (
        {"DISPLAY": ":0"}, "lib",
        [("display", True, ":0", False), ("libxcb-cursor", True, "there", True)],
    ),
    (
        {"DISPLAY": ":0"}, "",
        [("display", True, ":0", False), ("libxcb-cursor", False, "not there", True)],
    ),
    ({}, "", [("display", False, "none", False)]),
]  # fmt: skip


@pytest.mark.parametrize(("variables", "library", "found"), DISPLAYS)
def test_displays(
    variables: dict[str, str],
    library: str,
    found: list[tuple[str, bool, str, bool]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("ctypes.util.find_library", lambda _: library or None)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    told = doctor._display()
    assert [(one.name, one.ok, one.found, one.needed) for one in told] == found
    assert all(one.hint for one in told)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert doctor._display() == [Diagnosis("display", True, "the system's own", needed=False)]


def test_what_makes_the_cpu_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(library: str | None, compiler: str | None) -> Found:
        monkeypatch.setattr("ctypes.util.find_library", {"openblas": library}.get)
        monkeypatch.setattr(shutil, "which", {"g++": compiler}.get)
        return doctor._speed()

    monkeypatch.setattr(sys, "platform", "linux")
    there = [(one.name, one.ok, one.found, one.needed) for one in told("libopenblas.so", "/bin/g++")]
    assert there == [("OpenBLAS", True, "libopenblas.so", False), ("g++", True, "/bin/g++", False)]
    assert [(one.ok, one.found) for one in told(None, None)] == [(False, "not there")] * 2
    monkeypatch.setattr(sys, "platform", "darwin")
    assert told(None, None) == []


def test_where_runs_and_models_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, models = tmp_path / "deep" / "runs", tmp_path / "models"
    monkeypatch.setattr("app.core.run.folder.runs_dir", lambda: runs)
    monkeypatch.setattr("app.core.model.folder.hub_cache", lambda: models)
    monkeypatch.setattr("app.core.system.starter.starter_dir", lambda: tmp_path)

    def told(free: float) -> Found:
        usage = SimpleNamespace(free=free)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage if path == tmp_path else None)
        return doctor._places()

    cannot = f"{tmp_path} cannot be written; choose another place in the settings."
    found = [
        Diagnosis("runs", True, str(runs), cannot),
        Diagnosis("disk", True, "5.01\u00a0GB free", "Runs and models need room.", needed=False),
        Diagnosis("models", True, f"{models} (nothing downloaded yet)", needed=False),
        Diagnosis("starter model", True, str(tmp_path), needed=False),
    ]
    assert told(5.01e9) == found
    models.mkdir()
    assert [(one.ok, one.found) for one in told(5e9)[1:3]] == [(False, "5\u00a0GB free"), (True, str(models))]

    def missing() -> Path:
        raise FileNotFoundError

    access: Callable[..., bool] = lambda path, mode: (path, mode) != (tmp_path, os.W_OK)  # noqa: E731
    monkeypatch.setattr(os, "access", access)
    monkeypatch.setattr("app.core.system.starter.starter_dir", missing)
    first, *_, last = told(1e12)
    assert (first.ok, first.hint, first.needed) == (False, cannot, True)
    assert last == Diagnosis(
        "starter model", False, "not there", "Reinstall Luthier; the demo needs it.", needed=False
    )


def test_a_selftest_reports_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, luthier: Luthier) -> None:

    monkeypatch.setattr(selftest, "_window", lambda home: {"home": str(home)})

    def tuned(home: Path) -> dict[str, Any]:
        assert os.environ["LUTHIER_HOME"] == str(home)
        raise FailedError("It did not learn.")

    before = os.environ["LUTHIER_HOME"]
    monkeypatch.setattr(selftest, "_tuned", tuned)
    file = tmp_path / "report.json"
    said = "error: The selftest failed: FailedError: It did not learn.\n"
    done = luthier("--selftest", file, code=1)
    assert (done.stdout, done.stderr) == ("", said)
    report = json.loads(file.read_text())
    assert {name: report[name] for name in ("luthier", "frozen", "passed", "error")} == {
        "luthier": __version__, "frozen": False, "passed": False, "error": "FailedError: It did not learn.",
    }  # fmt: skip
    assert not Path(report["window"]["home"]).exists()
    assert json.loads(luthier("--selftest", code=1).stdout)["python"] == sys.version.split()[0]
    monkeypatch.setattr(selftest, "_tuned", lambda _: {"answer": "a song"})
    report = json.loads(luthier("--selftest").stdout)
    assert (report["passed"], report["answer"], "error" in report) == (True, "a song", False)
    assert os.environ["LUTHIER_HOME"] == before
    assert "“--selftest” is no option" in luthier("--selftest", "a", "b", code=2).stderr
