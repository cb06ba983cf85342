"""A Python that Rosetta translates is refused before it is of no use, with what to do."""

from __future__ import annotations

import ctypes
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from app.__main__ import main
from app.command.health import doctor
from app.core.system.rosetta import rosetta_refusal


def fake_mac(monkeypatch: pytest.MonkeyPatch, answer: int | None) -> None:
    """A Mac whose kernel says ``answer``, or that it knows no such value (Intel's)."""

    def ask(name: bytes, value: Any, *_rest: object) -> int:
        assert name == b"sysctl.proc_translated"
        if answer is None:
            return -1
        value._obj.value = answer
        return 0

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: SimpleNamespace(sysctlbyname=ask))


@pytest.mark.parametrize("answer", [0, None])
def test_a_native_python_is_taken(monkeypatch: pytest.MonkeyPatch, answer: int | None) -> None:
    fake_mac(monkeypatch, answer)
    assert rosetta_refusal() == ""


def test_a_translated_one_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fake_mac(monkeypatch, 1)
    monkeypatch.setattr(sys, "argv", ["luthier", "--version"])
    assert main() == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "Rosetta" in said.err
    assert "`arch -arm64`" in said.err


def test_doctor_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.core.system.rosetta.is_translated", lambda: True)
    found = next(one for one in doctor._python() if one.name == "Python")
    assert not found.ok
    assert "Open using Rosetta" in found.hint


def test_other_systems_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: pytest.fail("the C library was asked"))
    assert rosetta_refusal() == ""
