"""The look: one set of colours and metrics a scheme, made into a palette and a style sheet.

Widgets say what they are with dynamic properties (``role``: title, section, muted, error, …; ``kind``: primary,
quiet, …) and the style sheet dresses them; drawing code asks `colors()`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

os.environ.setdefault("QT_API", "pyside6")  # qtawesome and superqt go through qtpy

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QIcon, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from app.core.system.resource import resource

Scheme = Literal["light", "dark"]

SPACE = 8  # px; every margin and gap is a multiple of half of it


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
    grid: str
    series: tuple[str, ...]


LIGHT = Colors(
    scheme="light",
    window="#f4f2ef",
    card="#ffffff",
    field="#ffffff",
    raised="#faf8f6",
    border="#e3dfda",
    border_strong="#cdc7c0",
    text="#211e1b",
    muted="#6b655f",
    faint="#8c857e",
    accent="#a8541c",
    accent_hover="#95491a",
    accent_pressed="#7f3e15",
    on_accent="#ffffff",
    accent_soft="#f7e9dd",
    selection="#f0d9c6",
    error="#b3261e",
    error_soft="#fbeae8",
    warning="#8a5a00",
    warning_soft="#fbf1dc",
    good="#2a6f47",
    good_soft="#e6f2ea",
    train_line="#b85c1e",
    valid_line="#1f6f8b",
    grid="#e9e5e0",
    series=("#b85c1e", "#1f6f8b", "#5b7f2b", "#8a4fa0", "#b8892b", "#3b62b5", "#b23a5b", "#4a8f86"),
)
DARK = Colors(
    scheme="dark",
    window="#1b1a19",
    card="#252423",
    field="#1f1e1d",
    raised="#2d2b2a",
    border="#393735",
    border_strong="#514e4b",
    text="#efece8",
    muted="#aba59e",
    faint="#88827b",
    accent="#e39a5c",
    accent_hover="#eba970",
    accent_pressed="#c98449",
    on_accent="#1b1512",
    accent_soft="#3b2d22",
    selection="#5a4130",
    error="#ff8a7d",
    error_soft="#3d2522",
    warning="#e9b949",
    warning_soft="#38301d",
    good="#7fca9a",
    good_soft="#21332a",
    train_line="#e8a061",
    valid_line="#62b6d1",
    grid="#33312f",
    series=("#e8a061", "#62b6d1", "#a3c868", "#c692dc", "#e3c567", "#7ea2ec", "#ec7f9d", "#74c4ba"),
)


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


def ui_font(delta: int = 0) -> QFont:
    """The interface font: the system's on a Mac, Inter where installed elsewhere."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
    if sys.platform != "darwin":
        family = next(
            (f for f in ("Inter", "Cantarell", "Noto Sans", "DejaVu Sans") if QFontDatabase.hasFamily(f)), ""
        )
        if family:
            font = QFont(family)
    font.setPixelSize(13 + delta)
    return font


def mono_font(delta: int = 0) -> QFont:
    """The font of logs and tokens."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    names = ("SF Mono", "JetBrains Mono", "Menlo", "DejaVu Sans Mono")
    family = next((f for f in names if QFontDatabase.hasFamily(f)), "")
    if family:
        font = QFont(family)
    font.setPixelSize(12 + delta)
    return font


def icon(name: str, color: str | None = None, **options: Any) -> QIcon:
    """An icon of the Phosphor font by its name (``ph.play-fill``), in the muted text colour unless given."""
    found = colors()
    drawn: QIcon = _icons().icon(name, color=color or found.muted, color_disabled=found.faint, **options)
    return drawn


@cache
def _icons() -> Any:
    """Draws icons of the Phosphor font. ``qtawesome.icon`` would read all of its twelve fonts first: 0.1 s."""
    from qtawesome.iconic_font import IconicFont

    fonts = Path(str(files("qtawesome"))) / "fonts"
    (font,), (names,) = fonts.glob("phosphor-*.ttf"), fonts.glob("phosphor-charmap-*.json")
    return IconicFont(("ph", font.name, names.name))


def set_role(widget: QWidget, **properties: str) -> None:
    """Sets dynamic properties (``role="muted"``) and dresses the widget anew."""
    for name, value in properties.items():
        widget.setProperty(name, value)
    widget.style().unpolish(widget)
    widget.style().polish(widget)


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


def _style_sheet(c: Colors) -> str:
    def image(name: str) -> str:
        return resource("themes", f"{name}-{c.scheme}.svg").as_posix()

    return f"""
