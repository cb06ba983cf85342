"""Help that is searched: every field, method and menu entry, explained; and the list of all shortcuts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QDialogButtonBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QMenuBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.core.config.field import FieldSpec
from app.core.config.spec import field_specs
from app.core.language import tr
from app.core.method.method import Method
from app.core.method.table import METHODS
from app.ui.menu.entry import ALL_KEYS
from app.ui.platform.key_text import native_keys
from app.ui.widget import theme
from app.ui.widget.keyed_dialog import KeyedDialog
from app.ui.window.page_keys import page_keys

HELP_SIZE = (720, 460)  # px in Inter
SHORTCUT_SIZE = (380, 520)  # px in Inter
TOPICS_WIDTH = 250  # px in Inter


@dataclass(frozen=True, slots=True)
class HelpTopic:
    """One thing that help explains. ``path`` is a config field's, ``method.NAME`` or ``menu.NAME``; ``html`` the
    explanation."""

    path: str
    title: str
    html: str
    words: str

    @property
    def is_in_menu(self) -> bool:
        """Whether it is an entry of a menu, and has no place on a form."""
        return self.path.startswith("menu.")


# What entries of the menus do that a word does not say.
MENU_HELP = {
    "run.start": tr("Trains the form in use. What holds it back is said beside the button."),
    "run.pause": tr("Halts the run after the iteration in progress; its memory stays taken. Continue goes on."),
    "run.park": tr("Saves the run and ends its worker. Resume goes on exactly where it was, also after a restart."),
    "run.stop": tr("Ends the run after the iteration in progress and saves its adapter. It can be resumed."),
    "run.resume": tr("Goes on exactly where the shown run was paused, stopped or interrupted."),
    "run.enqueue": tr("Puts the form at the end of the queue, which trains one setup after the other."),
    "run.sweep": tr("Queues the form in several variants, and shows what each came to."),
    "run.compare": tr("Asks base model and tuned model the same questions, side by side."),
    "run.export": tr("Writes the tuned model for other programs."),
}


@cache
def help_topics() -> tuple[HelpTopic, ...]:
    """Methods and fields, in the order in which they are declared."""
    return (*map(_method_topic, METHODS.values()), *map(_field_topic, field_specs().values()))


def menu_topics(bar: QMenuBar) -> list[HelpTopic]:
    """The entries of the menus: where each is, its keys, and what it does."""
    found = []
    for top in bar.actions():
        menu = top.menu()
        for action in _actions(menu) if isinstance(menu, QMenu) else ():
            if action.objectName():
                found.append(_menu_topic(top.text().replace("&", ""), action))
    return found


def _menu_topic(menu: str, action: QAction) -> HelpTopic:
    name, keys = _shortcut_row(action)
    said = MENU_HELP.get(action.objectName(), "")
    html = _paragraphs(("", said), (tr("Menu"), f"{menu} › {name}"), (tr("Keys"), keys))
    return HelpTopic(f"menu.{action.objectName()}", name, html, f"{name} {said}".lower())


def find_topics(text: str, more: Sequence[HelpTopic] = ()) -> list[HelpTopic]:
    """Topics that have every word of the text, those with all of them in their title first."""
    words = text.lower().split()
    found = [topic for topic in (*help_topics(), *more) if all(word in topic.words for word in words)]
    return sorted(found, key=lambda topic: not all(word in topic.title.lower() for word in words))


def _paragraphs(*parts: tuple[str, str]) -> str:
    lines = (f"<b>{name}:</b> {escape(text)}" if name else escape(text) for name, text in parts if text)
    return "".join(f"<p style='margin: 0 0 8px 0'>{line}</p>" for line in lines)


def _field_topic(spec: FieldSpec) -> HelpTopic:
    default = next((text for value, text in spec.choices if value == spec.default), spec.default)
    if isinstance(default, bool):
        default = tr("on") if default else tr("off")
    shown = f"{default:g}" if isinstance(default, float) else str(default)
    html = _paragraphs(
        ("", f"{spec.what}." if spec.what else ""),
        (tr("Higher"), spec.higher),
        (tr("Lower"), spec.lower),
        (tr("Recommended"), spec.recommended),
        (tr("Default"), "" if default in (None, "", {}, []) else shown),
        (tr("Range"), f"{spec.range_text} {spec.unit}".strip() if spec.range_text else ""),
        (tr("Choices"), "; ".join(text for _, text in spec.choices)),
        (tr("In configs"), spec.path),
    )
    return HelpTopic(spec.path, spec.label, html, f"{spec.label} {spec.path} {spec.help}".lower())


def _method_topic(method: Method) -> HelpTopic:
    html = _paragraphs(
        ("", method.what),
        (tr("Use it when"), method.when),
        (tr("Data"), method.rows),
        (tr("Cost"), method.cost),
        (tr("Paper"), tr("arXiv {paper}", paper=method.paper) if method.paper else ""),
    )
    title = tr("Method: {label}", label=method.label)
    return HelpTopic(f"method.{method.name}", title, html, f"{title} {method.what} {method.when}".lower())


class HelpDialog(KeyedDialog):
    """``shown_requested(path)`` asks for a topic's place in the window. It stays open beside the window."""

    shown_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None, *, bar: QMenuBar | None = None) -> None:
        super().__init__(parent)
        self._entries = menu_topics(bar) if bar is not None else []
        self.setObjectName("help_dialog")
        self.setWindowTitle(tr("Help"))
        self.resize(*(theme.text_width(side) for side in HELP_SIZE))
        self._search = QLineEdit(self)
        self._search.setObjectName("help.search")
        self._search.setAccessibleName(tr("Search fields, methods and menus"))
        self._search.setPlaceholderText(tr("Search fields, methods and menus"))
        self._search.setClearButtonEnabled(True)
        self._list = QListWidget(self)
        self._list.setObjectName("help.topics")
        self._list.setAccessibleName(tr("Topics"))
        self._list.setFixedWidth(theme.text_width(TOPICS_WIDTH))
        self._text = QLabel(self)
        self._text.setObjectName("help.text")
        self._text.setWordWrap(True)
        self._text.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        area = QScrollArea(self)
        area.setAccessibleName(tr("Explanation"))
        area.setWidgetResizable(True)
        area.setWidget(self._text)
        box = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        self.go = QPushButton(tr("Show in the form"), self)
        self.go.setObjectName("help.go")
        self.go.setDefault(True)
        theme.set_role(self.go, kind="primary")
        box.addButton(self.go, QDialogButtonBox.ButtonRole.ActionRole)
        middle = QHBoxLayout()
        middle.setSpacing(theme.SPACE * 2)
        middle.addWidget(self._list)
        middle.addWidget(area, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE * 2] * 4)
        layout.setSpacing(theme.SPACE * 3 // 2)
        layout.addWidget(self._search)
        layout.addLayout(middle, 1)
        layout.addWidget(box)
        self._search.textChanged.connect(self._fill)
        self._list.currentItemChanged.connect(self._show)
        self._list.itemActivated.connect(self._go)
        self.go.clicked.connect(self._go)
        box.rejected.connect(self.reject)
        self._fill("")

    def _fill(self, text: str) -> None:
        self._list.clear()
        for topic in find_topics(text, self._entries):
            item = QListWidgetItem(topic.title, self._list)
            item.setData(Qt.ItemDataRole.UserRole, topic)
        self._list.setCurrentRow(0)
        self._show()

    @property
    def topic(self) -> HelpTopic | None:
        """What is explained now; None where nothing is found."""
        item = self._list.currentItem()
        found = item.data(Qt.ItemDataRole.UserRole) if item is not None else None
        return found if isinstance(found, HelpTopic) else None

    def _show(self) -> None:
        topic = self.topic
        said = (
            f"<h3>{escape(topic.title)}</h3>{topic.html}" if topic is not None else tr("Nothing is found by that.")
        )
        self._text.setText(said)
        self.go.setEnabled(topic is not None and not topic.is_in_menu)
        self.go.setToolTip(tr("It is an entry of a menu") if topic is not None and topic.is_in_menu else "")

    def _go(self) -> None:
        if self.topic is not None and not self.topic.is_in_menu:
            self.shown_requested.emit(self.topic.path)


def shortcuts_of(bar: QMenuBar) -> list[tuple[str, list[tuple[str, str]]]]:
    """Menu by menu, what has a shortcut and which, in the system's own form."""
    found = []
    for top in bar.actions():
        menu = top.menu()
        if isinstance(menu, QMenu):
            rows = [row for action in _actions(menu) if (row := _shortcut_row(action))[1]]
            found.append((top.text().replace("&", ""), rows))
    return [(title, rows) for title, rows in (*found, *page_keys()) if rows]


def _actions(menu: QMenu) -> Iterator[QAction]:
    for action in menu.actions():
        inner = action.menu()
        if isinstance(inner, QMenu):
            yield from _actions(inner)
        else:
            yield action


def _shortcut_row(action: QAction) -> tuple[str, str]:
    text, _, told = action.text().partition("\t")
    every = dict.fromkeys([*(action.property(ALL_KEYS) or ()), *action.shortcuts()])
    keys = tr(" or ").join(dict.fromkeys(map(native_keys, every))) or told
    return text.replace("&", "").removesuffix("…"), keys


class ShortcutDialog(KeyedDialog):
    """Lists the shortcuts of a menu bar, whatever page is shown, and those of the pages."""

    def __init__(self, bar: QMenuBar, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("shortcut_dialog")
        self.setWindowTitle(tr("Shortcuts"))
        self.resize(*(theme.text_width(side) for side in SHORTCUT_SIZE))
        page = QWidget(self)
        grid = QGridLayout(page)
        grid.setColumnStretch(0, 1)
        for title, rows in shortcuts_of(bar):
            head = QLabel(title, page)
            head.setProperty("role", "section")
            grid.addWidget(head, grid.rowCount(), 0)
            for name, keys in rows:
                row = grid.rowCount()
                grid.addWidget(QLabel(name, page), row, 0)
                grid.addWidget(QLabel(keys, page), row, 1, Qt.AlignmentFlag.AlignRight)
        grid.setRowStretch(grid.rowCount(), 1)
        area = QScrollArea(self)
        area.setAccessibleName(tr("Shortcuts"))
        area.setWidgetResizable(True)
        area.setWidget(page)
        beside = area.verticalScrollBar().sizeHint().width() + theme.SPACE
        area.setMinimumWidth(page.minimumSizeHint().width() + beside)  # only what is lower is scrolled to
        box = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        box.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE * 2] * 4)
        layout.addWidget(area, 1)
        layout.addWidget(box)
