"""The card "Method": all methods side by side, and what the chosen one needs, costs and is good for."""

from __future__ import annotations

from PySide6.QtCore import Qt, QUrl, Signal, SignalInstance
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QPushButton, QWidget

from app.core.language import tr
from app.core.method.method import Method
from app.core.method.table import METHODS
from app.core.setup.chosen_method import method_of
from app.ui.form.grid import FieldGrid
from app.ui.form.store import ConfigStore
from app.ui.method.advice_dialog import AdviceDialog
from app.ui.method.card import MethodCard
from app.ui.method.choice import NEEDS, choose_method
from app.ui.platform.link_label import LinkLabel
from app.ui.widget import theme
from app.ui.widget.card import Card
from app.ui.widget.flow import Flow

CARD_WIDTH = 180  # px in Inter
PAPERS = "https://arxiv.org/abs/"
TRIAL_TIP = tr(
    "Starter model, data and settings of a run of about a minute.\nThey replace the values of this "
    "form, which can be undone."
)


class MethodSection(Card):
    """Edits what a `ConfigStore` says about the method; ``starter_requested`` asks for bundled data of its kind,
    ``trial_requested`` for a whole setup that shows what the method does.

    ``chosen`` fires when another method holds, whoever set it.
    """

    chosen = Signal()
    starter_requested = Signal()
    trial_requested = Signal()
    _advice_wanted = Signal()

    def __init__(self, store: ConfigStore, parent: QWidget | None = None) -> None:
        super().__init__(tr("Method"), tr("What training optimizes. Every choice trains on the same loop."), parent)
        self.setObjectName("method_section")
        self._store = store
        self.method = method_of(store.config)
        self.cards: dict[str, MethodCard] = {}
        self.advice_button = self._link("method.advice", self._advice_wanted, self)
        self.advice_button.setText(tr("Which method?"))
        self.advice_button.setToolTip(tr("Three questions that lead to one of them"))
        self._advice_wanted.connect(self._ask_advice)
        self.tools.addWidget(self.advice_button)
        for need, words in NEEDS.items():
            self.body.addWidget(self._heading(words.heading))
            self.body.addWidget(self._group([m for m in METHODS.values() if m.data == need]))
        self.body.addWidget(self._detail())
        store.changed.connect(self._on_changed)
        theme.theme().changed.connect(self._show)
        self._show()

    # -- parts ------------------------------------------------------------------------------------------------

    def _heading(self, text: str) -> QLabel:
        label = QLabel(text, self)
        label.setProperty("role", "label")
        label.setWordWrap(True)
        return label

    def _group(self, methods: list[Method]) -> FieldGrid:
        grid = FieldGrid(self, max_columns=4 if len(methods) > 1 else 2, column_width=CARD_WIDTH)
        for method in methods:
            card = MethodCard(method, grid)
            card.chosen.connect(self._on_chosen)
            self.cards[method.name] = card
            grid.add(card)
        return grid

    def _detail(self) -> QFrame:
        well = QFrame(self)
        well.setProperty("role", "well")
        grid = QGridLayout(well)
        grid.setContentsMargins(*[theme.SPACE * 3 // 2] * 4)
        grid.setHorizontalSpacing(theme.SPACE * 2)
        grid.setVerticalSpacing(theme.SPACE // 2)
        grid.setColumnStretch(1, 1)
        self._lines: dict[str, QLabel] = {}
        self._titles: dict[str, QLabel] = {}
        rows = (
            ("when", tr("Use it when")),
            ("data", tr("Data")),
            ("starter", ""),
            ("cost", tr("Cost")),
            ("paper", tr("Paper")),
        )
        for row, (name, title) in enumerate(rows):
            if title:
                self._titles[name] = QLabel(title, well)
                self._titles[name].setProperty("role", "muted")
                grid.addWidget(self._titles[name], row, 0, Qt.AlignmentFlag.AlignTop)
                self._lines[name] = self._line(name, well)
                grid.addWidget(self._lines[name], row, 1)
        self._lines["paper"].linkActivated.connect(self._open_paper)
        self.starter_button = self._link("method.starter", self.starter_requested, well)
        self.trial_button = self._link("method.trial", self.trial_requested, well)
        self.trial_button.setText(tr("Set up a trial run"))
        self.trial_button.setToolTip(TRIAL_TIP)
        links = Flow(gap=theme.SPACE * 2)
        links.addWidget(self.starter_button)
        links.addWidget(self.trial_button)
        grid.addLayout(links, 2, 1)
        return well

    def _link(self, name: str, asks: SignalInstance, parent: QWidget) -> QPushButton:
        button = QPushButton(parent)
        button.setObjectName(name)
        theme.set_role(button, kind="link")
        button.clicked.connect(asks)
        return button

    def _line(self, name: str, parent: QWidget) -> QLabel:
        label = LinkLabel(parent) if name == "paper" else QLabel(parent)
        label.setObjectName(f"method.{name}")
        label.setWordWrap(True)
        return label

    # -- what it shows ----------------------------------------------------------------------------------------

    def focus(self) -> None:
        """Gives the keyboard to the chosen card."""
        self.show_card("")

    def show_card(self, name: str) -> None:
        """Gives the keyboard to a method's card without choosing it; to the chosen one for ""."""
        self.cards[name or self.method.name].button.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _show(self) -> None:
        method, need = self.method, NEEDS[self.method.data]
        for name, card in self.cards.items():
            card.set_chosen(name == method.name)
        for name, text in (("when", method.when), ("data", method.rows or need.rows), ("cost", method.cost)):
            self._lines[name].setText(text if text.endswith(".") else f"{text}.")
        address = f"{PAPERS}{method.paper}"
        color = theme.colors().accent
        self._lines["paper"].setText(
            tr(
                "<a href='{address}' style='color:{color}'>arXiv {paper}</a>",
                address=address,
                color=color,
                paper=method.paper,
            )
        )
        self._lines["paper"].setToolTip(tr("{address}, opens in the browser", address=address))
        for part in (self._lines["paper"], self._titles["paper"]):
            part.setVisible(bool(method.paper))
        self.starter_button.setText(need.starter_text)
        self.starter_button.setToolTip(need.starter_tip)

    # -- what happens -----------------------------------------------------------------------------------------

    def _on_chosen(self, name: str) -> None:
        if name != self.method.name:
            choose_method(self._store, name)
        self._show()

    def _ask_advice(self) -> None:
        dialog = AdviceDialog(self.method, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.chosen.connect(self._on_chosen)
        dialog.open()

    def _on_changed(self, _path: str) -> None:
        found = method_of(self._store.config)
        if found is not self.method:
            self.method = found
            self._show()
            self.chosen.emit()

    def _open_paper(self, address: str) -> None:
        QDesktopServices.openUrl(QUrl(address))
