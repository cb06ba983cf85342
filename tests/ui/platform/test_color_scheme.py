"""What macOS draws (title bars, panels) follows the theme that is chosen, and the system again when that is."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from app.core.system.setting import load_settings
from app.ui.widget import theme
from app.ui.window.appearance import Appearance, Choice

SCHEME = Qt.ColorScheme


class FakeHints:
    """Style hints of a Mac that is dark by itself: what was told to them goes before the system's."""

    def __init__(self) -> None:
        self.told: list[Qt.ColorScheme] = []
        self.colorSchemeChanged = SimpleNamespace(connect=lambda _act: None)

    def setColorScheme(self, scheme: Qt.ColorScheme) -> None:
        self.told.append(scheme)

    def colorScheme(self) -> Qt.ColorScheme:
        return self.told[-1] if self.told and self.told[-1] != SCHEME.Unknown else SCHEME.Dark


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> FakeHints:
    found = FakeHints()
    monkeypatch.setattr(QGuiApplication, "styleHints", staticmethod(lambda: found))
    monkeypatch.setattr(QApplication, "styleHints", staticmethod(lambda: found))
    return found


def dressed(monkeypatch: pytest.MonkeyPatch, choices: list[Choice]) -> list[str]:
    """The schemes that Luthier's own widgets are put into, choice by choice, without the work of it."""
    schemes: list[str] = []
    monkeypatch.setattr(theme, "apply_theme", schemes.append)
    appearance = Appearance()
    for choice in choices:
        appearance.choose(choice)
    return schemes


def test_a_mac_draws_its_parts_as_chosen(hints: FakeHints, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert dressed(monkeypatch, ["light", "dark", "light", "system"]) == ["light", "dark", "light", "dark"]
    assert hints.told == [SCHEME.Light, SCHEME.Dark, SCHEME.Light, SCHEME.Unknown]
    assert load_settings().theme == "system"


def test_other_systems_are_left_alone(hints: FakeHints, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert dressed(monkeypatch, ["light", "system"]) == ["light", "dark"]
    assert hints.told == []


@pytest.mark.parametrize(
    "choice, put_on", [("system", ["dark", "light"]), ("light", ["light"]), ("dark", ["dark"])]
)
def test_only_who_follows_the_system_is_redressed_with_it(
    qapp: QApplication, monkeypatch: pytest.MonkeyPatch, choice: Choice, put_on: list[str]
) -> None:
    scheme, schemes = ["dark"], list[str]()
    monkeypatch.setattr(theme, "system_scheme", lambda: scheme[0])
    monkeypatch.setattr(
        theme, "apply_theme", lambda _scheme: None
    )  # those of earlier windows follow the system too

    class Watched(Appearance):
        def apply(self) -> None:
            with monkeypatch.context() as own:
                own.setattr(theme, "apply_theme", schemes.append)
                super().apply()

    appearance = Watched()
    appearance.choose(choice)
    scheme[0] = "light"
    qapp.styleHints().colorSchemeChanged.emit(SCHEME.Light)
    assert schemes == put_on
    appearance.deleteLater()
