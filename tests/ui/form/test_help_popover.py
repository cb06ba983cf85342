"""The card that explains a field: all that is known of it, within the screen, beside what it explains."""

from __future__ import annotations

from dataclasses import replace
from html import escape

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from app.core.config.spec import field_specs
from app.core.config.train_config import FieldSpec
from app.ui.form.field import Field
from app.ui.form.help_popover import HelpButton, HelpPopover
from app.ui.form.store import ConfigStore
from tests.ui.child import child

SPEC = replace(
    field_specs()["batch_size"], what="Rows <at once>", higher="faster & larger", lower="", recommended="4"
)


def lines(popover: HelpPopover) -> list[tuple[str, str | None]]:
    return [(label.text(), label.property("role")) for label in popover.findChildren(QLabel)]


@pytest.mark.parametrize(
    "spec, last",
    [
        (SPEC, "1 to 64 examples · batch_size"),
        (replace(SPEC, unit=""), "1 to 64 · batch_size"),
        (replace(SPEC, minimum=None, maximum=None), "batch_size"),
    ],
)
def test_it_says_what_is_known_of_the_field(qtbot: QtBot, spec: FieldSpec, last: str) -> None:
    page = QWidget()
    qtbot.addWidget(page)
    popover = HelpPopover(spec, page)
    told = ("Rows &lt;at once&gt;.", "<b>Higher:</b> faster &amp; larger", "<b>Recommended:</b> 4")
    assert lines(popover) == [
        (spec.label, "section"),
        ("".join(f"<p style='margin: 0 0 6px 0'>{line}</p>" for line in told), None),
        (last, "small"),
    ]
    assert popover.minimumWidth() == popover.maximumWidth()
    assert all(label.wordWrap() for label in popover.findChildren(QLabel))
    assert popover.windowType() is Qt.WindowType.Popup


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> list[QPoint]:
    """Where popovers are put; a window without a desktop may come to stand beside that."""
    found: list[QPoint] = []
    monkeypatch.setattr(HelpPopover, "move", lambda _popover, x, y: found.append(QPoint(x, y)))
    return found


def test_it_stands_under_what_it_explains_and_within_the_screen(qtbot: QtBot, moved: list[QPoint]) -> None:
    anchor = QWidget()
    qtbot.addWidget(anchor)
    anchor.resize(40, 20)
    anchor.show()
    area = anchor.screen().availableGeometry()
    popover = HelpPopover(SPEC, anchor)
    popover.adjustSize()
    width, height = popover.width(), popover.height()
    middle = area.center()
    edge = area.bottom() - height - 24  # it may not touch the border of the screen
    for at, left, below in (
        (middle, middle.x(), True),
        (QPoint(area.right() - 30, middle.y()), area.right() - width, True),
        (QPoint(-200, middle.y()), area.left(), True),
        (QPoint(100, edge - 1), 100, True),
        (QPoint(100, edge), 100, False),
    ):
        anchor.move(at - anchor.mapToGlobal(QPoint()) + anchor.pos())
        popover.show_below(anchor)
        assert moved[-1] == QPoint(left, at.y() + 24 if below else at.y() - height - 4)
        assert popover.isVisible()
        popover.hide()


def test_the_button_opens_it_and_a_field_without_one_does_too(qtbot: QtBot, moved: list[QPoint]) -> None:
    field = Field("batch_size", ConfigStore())
    unlabelled = Field("batch_size", ConfigStore(), labelled=False)
    for one in (field, unlabelled):
        qtbot.addWidget(one)
        one.move(50, 50)
        one.resize(200, 60)
        with qtbot.waitExposed(one):
            one.show()
    button = child(field, HelpButton, "batch_size.help")
    assert button.toolTip() == f"<p>{escape(field.spec.help)}</p>"
    assert button.accessibleName() == "What is “Batch size”?"
    assert button.focusPolicy() is Qt.FocusPolicy.NoFocus
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert child(button, HelpPopover).isVisible()
    child(button, HelpPopover).close()
    field.show_help()
    unlabelled.show_help()
    for one in (field, unlabelled):
        popover = one.findChild(HelpPopover, options=Qt.FindChildOption.FindDirectChildrenOnly)
        assert popover is not None
        popover.close()
    assert moved == [
        *[button.mapToGlobal(QPoint(0, button.height() + 4))] * 2,
        unlabelled.mapToGlobal(QPoint(0, unlabelled.height() + 4)),
    ]
