"""The card "Data" with real workers: what it says of files, where drops go, and that the window never waits."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QObject, QPoint, QPointF, Qt, QTimer, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QPushButton
from pytestqt.qtbot import QtBot

from app.core.problem import Severity
from app.core.source.collection import collect, members
from app.core.system.setting import keep_settings, load_settings
from app.ui.data.panel import DataPanel
from app.ui.form.store import ConfigStore
from app.ui.run.session import RunSession
from app.ui.setup.forms import Forms
from app.ui.widget import theme
from app.ui.widget.elided_label import ElidedLabel
from app.ui.window.actions import UserActions
from tests.ui.child import child
from tests.ui.data_files import chat, write_broken, write_chats, write_rows, write_table, write_tokenizer

ANSWER_MS = 60_000


@pytest.fixture
def panel(qtbot: QtBot) -> Iterator[DataPanel]:
    theme.apply_theme("light")
    found = DataPanel(ConfigStore())
    qtbot.addWidget(found)
    found.resize(430, 560)
    found.show()
    yield found
    found.shutdown()


def store(panel: DataPanel) -> ConfigStore:
    return panel._store


def known(qtbot: QtBot, panel: DataPanel) -> None:
    qtbot.waitUntil(lambda: panel.report is not None and not panel.inspector.phase, timeout=ANSWER_MS)


def origins(panel: DataPanel) -> list[str]:
    return [labels[2].text() for labels in panel.summary._split_labels.values()]


def test_whose_words_of_a_chat_are_the_answers_is_chosen_among_the_columns(
    qtbot: QtBot, panel: DataPanel, tmp_path: Path
) -> None:
    path = tmp_path / "WhatsApp chat.txt"
    path.write_text(
        "31.12.23, 22:15 - Bo: Is the boat free?\n31.12.23, 22:16 - Ada: Yes, it is.\n", encoding="utf-8"
    )
    panel.take([path])
    known(qtbot, panel)
    assert panel.report is not None
    assert not panel.report.usable
    assert panel.summary.banner.isVisible()
    assert panel.summary.banner_label.text() == panel.report.errors[0].reason  # which names those who speak
    assert panel.summary.columns_button.text() == "Choose…"
    qtbot.mouseClick(panel.summary.columns_button, Qt.MouseButton.LeftButton)
    assert panel.dialog is not None
    page = panel.dialog.columns
    box = page.boxes["answers_by"]
    assert box.isVisible()
    assert [box.itemText(at) for at in range(box.count())] == ["Automatic", "Bo (1 message)", "Ada (1 message)"]
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_Down)
    qtbot.keyClick(box, Qt.Key.Key_Down)
    assert store(panel).config.answers_by == "Ada"
    qtbot.waitUntil(lambda: panel.report is not None and panel.report.usable, timeout=ANSWER_MS)
    assert panel.summary.headline.text() == "1 example · chat"
    assert panel.summary.contents_label.text().startswith("WhatsApp: 1 conversation of 2 messages, answers by Ada.")
    assert not page.fields["sheet"].isVisible()
    panel.dialog.edit.show_row(str(path), 1)
    qtbot.waitUntil(lambda: bool(panel.dialog and panel.dialog.edit.rows.rows), timeout=ANSWER_MS)
    assert "Yes, it is." in panel.dialog.edit.text_edit.toPlainText()
    assert panel.dialog.edit.state_label.text().startswith("The rows are put together")


@pytest.mark.parametrize("path", ["data", "valid_data", "test_data"])
def test_a_typed_path_reaches_the_config(qtbot: QtBot, panel: DataPanel, path: str) -> None:
    edit = child(panel, QLineEdit, path)
    assert edit is not None
    edit.setFocus()
    qtbot.keyClicks(edit, "/no/such/file.jsonl")
    assert store(panel).value(path) == "/no/such/file.jsonl"
    assert edit.accessibleName()


def test_data_are_picked_from_the_recent_ones_and_the_starter(panel: DataPanel, tmp_path: Path) -> None:
    first, second = (str(tmp_path / name) for name in ("first.jsonl", "second.jsonl"))
    panel.set_starter(lambda: tmp_path / "starter", "Starter rows", "Chats")
    menu = panel.editors["data"].menu

    def offered() -> dict[str, str]:
        menu.popup(QPoint(0, 0))
        texts = {action.text(): action.toolTip() for action in menu.actions()}
        menu.close()
        return texts

    def pick(text: str) -> None:
        menu.popup(QPoint(0, 0))
        menu.setActiveAction(next(action for action in menu.actions() if action.text() == text))
        QTest.keyClick(menu, Qt.Key.Key_Return)

    assert list(offered()) == ["Recent", "Starter data"]
    keep_settings(recent_data=(second, first))
    entries = offered()
    names = [text for text in entries if text not in ("Recent", "Starter data")]
    assert list(entries) == ["Recent", *names, "Starter data"]
    assert [entries[name] for name in names] == [second, first]
    assert [name.endswith(f"{end}.jsonl") for name, end in zip(names, ("second", "first"), strict=True)] == [
        True
    ] * 2
    pick(names[1])
    assert store(panel).config.data == first
    assert child(panel, QLineEdit, "data").text() == first
    pick("Starter data")
    assert store(panel).config.data == str(tmp_path / "starter")


def test_a_file_is_told_in_one_line_with_its_parts(qtbot: QtBot, panel: DataPanel, tmp_path: Path) -> None:
    data = write_chats(tmp_path / "chats.jsonl")
    panel.set_model(str(write_tokenizer(tmp_path / "model")))
    store(panel).set_many({"data": str(data), "mask_prompt": True})
    known(qtbot, panel)
    figures = panel.inspector.figures
    tokens = sum(part.kept_tokens for part in figures.values())
    assert tokens > 1000
    assert panel.summary.headline.text().startswith(f"40 examples · chat · {tokens:,} tokens · ")
    assert "trained" in panel.summary.headline.text()
    assert {name: part.examples for name, part in figures.items()} == {"train": 32, "valid": 4, "test": 4}
    assert origins(panel) == ["chats.jsonl", "set aside, seed 0", "set aside, seed 0"]
    assert panel.summary.clean_label.isVisible()
    assert load_settings().recent_data[0] == str(data)
    assert not panel._empty.isVisible()


def test_given_parts_are_told_by_their_files(qtbot: QtBot, panel: DataPanel, tmp_path: Path) -> None:
    train = write_chats(tmp_path / "a.jsonl", 20)
    valid = write_rows(tmp_path / "b.jsonl", [chat(number) for number in range(50, 55)])
    store(panel).set_many({"data": str(train), "valid_data": str(valid)})
    known(qtbot, panel)
    assert origins(panel) == ["a.jsonl", "b.jsonl", "none"]
    assert panel.summary.headline.text() == "25 examples · chat"


def test_faults_are_counted_and_the_pill_opens_the_list(qtbot: QtBot, panel: DataPanel, tmp_path: Path) -> None:
    store(panel).set("data", str(write_broken(tmp_path / "broken.jsonl")))
    known(qtbot, panel)
    assert panel.report is not None
    assert not panel.report.usable
    pill = panel.summary.pills[Severity.ERROR]
    assert (pill.text(), panel.summary.pills[Severity.WARNING].text()) == ("2 errors", "1 warning")
    qtbot.mouseClick(pill, Qt.MouseButton.LeftButton)
    assert panel.dialog is not None
    problems = panel.dialog.problems
    assert panel.dialog.pages.currentWidget() is problems
    places = [problems.proxy.index(row, 1).data() for row in range(problems.proxy.rowCount())]
    assert places == ["broken.jsonl:2", "broken.jsonl:6"]
    # With the user's word the rows are left out: the errors stay, and it is told what becomes of them.
    assert panel.summary.left_out_label.isHidden()
    store(panel).set("skip_bad_rows", True)
    qtbot.waitUntil(panel.summary.left_out_label.isVisible, timeout=ANSWER_MS)
    assert pill.text() == "2 errors"
    # That word was for these rows: others are looked at anew, and listed whatever was listed before.
    twice = write_rows(tmp_path / "twice.jsonl", [chat(number % 19) for number in range(20)])
    store(panel).set("data", str(twice))
    known(qtbot, panel)
    assert not store(panel).config.skip_bad_rows
    assert panel.summary.left_out_label.isHidden()
    assert [one.isVisible() for one in panel.summary.pills.values()] == [False, True]
    assert problems.listed_label.text() == "1 listed"


def test_unknown_columns_are_told_and_lead_to_the_choice(qtbot: QtBot, panel: DataPanel, tmp_path: Path) -> None:
    store(panel).set("data", str(write_table(tmp_path / "faq.csv")))
    known(qtbot, panel)
    assert panel.report is not None
    assert panel.summary.banner_label.text() == panel.report.errors[0].hint
    assert "Choose which column is the prompt" in panel.summary.banner_label.text()
    assert panel.summary.columns_button.text() == "Choose columns…"
    button = child(panel, QPushButton, "data.columns")
    assert button is not None
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert panel.dialog is not None
    columns = panel.dialog.columns
    assert panel.dialog.pages.currentWidget() is columns
    assert "“frage” as the prompt, “antwort” as the answer" in columns.suggestion_label.text()
    qtbot.mouseClick(columns.use_button, Qt.MouseButton.LeftButton)
    config = store(panel).config
    assert (config.data_format, config.prompt_feature, config.completion_feature) == (
        "completion",
        "frage",
        "antwort",
    )
    known(qtbot, panel)
    assert panel.report is not None
    assert panel.report.usable
    assert not panel.summary.banner.isVisible()
    assert columns.caption.text().startswith("Read as prompt and answer.")


def test_a_path_that_leads_nowhere_is_a_problem(qtbot: QtBot, panel: DataPanel, tmp_path: Path) -> None:
    store(panel).set("data", str(tmp_path / "nothing.jsonl"))
    known(qtbot, panel)
    assert panel.report is not None
    assert not panel.report.usable
    assert panel.summary.pills[Severity.ERROR].text() == "1 error"


# -- drops ----------------------------------------------------------------------------------------------------


def drop(panel: DataPanel, paths: list[Path]) -> bool:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    where, copy = QPointF(20, 20), Qt.DropAction.CopyAction
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(where, copy, mime, buttons, keys)
    enter.ignore()
    QApplication.sendEvent(panel, enter)
    if enter.isAccepted():
        QApplication.sendEvent(panel, QDropEvent(where, copy, mime, buttons, keys))
    return enter.isAccepted()


def test_dropped_files_go_where_their_names_say_and_several_together(panel: DataPanel, tmp_path: Path) -> None:
    one = write_chats(tmp_path / "one.jsonl", 6)
    two = write_rows(tmp_path / "two.jsonl", [chat(number) for number in range(20, 26)])
    valid = write_rows(tmp_path / "my_valid.jsonl", [chat(99)])
    assert drop(panel, [one, two, valid])
    config = store(panel).config
    assert members(Path(config.data)) == [one, two]
    assert config.valid_data == str(valid)
    assert drop(panel, [one])
    assert store(panel).config.data == str(one)


def test_several_files_dropped_on_the_window_are_put_together(qtbot: QtBot, tmp_path: Path) -> None:  # noqa: ARG001
    files = [write_rows(tmp_path / f"{name}.jsonl", [chat(1)]) for name in ("one", "two")]
    store = ConfigStore()
    actions = UserActions(Forms(store), RunSession())
    actions.take_files([str(file) for file in files])
    assert members(Path(store.config.data)) == files


def test_files_put_together_are_read_as_one(qtbot: QtBot, panel: DataPanel, tmp_path: Path) -> None:
    files = [
        write_rows(tmp_path / f"{name}.jsonl", [chat(number)]) for number, name in enumerate(("a", "valid", "c"))
    ]
    store(panel).set("data", "")
    store(panel).set("data", str(collect(files)))
    known(qtbot, panel)
    assert panel.report is not None
    assert list(panel.report.splits) == ["train"]
    assert panel.report.examples == 3
    assert origins(panel)[0] == "3 files"


def test_what_is_no_data_is_left_to_the_window(panel: DataPanel, tmp_path: Path) -> None:
    picture = tmp_path / "photo.png"
    picture.write_bytes(b"\x89PNG")
    assert not drop(panel, [picture])
    assert not drop(panel, [write_tokenizer(tmp_path / "model")])


# -- large files ----------------------------------------------------------------------------------------------


class Turns(QObject):
    """Counts the turns of the window's event loop. `tests/bench/bench_window.py` measures how long they take."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self._timer = QTimer(self)
        self._timer.setInterval(2)
        self._timer.timeout.connect(self._on_turn)
        self._timer.start()

    def _on_turn(self) -> None:
        self.count += 1


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 MB of chats with a fault every thousand rows."""
    path = tmp_path_factory.mktemp("large") / "large.jsonl"
    lines = [json.dumps(chat(number) | {"id": number}) for number in range(1000)]
    lines[500] = lines[500][:-4]
    block = ("\n".join(lines) + "\n").encode()
    with path.open("wb") as file:
        while file.tell() < 50e6:
            file.write(block)
    return path


def test_a_large_file_is_checked_beside_the_window(qtbot: QtBot, panel: DataPanel, large: Path) -> None:
    turns, shares = Turns(), set()
    panel.inspector.progressed.connect(lambda: shares.add(round(panel.inspector.share, 3)))
    store(panel).set("data", str(large))
    known(qtbot, panel)
    assert panel.report is not None
    assert panel.report.rows > 150_000
    assert panel.report.error_count > 150
    assert len(shares) > 15
    assert turns.count > 100


def test_parts_that_the_folder_has_are_not_called_optional(qtbot: QtBot, panel: DataPanel, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("train", "valid"):
        write_chats(tmp_path / "folder" / f"{name}.jsonl")
    store(panel).set("data", str(tmp_path / "folder"))
    known(qtbot, panel)
    lines = {path: panel.editors[path].line.placeholderText() for path in ("valid_data", "test_data")}
    assert lines == {"valid_data": "From the folder: valid.jsonl", "test_data": "Optional"}
    assert panel.report is not None
    assert "test" not in panel.report.splits
    rows = panel.report.splits["train"].examples
    assert panel.summary.split_bar.toolTip().startswith(f"Training {rows}, Validation {rows}")
    store(panel).set("data", str(tmp_path / "folder" / "train.jsonl"))
    known(qtbot, panel)
    aside = "Optional: a share is set aside"
    qtbot.waitUntil(lambda: all(panel.editors[path].line.placeholderText() == aside for path in lines))


def test_a_check_is_cancelled_and_asked_for_again(qtbot: QtBot, panel: DataPanel, large: Path) -> None:
    store(panel).set("data", str(large))
    qtbot.waitUntil(lambda: panel.inspector.share > 0.02, timeout=ANSWER_MS)
    label = child(panel, ElidedLabel, "data.phase")
    assert label is not None
    assert label.text().endswith("%")
    qtbot.mouseClick(panel.summary.cancel_button, Qt.MouseButton.LeftButton)
    assert not panel.is_busy
    assert panel.report is None
    assert panel.summary.headline.text() == "The data were not checked."
    assert not panel.summary.progress.isVisible()
    panel.take([large])
    assert panel.is_busy
    panel.inspector.cancel()
    qtbot.mouseClick(panel.summary.again_button, Qt.MouseButton.LeftButton)
    assert panel.is_busy
    assert not panel.summary.again_button.isVisible()
