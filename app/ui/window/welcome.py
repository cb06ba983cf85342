"""Welcome: three doors on the first launch, a calm page in the form's place until one of them is taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QShortcut
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QTabBar,
    QVBoxLayout,
    QWidget,
)

from app.core.config.spec import field_specs
from app.core.language import tr
from app.core.run.folder import find_runs
from app.core.system.setting import load_settings, save_settings
from app.ui.platform.key_text import with_keys
from app.ui.run.session import RunSession
from app.ui.setup.setup_tab import SetupTab
from app.ui.widget import theme
from app.ui.widget.card import Card
from app.ui.window.guide_bar import GuideBar

WELCOMED = "welcomed"  # in the settings' ``window``, once the page was used or closed
WELCOME_WIDTH = 640  # px
STARTER = tr("The starter is set: its model, its data and the settings that suit them. Press Start.")


def brought_text(paths: Sequence[str]) -> str:
    """What the starter's model or data set besides themselves."""
    labels = ", ".join(field_specs()[path].label for path in paths if path in field_specs())
    return tr("The starter brings settings that suit it: {labels}.", labels=labels)


class WelcomePage(QWidget):
    """The page: three doors, each a card with a button, and a way past them."""

    starter_requested = Signal()
    own_requested = Signal()
    config_requested = Signal()
    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("welcome")
        page = QWidget()
        page.setObjectName("page")
        area = QScrollArea(self)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(page)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(area)
        column = QWidget(page)
        column.setMaximumWidth(WELCOME_WIDTH)
        middle = QHBoxLayout(page)
        middle.setContentsMargins(*[theme.SPACE * 3] * 4)
        middle.addStretch(1)
        middle.addWidget(column, 1000)
        middle.addStretch(1)
        self._column = QVBoxLayout(column)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(theme.SPACE * 2)
        self._column.addStretch(1)
        self._column.addWidget(_label(tr("Welcome to Luthier"), "title"))
        self._column.addWidget(
            _label(tr("Teach a language model something of your own, on this machine."), "muted")
        )
        self.starter_button = self._door(
            "welcome.starter",
            tr("Try the starter"),
            tr(
                "A small model and some 700 chats came with Luthier. Both are set, with the settings "
                "that suit them; you press Start. The run takes about a minute, and needs no network."
            ),
            tr("Set up the starter"),
            self.starter_requested.emit,
        )
        self.own_button = self._door(
            "welcome.own",
            tr("Fine-tune my own model"),
            tr("Step by step on the form: a model, your data, what the model will see of them, and Start."),
            tr("Choose a model"),
            self.own_requested.emit,
        )
        self.config_button = self._door(
            "welcome.config",
            tr("Open a config"),
            tr("Luthier’s or mlx-lm’s, or one of axolotl, LLaMA-Factory or Unsloth."),
            tr("Open…"),
            self.config_requested.emit,
        )
        self.close_button = QPushButton(tr("Skip to the form"), column)
        self.close_button.setObjectName("welcome.close")
        self.close_button.setToolTip(with_keys(tr("Closes this page for good"), "Esc"))
        theme.set_role(self.close_button, kind="link")
        self.close_button.clicked.connect(self.closed)
        foot = QHBoxLayout()
        foot.addWidget(_label(tr("Help › Welcome shows this page again."), "small"), 1)
        foot.addWidget(self.close_button)
        self._column.addLayout(foot)
        self._column.addStretch(2)
        escape = QShortcut(Qt.Key.Key_Escape, self)
        escape.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        escape.activated.connect(self.closed)

    def _door(self, name: str, title: str, line: str, act: str, then: Callable[[], object]) -> QPushButton:
        card = Card(title, line, self)
        button = QPushButton(act, card)
        button.setObjectName(name)
        button.setToolTip(line)
        button.setAccessibleName(f"{title}: {act}")
        button.clicked.connect(then)
        card.body.addWidget(button, 0, Qt.AlignmentFlag.AlignLeft)
        self._column.addWidget(card)
        return button


