"""The dialog "Get a model", with real workers and a hub on the loopback."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QAbstractButton, QFileDialog, QLineEdit, QListWidget, QTableView
from pytestqt.qtbot import QtBot

from app.core.model.folder import locate_model
from app.core.model.hub import HubModel
from app.core.model.known_model import known_models, working_set_of
from app.core.system import place
from app.core.system.setting import Settings, load_settings, save_settings
from app.ui.model.hub_dialog import HubDialog
from app.ui.model.hub_table import HERE, HubTable
from app.ui.widget import theme
from tests.hub_server import TOKEN, HubServer, Repository, hub_server
from tests.ui.child import child
from tests.worker.tiny_model import write_model

NAME = "tiny/llama"
WEIGHTS = os.urandom(500_000)
WAIT_MS = 60_000
FOREGROUND = Qt.ItemDataRole.ForegroundRole


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with hub_server() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        files = {"config.json": b'{"model_type": "llama"}', "model.safetensors": WEIGHTS}
        server.add(Repository(NAME, files, downloads=900, parameters={"BF16": 600_000_000}))
        server.add(Repository("huge/llama", files, downloads=90_000, parameters={"BF16": 10**13}))
        yield server


@pytest.fixture
def dialog(qtbot: QtBot) -> Iterator[HubDialog]:
    found = HubDialog()
    qtbot.addWidget(found)
    found.show()
    yield found
    found.shutdown()


def search(dialog: HubDialog, qtbot: QtBot, words: str) -> None:
    dialog.search.query.setText(words)
    qtbot.keyClick(dialog.search.query, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bool(dialog.search.table.rows), timeout=WAIT_MS)


def cells(dialog: HubDialog, row: int) -> list[str]:
    model = dialog.search.view.model()
    return [str(model.index(row, column).data()) for column in range(model.columnCount())]


def test_search_download_stop_resume_use(dialog: HubDialog, hub: HubServer, qtbot: QtBot) -> None:
    page = dialog.search
    search(dialog, qtbot, "llama")
    assert cells(dialog, 0)[:4] == ["huge/llama", "20\u00a0TB", "bf16", "too large"]
    assert cells(dialog, 1)[:5] == [NAME, "1.2\u00a0GB", "bf16", "fits", "900"]
    page.view.selectRow(1)
    assert page.name.text() == NAME

    hub.bytes_per_second = 300_000
    qtbot.mouseClick(page.download_button, Qt.MouseButton.LeftButton)
    assert cells(dialog, 1)[-1] == "downloading"
    qtbot.waitUntil(lambda: "/s" in page.progress.text.text() and page.progress.bar.value() > 0, timeout=WAIT_MS)
    assert "left" in page.progress.text.text()
    qtbot.mouseClick(page.cancel_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(page.download_button.isVisible, timeout=WAIT_MS)
    assert page.download_button.text() == "Resume"
    assert cells(dialog, 1)[-1].startswith("stopped at")

    hub.bytes_per_second = 0
    qtbot.mouseClick(page.download_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(page.use_button.isVisible, timeout=WAIT_MS)
    assert cells(dialog, 1)[-1] == HERE
    starts = [start for start, _ in hub.fetched("model.safetensors")]
    assert len(starts) == 2
    assert starts[1] > 0
    assert (locate_model(NAME) / "model.safetensors").read_bytes() == WEIGHTS
    assert dialog.convert.source.value() == NAME
    with qtbot.waitSignal(dialog.model_chosen) as chosen:
        qtbot.mouseClick(page.use_button, Qt.MouseButton.LeftButton)
    assert chosen.args == [NAME]
    assert not dialog.isVisible()


def test_it_opens_with_known_models_of_which_one_is_downloaded(
    dialog: HubDialog, hub: HubServer, qtbot: QtBot
) -> None:
    page, name = dialog.search, "HuggingFaceTB/SmolLM2-135M-Instruct"
    hub.add(Repository(name, {"config.json": b'{"model_type": "llama"}', "model.safetensors": WEIGHTS}))
    assert page.known_view.isVisible()
    assert not page.view.isVisible()
    assert f"{known_models().as_of.day} November 2026" in page.about_known.text()
    assert not page.download_button.isEnabled()
    qtbot.keyClick(page.known_view, Qt.Key.Key_Down)
    assert page.name.text().startswith(name)
    assert page.download_button.isEnabled()
    assert hub.requests == []  # nothing was asked so far
    qtbot.mouseClick(page.download_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(page.use_button.isVisible, timeout=WAIT_MS)
    assert (locate_model(name) / "model.safetensors").read_bytes() == WEIGHTS
    with qtbot.waitSignal(dialog.model_chosen) as chosen:
        qtbot.mouseClick(page.use_button, Qt.MouseButton.LeftButton)
    assert chosen.args == [name]
    dialog.show()

    search(dialog, qtbot, "llama")
    assert page.view.isVisible()
    assert not page.known_view.isVisible()
    page.query.clear()
    assert page.known_view.isVisible()
    assert not page.view.isVisible()


def test_known_models_that_do_not_fit_are_grey_with_the_reason(dialog: HubDialog) -> None:
    page = dialog.search
    page.known.show(page.known.rows, working_set_of(8 * 2**30))
    model, last = page.known_view.model(), len(page.known.rows) - 1
    shown = [(str(model.index(row, 3).data()), model.index(row, 0).data(FOREGROUND)) for row in (0, last)]
    assert shown[0] == ("fits", None)
    assert shown[1][0].startswith("needs ")
    assert shown[1][1].name() == QColor(theme.colors().muted).name()
    page.known_view.selectRow(last)
    assert "too large to train here: needs" in page.where.text()


def test_what_the_hub_refuses_is_told_on_the_page(dialog: HubDialog, hub: HubServer, qtbot: QtBot) -> None:
    hub.status["/api/models"] = 403
    dialog.search.query.setText("llama")
    dialog.search.search()
    qtbot.waitUntil(lambda: "refuses" in dialog.search.status.text(), timeout=WAIT_MS)
    assert dialog.search.status.property("role") == "error"


def test_strictly_offline_asks_nothing_and_says_so(dialog: HubDialog, hub: HubServer, qtbot: QtBot) -> None:
    dialog.access.offline.click()
    assert load_settings().offline
    assert not dialog.search.search_button.isEnabled()
    dialog.pages.setCurrentWidget(dialog.search)
    assert dialog.search.offline.isVisible()
    assert "strictly offline" in dialog.search.offline.text()
    assert dialog.search.known_view.isVisible()
    dialog.search.known_view.selectRow(0)
    assert not dialog.search.download_button.isEnabled()
    assert "strictly offline" in dialog.search.download_button.toolTip()
    assert "strictly offline" in dialog.search.where.text()
    dialog.search.query.setText("llama")
    dialog.search.search()
    dialog.access.token.setText("hf_x")
    assert not dialog.access.save_button.isEnabled()
    dialog.access.offline.click()
    assert dialog.search.search_button.isEnabled()
    assert not dialog.search.offline.isVisible()
    assert dialog.search.download_button.isEnabled()
    qtbot.wait(1)  # nothing was queued
    assert hub.requests == []


def test_a_token_is_checked_stored_and_kept_nowhere_else(
    dialog: HubDialog, hub: HubServer, qtbot: QtBot, home: Path
) -> None:
    page = dialog.access
    page.token.setText(TOKEN)
    qtbot.mouseClick(page.save_button, Qt.MouseButton.LeftButton)
    assert page.token.text() == ""
    qtbot.waitUntil(lambda: "token of ada" in page.token_status.text(), timeout=WAIT_MS)
    qtbot.waitUntil(page.forget_button.isEnabled, timeout=WAIT_MS)
    assert any(request.authorized for request in hub.requests)
    kept = [path for path in home.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert kept
    assert all(path.is_relative_to(os.environ["HF_HOME"]) for path in kept)
    qtbot.mouseClick(page.forget_button, Qt.MouseButton.LeftButton)
    assert not page.forget_button.isEnabled(), "once is enough"
    qtbot.waitUntil(lambda: "No token is stored" in page.token_status.text(), timeout=WAIT_MS)
    assert not any(TOKEN.encode() in path.read_bytes() for path in home.rglob("*") if path.is_file())


def test_places_are_kept_in_the_settings(dialog: HubDialog, tmp_path: Path) -> None:
    dialog.access.place.choose("relative")
    assert "whole path" in dialog.access.place_problem.text()
    assert load_settings().models_dir == ""
    dialog.access.place.choose(str(tmp_path))
    assert not dialog.access.place_problem.isVisible()
    dialog.access.add_folder("/models/a")
    dialog.access.add_folder("/models/b")
    assert load_settings().models_dir == str(tmp_path)
    assert load_settings().model_folders == ("/models/a", "/models/b")
    dialog.access.folders.setCurrentRow(0)
    dialog.access.remove_button.click()
    assert load_settings().model_folders == ("/models/b",)


def test_a_further_folder_is_asked_for(dialog: HubDialog, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["/models/a", "", "/models/a"]
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: answers.pop(0))
    for _ in range(3):
        dialog.access.add_button.click()
    assert answers == []
    assert load_settings().model_folders == ("/models/a",)
    assert [dialog.access.folders.item(row).text() for row in range(dialog.access.folders.count())] == ["/models/a"]


def test_a_model_to_convert_is_chosen_among_those_that_are_here(
    dialog: HubDialog, qtbot: QtBot, tmp_path: Path, home: Path
) -> None:
    save_settings(Settings(model_folders=(str(tmp_path),)))
    cached = home / "huggingface" / "hub" / "models--org--big" / "snapshots" / "1"
    for folder, size in ((tmp_path / "own & mine", 1_500_000), (cached, 3_000_000)):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text('{"model_type": "llama"}')
        (folder / "model.safetensors").write_bytes(b"0" * size)
    dialog._finder.stop()
    with qtbot.waitSignal(dialog._finder.found):
        dialog._finder.find()
    page = dialog.convert
    page.source.menu.aboutToShow.emit()
    found = page.source.menu.actions()
    assert [one.text() for one in found] == ["org/big   3\u00a0MB", "own && mine   1.5\u00a0MB"]
    assert [one.toolTip() for one in found] == [str(cached), str(tmp_path / "own & mine")]
    for entry, chosen in zip(found, ("org/big", str(tmp_path / "own & mine")), strict=True):
        page.source.menu.triggered.emit(entry)
        assert page.source.value() == chosen
    assert page.convert_button.isEnabled()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with weights, written as the worker's tests write theirs."""
    return write_model(tmp_path_factory.mktemp("source") / "tiny", hidden_size=128)


