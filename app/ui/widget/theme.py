"""The look: one set of colours a scheme, from `resources/themes`, made into a palette and a style sheet.

Widgets say what they are with dynamic properties (``role``: title, section, muted, error, …; ``kind``: primary,
quiet, …) and the style sheet dresses them; drawing code asks `colors()`.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontDatabase,
    QFontMetrics,
    QFontMetricsF,
    QGuiApplication,
    QIcon,
    QPalette,
)
from PySide6.QtWidgets import QApplication, QLabel, QWidget

from app.core.language import tr
from app.core.resource import resource
from app.ui.widget.icon_font import IconFont

Scheme = Literal["light", "dark"]

SPACE = 8  # px; every margin and gap is a multiple of half of it
LINE = 20  # px, of a line of the interface at the usual text size
TEXT_DPI = 72 if sys.platform == "darwin" else 96  # a screen's dots an inch while nobody asks for larger text
SAMPLE = "A run trains an adapter: rank 32, Learning rate 0.0001, 1,024 tokens"
SAMPLE_WIDTH = 412  # px, in Inter


@dataclass(frozen=True, slots=True)
class Colors:
    """The colours of one scheme, by purpose."""

    scheme: Scheme
    window: str
    card: str
    field: str
    raised: str
    border: str
    border_strong: str
    text: str
    muted: str
    faint: str
    accent: str
    accent_hover: str
    accent_pressed: str
    on_accent: str
    accent_soft: str
    selection: str
    error: str
    error_soft: str
    warning: str
    warning_soft: str
    good: str
    good_soft: str
    train_line: str
    valid_line: str
    forgot_line: str
    grid: str
    series: tuple[str, ...]


COLOR = re.compile("#[0-9a-f]{6}")


def read_colors(file: Path) -> Colors:
    """Reads a scheme's colours from its TOML file, whose name is the scheme's.

    Raises `ValueError` for what is no colour, and for a colour that is missing or has no purpose.
    """
    found = tomllib.loads(file.read_text(encoding="utf-8"))
    wanted = {one.name for one in fields(Colors)} - {"scheme"}
    if wanted != found.keys():
        raise ValueError(
            tr(
                "{name}: these colours are missing or unknown: {wanted}",
                name=file.name,
                wanted=sorted(wanted ^ found.keys()),
            )
        )
    series = tuple(found.pop("series"))
    for value in (*found.values(), *series):
        if not COLOR.fullmatch(value):
            raise ValueError(tr("{name}: {value} is no colour; write it like #1a2b3c", name=file.name, value=value))
    return Colors(scheme="dark" if file.stem == "dark" else "light", series=series, **found)


LIGHT = read_colors(resource("themes", "light.toml"))
DARK = read_colors(resource("themes", "dark.toml"))


class _Theme(QObject):
    """The current scheme; ``changed`` fires after the application was redressed."""

    changed = Signal()
    colors: Colors = LIGHT


_theme: _Theme | None = None


def theme() -> _Theme:
    """The one theme object: connect to ``changed`` to redraw what a style sheet cannot reach."""
    global _theme
    if _theme is None:
        _theme = _Theme()
    return _theme


def colors() -> Colors:
    """The colours of the current scheme."""
    return theme().colors


def system_scheme() -> Scheme:
    """What the desktop asks for; light where it does not say."""
    return "dark" if QApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark else "light"


def apply_theme(scheme: Scheme) -> None:
    """Dresses the whole application. Qt's own ``setColorScheme`` is a silent no-op on some platforms."""
    found = DARK if scheme == "dark" else LIGHT
    theme().colors = found
    # One sheet after another makes Qt dress every widget many times; after none it takes a fifth of the time.
    with undressed() as application:
        application.setStyle("Fusion")
        application.setFont(ui_font())
        application.setPalette(_palette(found))
        theme().changed.emit()


@contextmanager
def undressed() -> Iterator[QApplication]:
    """Takes the style sheet off while much changes, and dresses the application at the end in the present colours.

    Widgets that are put together under a style sheet are dressed anew with everything that they are put into.
    """
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    application.setStyleSheet("")
    try:
        yield application
    finally:
        application.setStyleSheet(_style_sheet(colors()))


def text_px(size: float) -> int:
    """A length that goes with the size of text, in px: more where larger text is asked for.

    The sizes of fonts are such lengths. What enlarges the whole window (a screen's scale) is none of it.
    """
    screen = QGuiApplication.primaryScreen()
    return round(size * screen.logicalDotsPerInch() / TEXT_DPI) if screen is not None else round(size)