class Welcome(QObject):
    """Shows a `WelcomePage` over the Setup tab and does what its doors say; it goes for good when it is left."""

    told = Signal(str)
    config_requested = Signal()

    def __init__(self, tab: SetupTab, pages: QStackedWidget, tabs: QTabBar, session: RunSession) -> None:
        super().__init__(tab)
        self._tab, self._pages, self._tabs, self._session = tab, pages, tabs, session
        self.page: WelcomePage | None = None
        self.guide: GuideBar | None = None
        self._is_shown = False
        self.is_setting = False  # what the starter sets is told here, all at once
        self._is_starting = False  # Start gets the keyboard as soon as it is on
        pages.currentChanged.connect(self._on_page)
        tab.store.changed.connect(self._on_changed)
        session.state_changed.connect(self._on_state)
        tab.inspector.inspected.connect(self._await_start)
        tab.data_panel.reported.connect(self._await_start)

    def offer(self) -> None:
        """Shows the page where nothing was done with Luthier yet."""
        if self.is_first_launch:
            self.show()

    @property
    def is_first_launch(self) -> bool:
        """True without a form, a run or anything opened before, unless the page was left already."""
        settings, config = load_settings(), self._tab.store.config
        recent = settings.recent_models or settings.recent_data or settings.recent_configs
        if settings.window.get(WELCOMED) is True or recent or config.model or config.data:
            return False
        return self._session.run is None and next(iter(find_runs()), None) is None

    def show(self) -> None:
        """Shows the page, with the keyboard on the first door."""
        if self.page is None:
            self.page = WelcomePage(self._pages)
            self.page.starter_requested.connect(self._on_starter)
            self.page.own_requested.connect(self._on_own)
            self.page.config_requested.connect(self.config_requested)
            self.page.closed.connect(self.leave)
            self._pages.addWidget(self.page)
        self._tabs.setCurrentIndex(0)
        self._pages.setCurrentWidget(self.page)
        self._is_shown = True
        self.page.starter_button.setFocus()

    def leave(self) -> None:
        """Back to the tab that is in front."""
        if self._is_shown:
            self._pages.setCurrentIndex(self._tabs.currentIndex())

    def _on_page(self) -> None:
        """Whatever shows another page has left this one, for good."""
        if self._is_shown and self._pages.currentWidget() is not self.page:
            self._is_shown = False
            settings = load_settings()
            save_settings(settings.model_copy(update={"window": settings.window | {WELCOMED: True}}))

    def _on_changed(self, path: str) -> None:
        if path in ("", "model", "data"):
            self.leave()

    def _on_state(self) -> None:
        if self._session.is_live:
            self.leave()
            if self.guide is not None:
                self.guide.hide()

    def _on_starter(self) -> None:
        self.leave()
        self._is_starting = self.is_setting = True
        brought: list[str] = []
        self._tab.store.brought.connect(brought.extend)
        self._tab.model_panel.use_starter()
        self._tab.data_panel.use_starter()
        self._tab.store.brought.disconnect(brought.extend)
        self.is_setting = False
        self.told.emit(" ".join([STARTER, *([brought_text(list(dict.fromkeys(brought)))] if brought else [])]))

    def _on_own(self) -> None:
        self.leave()
        if self.guide is None:
            self.guide = GuideBar(self._tab)
        self.guide.begin()

    def _await_start(self) -> None:
        if self._is_starting:
            QTimer.singleShot(0, self, self._focus_start)

    def _focus_start(self) -> None:
        self._tab.check()
        if self._is_starting and self._tab.start_bar.button.isEnabled():
            self._is_starting = False
            self._tab.start_bar.button.setFocus()


def _label(text: str, role: str) -> QLabel:
    label = QLabel(text)
    label.setProperty("role", role)
    label.setWordWrap(True)
    return label