* {{ outline: none; }}
QMainWindow, QDialog {{ background: {c.window}; }}
QWidget#page, QScrollArea, QScrollArea > QWidget > QWidget {{ background: {c.window}; }}
QScrollArea {{ border: none; }}
QToolTip {{ background: {c.raised}; color: {c.text}; border: 1px solid {c.border_strong}; padding: 6px 8px; }}

QFrame[role="card"] {{ background: {c.card}; border: 1px solid {c.border}; border-radius: 10px; }}
QFrame[role="card"][drop="true"] {{ border: 1px solid {c.accent}; background: {c.accent_soft}; }}
QFrame[role="well"] {{ background: {c.raised}; border: 1px solid {c.border}; border-radius: 8px; }}
QFrame[role="choice"] {{ background: {c.raised}; border: 1px solid {c.border}; border-radius: 8px; }}
QFrame[role="choice"]:hover {{ border-color: {c.border_strong}; }}
QFrame[role="choice-on"] {{ background: {c.accent_soft}; border: 1px solid {c.accent}; border-radius: 8px; }}
QFrame[role^="choice"] QRadioButton {{ font-weight: 600; }}
QFrame[role="line"] {{ background: {c.border}; border: none; max-height: 1px; min-height: 1px; }}
QFrame[role="banner"] {{ background: {c.accent_soft}; border: none; border-radius: 8px; }}
QFrame[role="banner-error"] {{ background: {c.error_soft}; border: none; border-radius: 8px; }}
QFrame[role="banner-warning"] {{ background: {c.warning_soft}; border: none; border-radius: 8px; }}
QFrame[role="banner-good"] {{ background: {c.good_soft}; border: none; border-radius: 8px; }}
QFrame[role="drop-zone"] {{ background: {c.raised}; border: 1.5px dashed {c.border_strong}; border-radius: 10px; }}
QFrame[role="drop-zone"][drop="true"] {{ border: 1.5px dashed {c.accent}; background: {c.accent_soft}; }}

QLabel {{ background: transparent; color: {c.text}; }}
QLabel[role="title"] {{ font-size: 20px; font-weight: 600; }}
QLabel[role="section"] {{ font-size: 15px; font-weight: 600; }}
QLabel[role="label"] {{ font-weight: 500; }}
QLabel[role="muted"] {{ color: {c.muted}; }}
QLabel[role="small"] {{ color: {c.muted}; font-size: 12px; }}
QLabel[role="figure"] {{ font-size: 20px; font-weight: 600; }}
QLabel[role="error"] {{ color: {c.error}; font-size: 12px; }}
QLabel[role="warning"] {{ color: {c.warning}; font-size: 12px; }}
QLabel[role="note"] {{ color: {c.muted}; font-size: 12px; }}
QLabel[role="good"] {{ color: {c.good}; font-size: 12px; }}
QLabel[role="pill"] {{ background: {c.raised}; border: 1px solid {c.border}; border-radius: 9px; padding: 1px 8px;
    font-size: 12px; color: {c.muted}; }}
QLabel[role="pill-accent"] {{ background: {c.accent_soft}; border-radius: 9px; padding: 2px 9px; font-size: 12px;
    color: {c.accent}; font-weight: 600; }}
QLabel[role="pill-good"] {{ background: {c.good_soft}; border-radius: 9px; padding: 2px 9px; font-size: 12px;
    color: {c.good}; font-weight: 600; }}
QLabel[role="pill-error"] {{ background: {c.error_soft}; border-radius: 9px; padding: 2px 9px; font-size: 12px;
    color: {c.error}; font-weight: 600; }}
QLabel[role="pill-warning"] {{ background: {c.warning_soft}; border-radius: 9px; padding: 2px 9px; font-size: 12px;
    color: {c.warning}; font-weight: 600; }}
QLabel:disabled {{ color: {c.faint}; }}

QPushButton {{ background: {c.card}; color: {c.text}; border: 1px solid {c.border_strong}; border-radius: 7px;
    padding: 5px 13px; min-height: 18px; font-weight: 500; }}
QPushButton:hover {{ background: {c.raised}; border-color: {c.faint}; }}
QPushButton:pressed {{ background: {c.border}; }}
QPushButton:focus {{ border-color: {c.accent}; }}
QPushButton:disabled {{ color: {c.faint}; background: {c.window}; border-color: {c.border}; }}
QPushButton:checked {{ background: {c.accent_soft}; border-color: {c.accent}; color: {c.accent}; }}
QPushButton[kind="primary"] {{ background: {c.accent}; color: {c.on_accent}; border-color: {c.accent};
    font-weight: 600; padding: 6px 18px; }}
