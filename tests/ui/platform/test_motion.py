"""Nothing moves by itself where a person asked the system for less motion."""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from PySide6.QtWidgets import QProgressBar
from pytestqt.qtbot import QtBot

from app.ui.platform.motion import show_unmeasured, wants_less_motion
from tests import ROOT


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    wants_less_motion.cache_clear()
    yield
    wants_less_motion.cache_clear()


@pytest.mark.parametrize(("said", "code", "less"), [("false\n", 0, True), ("true\n", 0, False), ("", 1, False)])
def test_gnome_is_asked(monkeypatch: pytest.MonkeyPatch, said: str, code: int, less: bool) -> None:
    def run(command: list[str], **_: object) -> SimpleNamespace:
        assert command == ["gsettings", "get", "org.gnome.desktop.interface", "enable-animations"]
        return SimpleNamespace(returncode=code, stdout=said)

    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(subprocess, "run", run)
    assert wants_less_motion() is less


@pytest.mark.parametrize("error", [FileNotFoundError(), subprocess.TimeoutExpired("gsettings", 1)])
def test_a_desktop_that_does_not_answer_moves(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def run(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(subprocess, "run", run)
    assert not wants_less_motion()


@pytest.mark.parametrize("reduced", [True, False])
def test_a_mac_is_asked_by_its_workspace(monkeypatch: pytest.MonkeyPatch, reduced: bool) -> None:
    """The runtime is a fake whose classes and selectors are numbers; the call goes through real C types."""
    names: dict[bytes, int] = {}

    def number(name: bytes) -> int:
        return names.setdefault(name, 100 + len(names))

    def send(target: int, selector: int) -> int:
        if (target, selector) == (names[b"NSWorkspace"], names[b"sharedWorkspace"]):
            return 7
        asked = (target, selector) == (7, names[b"accessibilityDisplayShouldReduceMotion"])
        return int(reduced and asked)

    message = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(send)

    class Function(SimpleNamespace):
        def __call__(self, name: bytes) -> Any:
            return number(name)

    runtime = SimpleNamespace(objc_getClass=Function(), sel_registerName=Function(), objc_msgSend=message)
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", lambda _path: runtime)
    assert wants_less_motion() is reduced


def test_a_bar_without_a_measure_stays_empty_instead(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    bar = QProgressBar()
    qtbot.addWidget(bar)
    monkeypatch.setattr("app.ui.platform.motion.wants_less_motion", lambda: False)
    show_unmeasured(bar)
    assert (bar.minimum(), bar.maximum()) == (0, 0)
    monkeypatch.setattr("app.ui.platform.motion.wants_less_motion", lambda: True)
    show_unmeasured(bar)
    assert (bar.maximum(), bar.value()) == (1, 0)


def test_nothing_else_moves_by_itself() -> None:
    moving = re.compile(r"QPropertyAnimation|QVariantAnimation|QTimeLine|setRange\(0, 0\)|\bSpin\(|QMovie")
    files = [path.name for path in (ROOT / "app").rglob("*.py") if moving.search(path.read_text(encoding="utf-8"))]
    assert files == ["motion.py"]
