"""The main bundle of a Mac's Python is named Luthier before the application reads it."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import pytest

from app.core.launch import bundle_name as module
from app.core.launch.bundle_name import name_bundle


class Function:
    """A function of a C library."""

    def __init__(self, act: Any) -> None:
        self._act = act
        self.restype: Any = ctypes.c_int
        self.argtypes: list[Any] = []

    def __call__(self, *arguments: Any) -> Any:
        assert len(arguments) == len(self.argtypes)
        return self._act(*arguments)


class CoreFoundation:
    """As much of it as is asked; addresses are numbers above 32 bits, as they are."""

    def __init__(self, localized: int = 0, info: int = 0x1_0000_0002) -> None:
        self.texts: dict[int, str] = {}
        self.set: list[tuple[int, str, str]] = []
        self.CFBundleGetMainBundle = Function(lambda: 0x1_0000_0001)
        self.CFBundleGetLocalInfoDictionary = Function(lambda _: localized)
        self.CFBundleGetInfoDictionary = Function(lambda _: info)
        self.CFStringCreateWithCString = Function(self._text)
        self.CFDictionarySetValue = Function(self._put)

    def _text(self, _: None, text: bytes, encoding: int) -> int:
        assert encoding == 0x08000100
        self.texts[address := 0x2_0000_0000 + len(self.texts)] = text.decode()
        return address

    def _put(self, dictionary: int, key: int, value: int) -> None:
        self.set.append((dictionary, self.texts[key], self.texts[value]))


def on_a_mac(monkeypatch: pytest.MonkeyPatch, foundation: CoreFoundation) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(module.ctypes, "CDLL", lambda _: foundation)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("localized", "named"), [(0, 0x1_0000_0002), (0x1_0000_0003, 0x1_0000_0003)])
def test_the_dictionary_that_appkit_reads_gets_the_name(
    monkeypatch: pytest.MonkeyPatch, localized: int, named: int
) -> None:
    foundation = CoreFoundation(localized)
    on_a_mac(monkeypatch, foundation)
    assert name_bundle()
    assert foundation.set == [(named, "CFBundleName", "Luthier"), (named, "CFBundleDisplayName", "Luthier")]
    assert foundation.CFBundleGetMainBundle.restype is ctypes.c_void_p, "a pointer has 64 bits"


def test_without_a_dictionary_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    foundation = CoreFoundation(info=0)
    on_a_mac(monkeypatch, foundation)
    assert not name_bundle()
    assert foundation.set == []


def test_a_frozen_app_and_linux_have_their_name(monkeypatch: pytest.MonkeyPatch) -> None:
    foundation = CoreFoundation()
    assert sys.platform != "linux" or not name_bundle()
    on_a_mac(monkeypatch, foundation)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert not name_bundle()
    assert foundation.set == []


def test_a_mac_without_the_library_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(module, "_FRAMEWORK", "/nowhere/CoreFoundation")
    assert not name_bundle()