QPushButton[kind="primary"]:hover {{ background: {c.accent_hover}; border-color: {c.accent_hover}; }}
QPushButton[kind="primary"]:pressed {{ background: {c.accent_pressed}; }}
QPushButton[kind="primary"]:disabled {{ background: {c.border}; color: {c.faint}; border-color: {c.border}; }}
QPushButton[kind="quiet"], QToolButton {{ background: transparent; border: 1px solid transparent; color: {c.muted};
    border-radius: 6px; padding: 4px 8px; }}
QToolButton[kind="mini"] {{ padding: 1px; }}
QPushButton[kind="quiet"]:hover, QToolButton:hover {{ background: {c.raised}; color: {c.text};
    border-color: {c.border}; }}
QPushButton[kind="quiet"]:focus, QToolButton:focus {{ border-color: {c.accent}; }}
QToolButton:checked {{ background: {c.accent_soft}; color: {c.accent}; border-color: {c.accent_soft}; }}
QToolButton:disabled, QPushButton[kind="quiet"]:disabled {{ color: {c.faint}; background: transparent;
    border-color: transparent; }}
QToolButton::menu-indicator {{ image: none; }}
QPushButton[kind="link"] {{ background: transparent; border: none; color: {c.accent}; padding: 0; font-weight: 500;
    text-align: left; }}
QPushButton[kind="link"]:hover, QPushButton[kind="link"]:focus {{ color: {c.accent_hover};
    text-decoration: underline; }}
QPushButton[kind="danger"] {{ color: {c.error}; border-color: {c.error}; background: transparent; }}
QPushButton[kind="danger"]:hover {{ background: {c.error_soft}; }}

QLineEdit, QSpinBox, QDoubleSpinBox, QAbstractSpinBox, QComboBox, QPlainTextEdit, QTextEdit {{
    background: {c.field}; color: {c.text}; border: 1px solid {c.border_strong}; border-radius: 7px;
    selection-background-color: {c.selection}; selection-color: {c.text}; }}
QLineEdit, QSpinBox, QDoubleSpinBox, QAbstractSpinBox, QComboBox {{ padding: 4px 8px; min-height: 20px; }}
QAbstractSpinBox QLineEdit, QComboBox QLineEdit {{ border: none; padding: 0; background: transparent; }}
QPlainTextEdit, QTextEdit {{ padding: 6px; }}
QLineEdit:hover, QAbstractSpinBox:hover, QComboBox:hover {{ border-color: {c.faint}; }}
QLineEdit:focus, QAbstractSpinBox:focus, QComboBox:focus, QComboBox:on, QPlainTextEdit:focus, QTextEdit:focus {{
    border-color: {c.accent}; }}
QLineEdit[problem="error"], QAbstractSpinBox[problem="error"], QComboBox[problem="error"] {{
    border-color: {c.error}; }}
QLineEdit[problem="warning"], QAbstractSpinBox[problem="warning"], QComboBox[problem="warning"] {{
    border-color: {c.warning}; }}
QLineEdit:disabled, QAbstractSpinBox:disabled, QComboBox:disabled, QPlainTextEdit:disabled {{
    background: {c.window}; color: {c.faint}; border-color: {c.border}; }}
QComboBox::drop-down {{ subcontrol-origin: padding; subcontrol-position: center right; width: 22px; border: none; }}
QComboBox::down-arrow {{ image: url({image("chevron-down")}); width: 12px; height: 12px; }}
QComboBox QAbstractItemView {{ background: {c.card}; border: 1px solid {c.border_strong}; border-radius: 6px;
    padding: 4px; selection-background-color: {c.accent_soft}; selection-color: {c.text}; }}
QAbstractSpinBox::up-button, QAbstractSpinBox::down-button {{ subcontrol-origin: border; width: 18px; border: none;
    background: transparent; }}
QAbstractSpinBox::up-button {{ subcontrol-position: top right; margin: 2px 3px 0 0; }}
QAbstractSpinBox::down-button {{ subcontrol-position: bottom right; margin: 0 3px 2px 0; }}
QAbstractSpinBox::up-button:hover, QAbstractSpinBox::down-button:hover {{ background: {c.raised};
    border-radius: 4px; }}
QAbstractSpinBox::up-arrow {{ image: url({image("chevron-up")}); width: 11px; height: 11px; }}
QAbstractSpinBox::down-arrow {{ image: url({image("chevron-down")}); width: 11px; height: 11px; }}

