"""About says which version this is and leads to the licences of all that is inside."""

from __future__ import annotations

from PySide6.QtWidgets import QListWidget, QPlainTextEdit, QWidget
from pytestqt.qtbot import QtBot

from app import __version__
from app.core.system.licence import licences
from app.ui.about.box import About
from app.ui.about.licence_dialog import LicenceDialog


def test_about_leads_to_the_licences_in_its_place(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    about = About(window)
    about.show()
    assert __version__ in about.box.text()
    with qtbot.waitSignal(about.box.finished):
        about.licences.click()
    dialog = window.findChild(LicenceDialog)
    assert isinstance(dialog, LicenceDialog)
    assert dialog.isVisible()
    dialog.close()


def test_each_part_shows_its_own_text(qtbot: QtBot) -> None:
    dialog = LicenceDialog()
    qtbot.addWidget(dialog)
    parts = dialog.findChild(QListWidget, "licences.parts")
    text = dialog.findChild(QPlainTextEdit, "licences.text")
    assert isinstance(parts, QListWidget)
    assert isinstance(text, QPlainTextEdit)
    assert [parts.item(row).text() for row in range(parts.count())] == [one.title for one in licences()]
    assert dialog.terms.text() == f"luthier {__version__}: MIT"
    for row, one in enumerate(licences()):
        parts.setCurrentRow(row)
        assert dialog.licence == one
        assert text.toPlainText().startswith(one.text[:200].splitlines()[0] if one.text else "")