def test_convert_names_the_folder_and_offers_the_result(
    dialog: HubDialog, qtbot: QtBot, tmp_path: Path, source: Path
) -> None:
    save_settings(Settings(models_dir=str(tmp_path)))
    page = dialog.convert
    dialog.pages.setCurrentWidget(page)
    assert not page.convert_button.isEnabled()
    page.set_model(str(source))
    child(page, QAbstractButton, "convert.quantization.8bit").click()
    assert page.out.value() == str(tmp_path / "tiny-8bit")
    qtbot.mouseClick(page.convert_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(page.use_button.isVisible, timeout=WAIT_MS)
    assert not page.convert_button.isEnabled()  # nothing is written over
    with qtbot.waitSignal(dialog.model_chosen) as chosen:
        qtbot.mouseClick(page.use_button, Qt.MouseButton.LeftButton)
    assert locate_model(chosen.args[0]).parent == tmp_path


def test_the_tip_of_a_model_says_that_its_licence_must_be_accepted_where_it_must() -> None:
    tips = [HubTable(lambda _: "")._tip(HubModel("a/b", gated=gated)) for gated in (True, False)]
    assert tips[0].startswith("a/b\nGated: accept its licence on the hub")
    assert tips[1] == "a/b"


def test_everything_has_a_name_and_a_tip(dialog: HubDialog) -> None:
    kinds = (QAbstractButton, QLineEdit, QListWidget, QTableView)
    found = [widget for kind in kinds for widget in dialog.findChildren(kind) if not _is_qts(widget)]
    assert len(found) > 15
    for widget in found:
        assert widget.objectName(), widget
        named = widget.accessibleName() or (isinstance(widget, QAbstractButton) and widget.text())
        assert named, widget.objectName()


def _is_qts(widget: object) -> bool:
    """Qt's own parts: the clear button of a line edit, the corner of a table, the arrows of a tab bar."""
    if not isinstance(widget, QAbstractButton) or widget.text() or widget.accessibleName():
        return False
    return not widget.objectName() or widget.objectName().startswith(("qt_", "Scroll"))


def test_conversions_go_to_luthiers_own_folder_unless_one_is_chosen(dialog: HubDialog) -> None:
    dialog.convert.set_model("org/model")
    assert dialog.convert.out.value() == str(place.data_dir() / "models" / "model-4bit")
