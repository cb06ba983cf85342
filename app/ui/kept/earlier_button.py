"""The button of earlier comparisons: a menu of those that are kept, to open one again or to take it away."""

from __future__ import annotations

from functools import partial

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QMessageBox, QPushButton, QWidget

from app.core.compare.kept_comparison import ComparisonHead
from app.core.compare.shelf import MOST_KEPT
from app.core.language import tr
from app.ui.kept.keeper import ComparisonKeeper
from app.ui.platform.message_box import message_box
from app.ui.platform.own_texts import created_text
from app.ui.widget import theme

FIRST_SHOWN = 12  # comparisons in the menu itself; the older ones stand in a menu of theirs


class EarlierButton(QPushButton):
    """Opens its menu; ``refuse`` says why none can be opened now, and is empty if one can."""

    def __init__(self, keeper: ComparisonKeeper, parent: QWidget | None = None) -> None:
        super().__init__(tr("Earlier comparisons"), parent)
        self._keeper = keeper
        self._refusal = ""
        self.setObjectName("compare.earlier")
        self.setAccessibleName(self.text())
        self.setToolTip(
            tr("Open a comparison again with all its answers. The {most} newest are kept", most=MOST_KEPT)
        )
        theme.set_role(self, kind="link")
        self.menu_of_earlier = QMenu(self)
        self.menu_of_earlier.setStyleSheet("QMenu { menu-scrollable: 1; }")
        self.menu_of_earlier.aboutToShow.connect(self._fill)
        self.clicked.connect(self._show_menu)

    def refuse(self, why: str) -> None:
        """Says in the menu why nothing can be opened now."""
        self._refusal = why

    def _show_menu(self) -> None:
        self.menu_of_earlier.popup(self.mapToGlobal(self.rect().bottomLeft()))

    def _fill(self) -> None:
        menu, heads = self.menu_of_earlier, self._keeper.earlier()
        menu.clear()
        if self._refusal:
            _say(menu, self._refusal)
        if not heads:
            _say(menu, tr("None yet: a comparison with answers is kept here when you begin another"))
            return
        self._list(menu, heads[:FIRST_SHOWN])
        if older := heads[FIRST_SHOWN:]:
            self._list(menu.addMenu(tr("Older")), older)
        menu.addSeparator()
        removing = menu.addMenu(tr("Delete"))
        removing.menuAction().setObjectName("compare.earlier.delete")
        for head in heads:
            removing.addAction(entry_text(head)).triggered.connect(partial(self._ask_removal, head))

    def _list(self, menu: QMenu, heads: list[ComparisonHead]) -> None:
        for head in heads:
            found = menu.addAction(entry_text(head))
            found.setObjectName(f"compare.earlier.{head.key}")
            found.setEnabled(not self._refusal and not head.fault)
            found.setMenuRole(QAction.MenuRole.NoRole)
            found.triggered.connect(partial(self._open, head.key))

    def _open(self, key: str, _checked: bool = False) -> None:
        self._keeper.open(key)

    def _ask_removal(self, head: ComparisonHead, _checked: bool = False) -> None:
        box = message_box(self)
        box.setObjectName("compare.earlier.box")
        box.setText(tr("Delete this comparison?"))
        box.setInformativeText(tr("{entry}\n\nIts answers are gone for good.", entry=entry_text(head)))
        gone = box.addButton(tr("Delete"), QMessageBox.ButtonRole.DestructiveRole)
        stay = box.addButton(tr("Cancel"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(stay)
        box.setEscapeButton(stay)
        box.exec()
        if box.clickedButton() is gone:
            self._keeper.remove(head.key)
        box.deleteLater()


def entry_text(head: ComparisonHead) -> str:
    """``support-faq r32 against base · 12 prompts · Today 14:02``; an ampersand is none of the menu's own."""
    said = tr("{key} cannot be read", key=head.key) if head.fault else head.title
    return f"{said} · {created_text(head.answered)}".replace("&", "&&")


def _say(menu: QMenu, text: str) -> None:
    menu.addAction(text).setEnabled(False)
