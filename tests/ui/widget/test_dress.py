"""What the look gives each widget: colours of the palette, lengths that go with text, fonts, icons and roles."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFontDatabase, QFontMetricsF, QGuiApplication, QIcon, QPalette
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QListWidget,
    QPlainTextEdit,
    QPushButton,
    QRadioButton,
    QSlider,
    QSpinBox,
    QTabBar,
    QTableWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.ui.widget import theme
from app.ui.widget.icon_font import IconFont


@pytest.mark.parametrize("c", [theme.DARK, theme.LIGHT], ids=["dark", "light"])
def test_the_palette_has_the_colours_of_the_scheme(c: theme.Colors) -> None:
    theme.apply_theme(c.scheme)
    found, role = QApplication.palette(), QPalette.ColorRole
    assert {name: found.color(name).name() for name in (
        role.Window, role.WindowText, role.Base, role.AlternateBase, role.Text, role.Button, role.ButtonText,
        role.ToolTipBase, role.ToolTipText, role.Highlight, role.HighlightedText, role.PlaceholderText, role.Link,
        role.Mid, role.Light, role.Dark, role.Shadow, role.Accent,
    )} == {
        role.Window: c.window, role.WindowText: c.text, role.Base: c.field, role.AlternateBase: c.raised,
        role.Text: c.text, role.Button: c.card, role.ButtonText: c.text, role.ToolTipBase: c.raised,
        role.ToolTipText: c.text, role.Highlight: c.selection, role.HighlightedText: c.text,
        role.PlaceholderText: c.faint, role.Link: c.accent, role.Mid: c.border, role.Light: c.raised,
        role.Dark: c.border_strong, role.Shadow: c.border_strong, role.Accent: c.accent,
    }  # fmt: skip
    for name in (role.Text, role.WindowText, role.ButtonText):
        assert found.color(QPalette.ColorGroup.Disabled, name).name() == c.faint
    assert QApplication.font().pixelSize() == theme.ui_font().pixelSize()
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    assert f"color: {c.text}" in application.styleSheet()


def test_the_desktop_is_asked_for_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hints:
        scheme = Qt.ColorScheme.Dark

        def colorScheme(self) -> Qt.ColorScheme:
            return self.scheme

    hints, found = Hints(), []
    monkeypatch.setattr(QApplication, "styleHints", lambda: hints)
    for hints.scheme in (Qt.ColorScheme.Dark, Qt.ColorScheme.Light, Qt.ColorScheme.Unknown):
        found.append(theme.system_scheme())
    assert found == ["dark", "light", "light"]


class Screen:
    """One with twice as large text."""

    def logicalDotsPerInch(self) -> float:
        return 2.0 * theme.TEXT_DPI


def test_lengths_go_with_the_size_of_text(monkeypatch: pytest.MonkeyPatch, qapp: QApplication) -> None:
    assert qapp
    assert (theme.text_px(13), theme.text_px(13.4), theme.text_px(-3)) == (13, 13, -3)
    line = theme.line_px()
    assert line >= 20
    assert [theme.line_px(height) - line for height in (20, 32, 10)] == [0, 12, -10]
    sample = QFontMetricsF(QApplication.font()).horizontalAdvance(theme.SAMPLE)
    assert [theme.text_width(width) for width in (0, 412, 206)] == [0, round(sample), round(sample / 2)]
    assert [theme.ui_font(by).pixelSize() for by in (0, 2, -1)] == [13, 15, 12]
    assert [theme.mono_font(by).pixelSize() for by in (0, 2, -1)] == [12, 14, 11]
    monkeypatch.setattr(QGuiApplication, "primaryScreen", lambda: Screen())
    assert (theme.text_px(13), theme.ui_font().pixelSize(), theme.mono_font(1).pixelSize()) == (26, 26, 26)
    assert [theme.line_px(height) - theme.line_px() for height in (32, 10)] == [24, -20]
    monkeypatch.setattr(QGuiApplication, "primaryScreen", lambda: None)
    assert theme.text_px(13.6) == 14
    assert (72 if sys.platform == "darwin" else 96) == theme.TEXT_DPI


def test_the_first_font_that_is_there_is_taken(monkeypatch: pytest.MonkeyPatch, qapp: QApplication) -> None:
    assert qapp
    monkeypatch.setattr(sys, "platform", "linux")
    asked: list[str] = []
    there = {"Cantarell", "DejaVu Sans", "Menlo"}

    def has(family: str) -> bool:
        asked.append(family)
        return family in there

    monkeypatch.setattr(QFontDatabase, "hasFamily", has)
    assert (theme.ui_font().family(), theme.mono_font().family()) == ("Cantarell", "Menlo")
    assert asked == ["Inter", "Cantarell", "SF Mono", "JetBrains Mono", "Menlo"]
    there.clear()
    general = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont).family()
    fixed = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont).family()
    assert (theme.ui_font().family(), theme.mono_font().family()) == (general, fixed)
    there.add("Inter")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert theme.ui_font().family() == general, "a Mac has its own"


def seen(icon: QIcon, mode: QIcon.Mode = QIcon.Mode.Normal) -> set[str]:
    image = icon.pixmap(QSize(24, 24), mode).toImage()
    colors = [image.pixelColor(x, y) for x in range(24) for y in range(24)]
    return {color.name() for color in colors if color.alpha() == 255}


def test_an_icon_is_muted_unless_it_has_a_colour_and_faint_where_it_is_off() -> None:
    for c in (theme.DARK, theme.LIGHT):
        theme.apply_theme(c.scheme)
        plain, red = theme.icon("ph.play-fill"), theme.icon("ph.play-fill", "#ff0000")
        assert seen(plain) == {c.muted}
        assert seen(red) == {"#ff0000"}
        assert seen(plain, QIcon.Mode.Disabled) == seen(red, QIcon.Mode.Disabled) == {c.faint}
    family, letter = IconFont().letter("ph.gear")
    assert theme.sign("ph.gear") == f"<span style=\"font-family:'{family}'; font-weight:normal\">{letter}</span>"
    assert IconFont().letter("gear") == (family, letter)
    with pytest.raises(KeyError):
        theme.icon("ph.no-such-sign")


def test_icons_that_are_not_installed_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Found:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr("app.ui.widget.icon_font.find_spec", lambda _name: Found())
    with pytest.raises(
        FileNotFoundError, match=f"The icons are not installed: {tmp_path}/fonts has no Phosphor font"
    ):
        IconFont()
    monkeypatch.setattr("app.ui.widget.icon_font.find_spec", lambda _name: None)
    with pytest.raises(FileNotFoundError, match="qtawesome/fonts has no Phosphor"):
        IconFont()


def test_a_role_is_set_and_the_widget_dressed_anew(qtbot: QtBot) -> None:
    page = QWidget()
    qtbot.addWidget(page)
    label, plain = QLabel("Text", page), QWidget(page)
    page.show()
    colors = []
    for role in ("muted", "error", "good", ""):
        theme.set_role(label, role=role)
        colors.append(label.palette().color(QPalette.ColorRole.WindowText).name())
    c = theme.colors()
    assert colors == [c.muted, c.error, c.good, c.text]
    theme.set_role(plain, role="card", kind="quiet")
    assert (plain.property("role"), plain.property("kind")) == ("card", "quiet")


def test_sizes_in_the_sheet_go_with_the_text() -> None:
    filled = theme.fill_sheet("a { font-size: text(12); height: line(20); b: context(3); }", theme.LIGHT)
    assert filled == f"a {{ font-size: 12px; height: {theme.line_px(20)}px; b: context(3); }}"


def kinds() -> list[QWidget]:
    """One of each kind that Tab goes to."""
    primary, quiet, tabs = QPushButton("Go"), QPushButton("Quiet"), QTabBar()
    rows, table = QListWidget(), QTableWidget(2, 2)
    primary.setProperty("kind", "primary")
    quiet.setProperty("kind", "quiet")
    for name in ("one", "two"):
        tabs.addTab(name)
        rows.addItem(name)
    chosen = QRadioButton("Chosen")
    chosen.setChecked(True)
    tool, link = QToolButton(), QPushButton("Link")
    tool.setText("Tool")
    link.setProperty("kind", "link")
    return [
        primary, quiet, link, tool, QPushButton("Plain"), tabs, rows, table, chosen, QCheckBox("Check"),
        QLineEdit(), QSpinBox(), QComboBox(), QPlainTextEdit(), QSlider(Qt.Orientation.Horizontal),
    ]  # fmt: skip


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_what_has_the_keyboard_shows_it(qtbot: QtBot, scheme: theme.Scheme) -> None:
    theme.apply_theme(scheme)
    page, nowhere = QWidget(), QLineEdit()
    qtbot.addWidget(page)
    layout = QVBoxLayout(page)
    for widget in (nowhere, *(found := kinds())):
        layout.addWidget(widget)
    with qtbot.waitExposed(page):
        page.show()
    page.activateWindow()
    qtbot.waitUntil(page.isActiveWindow)
    alike = []
    for widget in found:
        nowhere.setFocus()
        before = widget.grab().toImage()
        widget.setFocus(Qt.FocusReason.TabFocusReason)
        assert widget.hasFocus()
        if widget.grab().toImage() == before:
            alike.append(f"{type(widget).__name__} {widget.property('kind') or ''}")
    assert alike == []
