"""The look: one scheme after the other, and widgets that are put together before they are dressed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PySide6.QtGui import QColor, QIcon, QPalette
from PySide6.QtWidgets import QApplication, QLabel, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.core.resource import resource
from app.ui.widget import theme


def _card(qtbot: QtBot) -> QWidget:
    card = QWidget()
    qtbot.addWidget(card)
    title = QLabel("A title", card)
    theme.set_role(title, role="title")
    layout = QVBoxLayout(card)
    layout.addWidget(title)
    layout.addWidget(QLabel("Text beneath it", card))
    card.resize(card.sizeHint())
    return card


def test_each_scheme_has_its_palette_and_sheet(qapp: QApplication, qtbot: QtBot) -> None:
    card = _card(qtbot)
    seen = []
    for found in (theme.DARK, theme.LIGHT):
        with qtbot.waitSignal(theme.theme().changed):
            theme.apply_theme(found.scheme)
        assert theme.colors() is found
        assert QApplication.palette().color(QPalette.ColorRole.Window).name() == found.window.lower()
        seen.append((qapp.styleSheet(), card.grab().toImage()))
    (dark, dark_picture), (light, light_picture) = seen
    assert dark != light
    assert dark_picture != light_picture


def test_what_is_put_together_undressed_looks_the_same(qapp: QApplication, qtbot: QtBot) -> None:
    theme.apply_theme("light")
    sheet, dressed = qapp.styleSheet(), _card(qtbot)
    with theme.undressed():
        assert qapp.styleSheet() == ""
        card = _card(qtbot)
    assert qapp.styleSheet() == sheet
    card.resize(card.sizeHint())
    assert card.grab().toImage() == dressed.grab().toImage()


def test_an_error_leaves_the_application_dressed(qapp: QApplication) -> None:
    theme.apply_theme("light")
    sheet = qapp.styleSheet()
    with pytest.raises(ZeroDivisionError), theme.undressed():
        _ = 1 / 0
    assert qapp.styleSheet() == sheet


@pytest.mark.parametrize("colors", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_the_sheet_is_filled_with_the_colours_and_pictures_of_its_scheme(colors: theme.Colors) -> None:
    written = resource("themes", "luthier.qss").read_text()
    filled = theme.fill_sheet(written, colors)
    assert "@" not in filled
    assert f"QToolTip {{ background: {colors.raised}; color: {colors.text};" in filled
    pictures = re.findall(r"url\((.+?)\)", filled)
    assert len(pictures) == written.count("url(") == 7
    for picture in pictures:
        assert picture.endswith(f"-{colors.scheme}.svg")
        assert not QIcon(picture).pixmap(12, 12).isNull()


@pytest.mark.parametrize("name", ["akzent", "scheme", "series", ""])
def test_a_name_that_is_no_colour_fails_with_its_line(name: str) -> None:
    with pytest.raises(ValueError, match=rf"no scheme has: @{name} in line 2$"):
        theme.fill_sheet(f"* {{ color: @text; }}\n* {{ color: @{name}; }}", theme.LIGHT)


def test_a_picture_that_did_not_ship_fails() -> None:
    with pytest.raises(FileNotFoundError, match=r"themes/tick-dark\.svg"):
        theme.fill_sheet("QCheckBox::indicator { image: url(tick); }", theme.DARK)


def test_pictures_are_found_in_a_folder_with_a_space(
    tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "an (app) of mine"
    folder.mkdir()
    (folder / "check-light.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9" fill="#00ff00"/></svg>'
    )
    monkeypatch.setattr(theme, "resource", lambda *parts: folder / parts[-1])
    label = QLabel()
    qtbot.addWidget(label)
    label.resize(9, 9)
    label.setStyleSheet(theme.fill_sheet("QLabel { border-image: url(check); }", theme.LIGHT))
    assert label.grab().toImage().pixelColor(4, 4) == QColor("#00ff00")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("muted", "mutet"), r"missing or unknown: \['muted', 'mutet'\]"),
        (("#efece8", "white"), "white is no colour"),
        (('"#62b6d1", ', '"62b6d1", '), "62b6d1 is no colour"),
    ],
)
def test_a_scheme_with_a_colour_too_few_or_what_is_none_fails(
    change: tuple[str, str], said: str, tmp_path: Path
) -> None:
    written = resource("themes", "dark.toml").read_text()
    (tmp_path / "dark.toml").write_text(written)
    assert theme.read_colors(tmp_path / "dark.toml") == theme.DARK
    (tmp_path / "dark.toml").write_text(written.replace(*change))
    with pytest.raises(ValueError, match=rf"dark\.toml: .*{said}"):
        theme.read_colors(tmp_path / "dark.toml")


@pytest.mark.usefixtures("light")
def test_a_label_is_as_wide_as_its_new_role_wants(qtbot: QtBot) -> None:
    label = QLabel("Fits")
    qtbot.addWidget(label)
    plain = label.sizeHint()
    theme.set_role(label, role="pill-good")
    fresh = QLabel("Fits")
    qtbot.addWidget(fresh)
    fresh.setProperty("role", "pill-good")
    assert label.sizeHint() == fresh.sizeHint()
    assert label.sizeHint().width() > plain.width()