QCheckBox, QRadioButton {{ spacing: 8px; color: {c.text}; background: transparent; }}
QCheckBox:disabled, QRadioButton:disabled {{ color: {c.faint}; }}
QCheckBox::indicator, QRadioButton::indicator {{ width: 16px; height: 16px; border: 1px solid {c.border_strong};
    background: {c.field}; }}
QCheckBox::indicator {{ border-radius: 5px; }}
QRadioButton::indicator {{ border-radius: 9px; }}
QCheckBox::indicator:hover, QRadioButton::indicator:hover, QCheckBox::indicator:focus {{
    border-color: {c.accent}; }}
QCheckBox:focus {{ color: {c.accent}; }}
QCheckBox::indicator:checked {{ background: {c.accent}; border-color: {c.accent}; image: url({image("check")}); }}
QCheckBox::indicator:indeterminate {{ background: {c.accent_soft}; border-color: {c.accent}; }}
QCheckBox::indicator:checked:disabled {{ background: {c.faint}; border-color: {c.faint}; }}
QRadioButton::indicator:checked {{ border: 5px solid {c.accent}; width: 8px; height: 8px;
    background: {c.on_accent}; }}

QTabWidget::pane {{ border: none; background: {c.window}; }}
QTabBar {{ background: {c.window}; qproperty-drawBase: 0; }}
QTabBar::tab {{ background: transparent; color: {c.muted}; padding: 7px 14px; margin: 6px 2px 6px 0; border: none;
    border-radius: 7px; font-weight: 500; }}
QTabBar::tab:hover {{ background: {c.raised}; color: {c.text}; }}
QTabBar::tab:selected {{ background: {c.card}; color: {c.accent}; border: 1px solid {c.border}; }}
QTabBar::tab:focus {{ color: {c.accent}; }}

QProgressBar {{ background: {c.border}; border: none; border-radius: 3px; max-height: 6px; min-height: 6px;
    text-align: center; color: transparent; }}
QProgressBar::chunk {{ background: {c.accent}; border-radius: 3px; }}

QSlider::groove:horizontal {{ height: 4px; background: {c.border}; border-radius: 2px; }}
QSlider::sub-page:horizontal {{ background: {c.accent}; border-radius: 2px; }}
QSlider::handle:horizontal {{ background: {c.card}; border: 1px solid {c.border_strong}; width: 14px; height: 14px;
    margin: -6px 0; border-radius: 8px; }}
QSlider::handle:horizontal:hover, QSlider::handle:horizontal:focus {{ border-color: {c.accent}; }}

QScrollBar:vertical {{ background: transparent; width: 11px; margin: 2px; }}
QScrollBar:horizontal {{ background: transparent; height: 11px; margin: 2px; }}
QScrollBar::handle {{ background: {c.border_strong}; border-radius: 3px; min-height: 28px; min-width: 28px; }}
QScrollBar::handle:hover {{ background: {c.faint}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}

QTableView, QTreeView, QListView {{ background: {c.card}; alternate-background-color: {c.raised}; color: {c.text};
    border: 1px solid {c.border}; border-radius: 8px; gridline-color: {c.border};
    selection-background-color: {c.accent_soft}; selection-color: {c.text}; }}
QHeaderView {{ background: transparent; }}
QHeaderView::section {{ background: {c.raised}; color: {c.muted}; border: none;
    border-bottom: 1px solid {c.border}; padding: 5px 8px; font-weight: 500; }}
QTableCornerButton::section {{ background: {c.raised}; border: none; }}

QMenuBar {{ background: {c.window}; color: {c.text}; }}
QMenuBar::item {{ padding: 4px 9px; background: transparent; border-radius: 5px; }}
QMenuBar::item:selected {{ background: {c.raised}; }}
QMenu {{ background: {c.card}; color: {c.text}; border: 1px solid {c.border_strong}; padding: 4px; }}
QMenu::item {{ padding: 5px 24px 5px 12px; border-radius: 5px; }}
QMenu::item:selected {{ background: {c.accent_soft}; }}
QMenu::item:disabled {{ color: {c.faint}; }}
QMenu::separator {{ height: 1px; background: {c.border}; margin: 4px 8px; }}
QStatusBar {{ background: {c.window}; color: {c.muted}; }}
QStatusBar::item {{ border: none; }}
QSplitter::handle {{ background: transparent; }}
QSplitter::handle:hover {{ background: {c.border}; }}
"""
