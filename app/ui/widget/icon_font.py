"""Icons drawn from the Phosphor font that ships with qtawesome, without its code, which takes 0.1 s to import."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QIcon, QIconEngine, QPainter, QPixmap

from app.core.language import tr

PREFIX = "ph."
GLYPH_SHARE = 0.875  # of an icon's height: a font leaves room around its signs


class IconFont:
    """The font and the names of its signs, read once. Raises `FileNotFoundError` where it is not installed."""

    def __init__(self) -> None:
        found = find_spec("qtawesome")
        folders = found.submodule_search_locations if found is not None else None
        fonts = Path(next(iter(folders or ()), "qtawesome")) / "fonts"
        try:
            (file,), (names,) = fonts.glob("phosphor-*.ttf"), fonts.glob("phosphor-charmap-*.json")
        except ValueError as error:
            raise FileNotFoundError(
                tr("The icons are not installed: {fonts} has no Phosphor font.", fonts=fonts)
            ) from error
        (self.family, *_) = QFontDatabase.applicationFontFamilies(QFontDatabase.addApplicationFont(str(file)))
        self._signs: dict[str, str] = json.loads(names.read_text(encoding="utf-8"))

    def icon(self, name: str, color: str, disabled: str) -> QIcon:
        """The icon ``ph.NAME`` in one colour, another where it is off. Raises `KeyError` without such a name."""
        return QIcon(_SignEngine(_Sign(*self.letter(name), color, disabled)))

    def letter(self, name: str) -> tuple[str, str]:
        """The family, and the letter of it that is the icon ``ph.NAME``. Raises `KeyError` without such a name."""
        return self.family, chr(int(self._signs[name.removeprefix(PREFIX)], 16))


@dataclass(frozen=True, slots=True)
class _Sign:
    family: str
    sign: str
    color: str
    disabled: str


class _SignEngine(QIconEngine):
    """Draws one sign at whatever size is asked for."""

    _copies: ClassVar[list[QIconEngine]] = []  # Qt's, which Python would take away

    def __init__(self, sign: _Sign) -> None:
        super().__init__()
        self._sign = sign

    def clone(self) -> QIconEngine:
        self._copies.append(_SignEngine(self._sign))
        return self._copies[-1]

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, _state: QIcon.State) -> None:
        painter.save()
        font = QFont(self._sign.family)
        font.setPixelSize(max(1, round(GLYPH_SHARE * rect.height())))
        painter.setFont(font)
        painter.setPen(QColor(self._sign.disabled if mode is QIcon.Mode.Disabled else self._sign.color))
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, self._sign.sign)
        painter.restore()

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        found = QPixmap(size)
        found.fill(Qt.GlobalColor.transparent)
        painter = QPainter(found)
        self.paint(painter, QRect(QPoint(0, 0), size), mode, state)
        painter.end()
        return found