def line_px(height: float = LINE) -> int:
    """The height of what holds a line of text, in px: as given at the usual text size, more in a taller font."""
    return text_px(height - LINE) + max(text_px(LINE), QFontMetrics(QApplication.font()).height())


def text_width(width: float) -> int:
    """The width of what holds text, in px: as given in Inter at the usual text size, more in a wider font."""
    return round(width * QFontMetricsF(QApplication.font()).horizontalAdvance(SAMPLE) / SAMPLE_WIDTH)


def ui_font(delta: int = 0) -> QFont:
    """The interface font: the system's on a Mac, Inter where installed elsewhere."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
    if sys.platform != "darwin":
        family = next(
            (f for f in ("Inter", "Cantarell", "Noto Sans", "DejaVu Sans") if QFontDatabase.hasFamily(f)),
            "",
        )
        if family:
            font = QFont(family)
    font.setPixelSize(text_px(13 + delta))
    return font


def mono_font(delta: int = 0) -> QFont:
    """The font of logs and tokens."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    names = ("SF Mono", "JetBrains Mono", "Menlo", "DejaVu Sans Mono")
    family = next((f for f in names if QFontDatabase.hasFamily(f)), "")
    if family:
        font = QFont(family)
    font.setPixelSize(text_px(12 + delta))
    return font


def icon(name: str, color: str | None = None) -> QIcon:
    """An icon of the Phosphor font by its name (``ph.play-fill``), in the muted text colour unless given."""
    found = colors()
    return _icons().icon(name, color or found.muted, found.faint)


def sign(name: str) -> str:
    """An icon as a letter within rich text: a font of the system may lack what a sign of Unicode looks like."""
    family, letter = _icons().letter(name)
    return f"<span style=\"font-family:'{family}'; font-weight:normal\">{letter}</span>"


@cache
def _icons() -> IconFont:
    return IconFont()


def set_role(widget: QWidget, **properties: str) -> None:
    """Sets dynamic properties (``role="muted"``) and dresses the widget anew."""
    for name, value in properties.items():
        widget.setProperty(name, value)
    widget.style().unpolish(widget)
    widget.style().polish(widget)
    if isinstance(widget, QLabel):
        widget.setFrameStyle(widget.frameStyle())  # the padding of the role counts as its frame, which it keeps
        widget.updateGeometry()


def _palette(c: Colors) -> QPalette:
    palette = QPalette()
    role = QPalette.ColorRole
    pairs = {
        role.Window: c.window, role.WindowText: c.text, role.Base: c.field, role.AlternateBase: c.raised,
        role.Text: c.text, role.Button: c.card, role.ButtonText: c.text, role.ToolTipBase: c.raised,
        role.ToolTipText: c.text, role.Highlight: c.selection, role.HighlightedText: c.text,
        role.PlaceholderText: c.faint, role.Link: c.accent, role.Mid: c.border, role.Light: c.raised,
        role.Dark: c.border_strong, role.Shadow: c.border_strong, role.Accent: c.accent,
    }  # fmt: skip
    for name, value in pairs.items():
        palette.setColor(name, QColor(value))
    for name in (role.Text, role.WindowText, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, name, QColor(c.faint))
    return palette


@cache
def _style_sheet(found: Colors) -> str:
    return fill_sheet(resource("themes", "luthier.qss").read_text(encoding="utf-8"), found)


def fill_sheet(sheet: str, found: Colors) -> str:
    """Puts a scheme's colours and pictures in the place of their names: ``@accent`` and ``url(check)``.

    ``text(12)`` is `text_px`, ``line(20)`` is `line_px`: sizes of text, and heights that a line must fit into.

    Raises `ValueError` for a colour that no scheme has, `FileNotFoundError` for a picture that did not ship.
    """

    def color(name: re.Match[str]) -> str:
        value = getattr(found, name[1], None)
        if not isinstance(value, str) or not COLOR.fullmatch(value):
            line = sheet.count("\n", 0, name.start()) + 1
            raise ValueError(
                tr(
                    "The style sheet names a colour that no scheme has: {name} in line {line}",
                    name=name[0],
                    line=line,
                )
            )
        return value

    def picture(name: re.Match[str]) -> str:
        path = resource("themes", f"{name[1]}-{found.scheme}.svg")
        return f"url({path.as_posix()})"

    sheet = re.sub(r"\btext\((\d+)\)", lambda size: f"{text_px(int(size[1]))}px", sheet)
    sheet = re.sub(r"\bline\((\d+)\)", lambda height: f"{line_px(int(height[1]))}px", sheet)
    return re.sub(r"url\(([^)]*)\)", picture, re.sub(r"@([\w-]*)", color, sheet))
