"""The chat: what is said goes to the worker with all that was said before, and answers are shown as they come."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from app.core.protocol import event
from app.core.protocol.command import Ask, LoadAdapters, Stop
from app.core.protocol.job import GenerateJob, read_job
from app.core.run.note import RunNote, save_note
from app.ui.chat.dialog import CHAT_DIALOG_SIZE, ChatDialog
from app.ui.compare.answerer import Answerer
from app.ui.compare.tab import CompareTab
from app.ui.form.number_box import NumberBox
from tests.ui.child import child
from tests.ui.comparing import adapter_folder, answer, asked, base_folder, note, run_with_checkpoints
from tests.ui.fake_worker import FakeWorker
from tests.worker.answering_model import make_adapter, make_model

PATIENCE_MS = 60_000


@pytest.fixture
def base(tmp_path: Path) -> Path:
    found = base_folder(tmp_path / "base")
    (found / "config.json").write_text(json.dumps({"model_type": "llama", "max_position_embeddings": 64}))
    return found


@pytest.fixture
def adapter(tmp_path: Path, base: Path) -> Path:
    return adapter_folder(tmp_path / "mine", base)


@pytest.fixture
def answerer(qtbot: QtBot) -> Iterator[Answerer]:
    del qtbot
    made = Answerer()
    yield made
    made.shutdown()


@pytest.fixture
def dialog(qtbot: QtBot, answerer: Answerer, adapter: Path, workers: list[FakeWorker]) -> ChatDialog:
    del workers
    made = ChatDialog(answerer)
    qtbot.addWidget(made)
    made.show()
    made.choose(adapter)
    return made


def say(qtbot: QtBot, dialog: ChatDialog, text: str) -> None:
    qtbot.keyClicks(dialog.prompt, text)
    qtbot.keyClick(dialog.prompt, Qt.Key.Key_Return)


def told(dialog: ChatDialog) -> str:
    return child(dialog, QLabel, "chat.note").text()


def warning(dialog: ChatDialog) -> str:
    label = child(dialog, QLabel, "chat.warning")
    return label.text() if label.isVisible() else ""


def test_a_message_is_answered_and_the_next_goes_on_from_it(
    qtbot: QtBot, dialog: ChatDialog, workers: list[FakeWorker], adapter: Path, base: Path
) -> None:
    dialog.system.setText("Be brief.")
    say(qtbot, dialog, "Hello")
    (worker,) = workers
    assert read_job(worker.job_dir) == GenerateJob(model=str(base), adapters=(str(adapter),), strengths=(1.0,))
    assert dialog.prompt.toPlainText() == ""
    worker.say(event.Progressed(phase="Loading the model"))
    assert told(dialog) == "Loading the model…"
    answer(worker, "Good day.", prompt_tokens=20)
    assert "Good day." in dialog.view.toPlainText()
    assert "23 of the 64 tokens of its context" in told(dialog)
    say(qtbot, dialog, "And now?")
    system, first, said, last = asked(worker)["messages"] or asked(worker)["conversations"][0]
    assert (system["content"], first["content"], said["content"], last["content"]) == (
        "Be brief.", "Hello", "Good day.", "And now?",
    )  # fmt: skip
    answer(worker, "Now too.")
    shown = dialog.view.toPlainText()
    assert shown.index("Hello") < shown.index("Good day.") < shown.index("And now?") < shown.index("Now too.")


def test_every_number_reaches_the_worker(qtbot: QtBot, dialog: ChatDialog, workers: list[FakeWorker]) -> None:
    values = {"max_tokens": 99, "temp": 0.5, "top_p": 0.25, "top_k": 7, "min_p": 0.125, "repetition_penalty": 1.5}
    for name, value in values.items():
        box = child(dialog, NumberBox, f"chat.{name}")
        box.lineEdit().selectAll()
        qtbot.keyClicks(box.lineEdit(), f"{value}")
    say(qtbot, dialog, "Hello")
    sent = asked(workers[0])
    assert {name: sent[name] for name in values} == values
    assert sent["seed"] is None


def test_shift_and_return_begin_a_line(qtbot: QtBot, dialog: ChatDialog, workers: list[FakeWorker]) -> None:
    qtbot.keyClicks(dialog.prompt, "one")
    qtbot.keyClick(dialog.prompt, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClicks(dialog.prompt, "two")
    dialog.send_button.click()
    assert asked(workers[0])["messages"][-1]["content"] == "one\ntwo"


def test_an_answer_can_be_stopped_and_asked_for_again(
    qtbot: QtBot, dialog: ChatDialog, workers: list[FakeWorker]
) -> None:
    say(qtbot, dialog, "Hello")
    worker = workers[0]
    worker.say(event.Ready(), event.Answered(request=1, column=0, text="Good"))
    assert dialog.stop_button.isVisible()
    dialog.stop_button.click()
    assert worker.commands[-1] == Stop()
    worker.say(event.Answered(request=1, column=0, done=True, finish_reason="stopped", generation_tokens=1))
    assert told(dialog).startswith("1 token · stopped")
    dialog.again_button.click()
    assert asked(worker)["request"] == 2
    assert [message["content"] for message in asked(worker)["messages"]] == ["Hello"]
    answer(worker, "Good day.")
    assert dialog.view.toPlainText().count("Good") == 1
    dialog.fields._boxes[next(spec for spec in dialog.fields._boxes if spec.path == "chat.temp")].set_value(0)
    dialog._show_state()
    assert "always the same" in dialog.again_button.toolTip()


def test_what_is_stopped_before_a_word_came_is_as_if_it_was_not_sent(
    qtbot: QtBot, dialog: ChatDialog, workers: list[FakeWorker]
) -> None:
    say(qtbot, dialog, "Hello")
    dialog.stop_button.click()
    assert dialog.prompt.toPlainText() == "Hello"
    assert dialog.conversation is None
    assert (dialog.view.toPlainText(), told(dialog)) == ("", "")
    dialog.send_button.click()
    answer(workers[1], "Good day.")
    say(qtbot, dialog, "And now?")
    qtbot.keyClicks(dialog.prompt, "Or then?")
    workers[1].end(event.Failed(message="It died."), 1)
    assert dialog.prompt.toPlainText() == "Or then?", "what was written meanwhile stays"
    assert dialog.conversation is not None
    assert [turn.prompt for turn in dialog.conversation.turns] == ["Hello"]
    assert ("Good day." in dialog.view.toPlainText(), told(dialog)) == (True, "It died.")


def test_a_conversation_beyond_the_context_is_told_in_words(
    qtbot: QtBot, dialog: ChatDialog, workers: list[FakeWorker]
) -> None:
    say(qtbot, dialog, "Hello")
    workers[0].say(
        event.Ready(), event.Warned(message="The prompt has 70 tokens; this model was made for up to 64.")
    )
    assert "up to 64" in warning(dialog)
    answer(workers[0], "Hm.", prompt_tokens=70)
    assert warning(dialog).startswith("The conversation has 73 tokens; this model was made for up to 64.")
    assert "begin a new conversation" in warning(dialog)
    dialog.new_button.click()
    assert warning(dialog) == ""


def test_a_warning_takes_no_room_from_the_fields(
    qtbot: QtBot, dialog: ChatDialog, workers: list[FakeWorker]
) -> None:
    dialog.more.open()
    box = child(dialog, NumberBox, "chat.temp")
    qtbot.waitUntil(lambda: box.visibleRegion().boundingRect().height() == box.height())
    say(qtbot, dialog, "Hello")
    answer(workers[0], "Good day.", prompt_tokens=620)
    assert warning(dialog)
    qtbot.waitUntil(lambda: dialog.height() > CHAT_DIALOG_SIZE[1])
    QApplication.processEvents()
    assert box.visibleRegion().boundingRect().height() == box.height()


def test_conversations_stay_and_can_be_turned_back_to(
    qtbot: QtBot, dialog: ChatDialog, workers: list[FakeWorker], tmp_path: Path, base: Path, adapter: Path
) -> None:
    say(qtbot, dialog, "Hello")
    answer(workers[0], "Good day.")
    dialog.new_button.click()
    assert dialog.view.toPlainText() == ""
    dialog.back_button.click()
    assert "Good day." in dialog.view.toPlainText()
    assert not dialog.on_button.isVisible()
    other = adapter_folder(tmp_path / "other", base)
    dialog.choose(other, 0.5)
    assert dialog.conversation is None
    say(qtbot, dialog, "Who are you?")
    loaded = next(one for one in reversed(workers[0].commands) if isinstance(one, LoadAdapters))
    assert (loaded.adapters, loaded.strengths) == ((str(other),), (0.5,))
    answer(workers[0], "The other one.")
    dialog.choose(adapter)
    assert "Good day." in dialog.view.toPlainText()
    say(qtbot, dialog, "Still there?")
    assert [one["content"] for one in asked(workers[0])["conversations"][0]] == [
        "Hello",
        "Good day.",
        "Still there?",
    ]


def test_conversations_are_turned_forth_to_where_one_was_begun(
    qtbot: QtBot, dialog: ChatDialog, workers: list[FakeWorker]
) -> None:
    place = child(dialog, QLabel, "chat.place")
    for message, said in (("Hello", "Good day."), ("Bye", "So long.")):
        say(qtbot, dialog, message)
        answer(workers[0], said)
        dialog.new_button.click()
    assert (place.text(), dialog.on_button.isEnabled()) == ("3 of 3", False)
    for button, is_at, said, can_go_on in (
        (dialog.back_button, "2 of 2", "So long.", False),
        (dialog.back_button, "1 of 2", "Good day.", True),
        (dialog.on_button, "2 of 2", "So long.", False),
    ):
        button.click()
        assert (place.text(), dialog.on_button.isEnabled()) == (is_at, can_go_on)
        assert said in dialog.view.toPlainText()


def test_another_one_chosen_from_the_list_begins_a_conversation_with_it(
    qtbot: QtBot, dialog: ChatDialog, workers: list[FakeWorker], tmp_path: Path
) -> None:
    say(qtbot, dialog, "Hello")
    answer(workers[0], "Good day.")
    other_base = base_folder(tmp_path / "other base")
    other = adapter_folder(tmp_path / "other", other_base)
    dialog.chooser.choose_path(other)
    assert dialog.conversation is None
    assert dialog.view.toPlainText() == ""
    say(qtbot, dialog, "And you?")
    job = read_job(workers[-1].job_dir)
    assert job == GenerateJob(model=str(other_base), adapters=(str(other),), strengths=(1.0,))
    assert [one["content"] for one in asked(workers[-1])["messages"]] == ["And you?"]
    answer(workers[-1], "Me too.")
    dialog.back_button.click()
    assert "Good day." in dialog.view.toPlainText()


def test_a_worker_that_fails_is_told_and_the_message_comes_back(
    qtbot: QtBot, dialog: ChatDialog, workers: list[FakeWorker]
) -> None:
    say(qtbot, dialog, "Hello")
    workers[0].end(event.Failed(message="The memory is not enough for this."), 1)
    assert told(dialog) == "The memory is not enough for this."
    assert child(dialog, QLabel, "chat.note").property("role") == "error"
    assert dialog.prompt.toPlainText() == "Hello"


def test_a_run_that_got_another_name_is_called_by_it(
    qtbot: QtBot, dialog: ChatDialog, home: Path, base: Path, adapter: Path
) -> None:
    run = run_with_checkpoints(home / "data" / "runs", base, questions=1)
    dialog.choose(adapter)
    by_name = Qt.MatchFlag.MatchStartsWith
    qtbot.waitUntil(lambda: dialog.chooser.box.findText("friendly", by_name) >= 0)  # it was not there at first
    dialog.choose(run.adapters)
    assert dialog.chooser.box.currentText().startswith("friendly")
    save_note(run, RunNote(name="The polite one"))
    dialog.take_names()
    assert dialog.chooser.box.currentText().startswith("The polite one")
    assert dialog.candidate is not None
    assert dialog.candidate.adapter == run.adapters


def test_chat_and_comparison_wait_for_each_other(
    qtbot: QtBot, dialog: ChatDialog, answerer: Answerer, workers: list[FakeWorker], adapter: Path
) -> None:
    tab = CompareTab(answerer)
    qtbot.addWidget(tab)
    tab.show()
    tab.choose_adapter(adapter)
    tab.prompt.setPlainText("What?")
    say(qtbot, dialog, "Hello")
    tab.compare()
    assert note(tab) == "Another question is being answered. Compare when that has ended."
    answer(workers[0], "Good day.")
    assert note(tab) == ""
    assert tab.conversation is None
    tab.compare()
    dialog.prompt.setPlainText("Now?")
    assert told(dialog) == "Another question is being answered. Wait for it, or stop it."
    assert not dialog.send_button.isEnabled()
    answer(workers[0], "This.", "That.")
    assert dialog.send_button.isEnabled()
    assert "That." not in dialog.view.toPlainText()
    assert len([one for one in workers[0].commands if isinstance(one, Ask)]) == 2


def test_a_run_that_begins_ends_the_answer_and_what_is_asked_beside_it_goes_on(
    qtbot: QtBot, dialog: ChatDialog, workers: list[FakeWorker]
) -> None:
    say(qtbot, dialog, "Hello")
    workers[0].say(event.Ready())
    dialog.set_training(True)
    assert workers[0].commands[-1] == Stop()
    workers[0].say(event.Answered(request=1, column=0, done=True, finish_reason="stopped"))
    say(qtbot, dialog, "Hello again")
    dialog.set_training(True)  # as at every word of the run
    assert isinstance(workers[0].commands[-1], Ask)


def test_a_base_that_is_gone_is_told(
    qtbot: QtBot, dialog: ChatDialog, workers: list[FakeWorker], base: Path
) -> None:
    shutil.rmtree(base)
    say(qtbot, dialog, "Hello")
    assert workers == []
    assert str(base) in told(dialog)
    assert dialog.prompt.toPlainText() == "Hello"


def test_a_real_worker_answers_with_the_tuned_model(qtbot: QtBot, tmp_path: Path) -> None:
    adapter = make_adapter(make_model(tmp_path / "base"), tmp_path / "friendly")
    answerer = Answerer()
    dialog = ChatDialog(answerer)
    qtbot.addWidget(dialog)
    dialog.choose(adapter)
    child(dialog, NumberBox, "chat.max_tokens").lineEdit().setText("4")
    dialog.show()
    say(qtbot, dialog, "Hello")
    qtbot.waitUntil(lambda: not dialog.session.is_busy, timeout=PATIENCE_MS)
    shown = dialog.conversation
    assert shown is not None
    assert shown.last.replies[0].is_answer, told(dialog)
    assert shown.last.replies[0].last.generation_tokens > 0  # type: ignore[union-attr]
    answerer.shutdown()


def parts(dialog: ChatDialog) -> dict[str, bool]:
    """Whether each part that is seen can be used."""
    found: dict[str, QWidget] = {
        "send": dialog.send_button, "stop": dialog.stop_button, "again": dialog.again_button,
        "new": dialog.new_button, "back": dialog.back_button, "on": dialog.on_button, "who": dialog.chooser,
    }  # fmt: skip
    return {name: part.isEnabled() for name, part in found.items() if part.isVisible()}


def test_what_can_be_done_is_what_is_seen(
    qtbot: QtBot, dialog: ChatDialog, workers: list[FakeWorker], base: Path
) -> None:
    empty = {"send": False, "again": False, "new": False, "who": True}
    place = child(dialog, QLabel, "chat.place")
    assert (parts(dialog), told(dialog), place.isVisible()) == (empty, "", False)
    dialog.again()
    qtbot.keyClicks(dialog.prompt, " ")
    qtbot.keyClick(dialog.prompt, Qt.Key.Key_Enter)
    assert (parts(dialog), workers) == (empty, []), "there is nothing to send"
    qtbot.keyClicks(dialog.prompt, "Hello")
    assert parts(dialog) == empty | {"send": True}
    box = child(dialog, NumberBox, "chat.max_tokens")
    for text, said in (("0", "Maximum tokens is out of its range."), ("9", "")):
        box.lineEdit().selectAll()
        qtbot.keyClicks(box.lineEdit(), text)
        assert (parts(dialog)["send"], told(dialog)) == (not said, said)
    qtbot.keyClick(dialog.prompt, Qt.Key.Key_Enter)
    busy = {"stop": True, "again": False, "new": False, "who": False}
    assert (parts(dialog), told(dialog)) == (busy, "Starting the worker…")
    assert not dialog.strength.isEnabled()
    workers[0].say(event.Ready())
    assert told(dialog) == "Reading the prompt…"
    dialog.again()
    workers[0].say(event.Answered(request=1, column=0, text="Good"), event.Progressed(phase="Drawing"))
    assert told(dialog) == "Answering…"
    say(qtbot, dialog, "And")
    assert (dialog.prompt.toPlainText(), len(workers[0].commands)) == ("And", 1), "it waits for the answer's end"
    dialog.prompt.clear()
    assert "Hello" in dialog.view.toPlainText(), "also a first message stands above its answer"
    workers[0].say(event.Warned(message="Hm."))
    assert warning(dialog) == "Hm."
    workers[0].say(
        event.Answered(request=1, column=0, done=True, finish_reason="stop", prompt_tokens=60, generation_tokens=4)
    )
    whole = "4 tokens · 64 of the 64 tokens of its context"
    assert (told(dialog), warning(dialog)) == (whole, ""), "it is just full"
    assert parts(dialog) == empty | {"again": True, "new": True}
    assert dialog.strength.isEnabled()
    workers[0].say(event.Warned(message="Hm."))
    assert warning(dialog) == "", "it is somebody else's"
    dialog.new_button.click()
    assert parts(dialog) == empty | {"back": True, "on": False}
    assert (place.text(), dialog.focusWidget(), told(dialog)) == ("2 of 2", dialog.prompt, "")
    dialog.back_button.click()
    assert parts(dialog) == empty | {"again": True, "new": True}
    shutil.rmtree(base)
    dialog.new_button.click()
    dialog.back_button.click()
    assert told(dialog) == "4 tokens", "how long its context is cannot be read"
    dialog.again()
    assert (str(base) in told(dialog), len(workers[0].commands)) == (True, 1)


def test_nobody_answers_until_somebody_is_chosen(qtbot: QtBot, answerer: Answerer, adapter: Path) -> None:
    made = ChatDialog(answerer)
    qtbot.addWidget(made)
    made.show()
    assert (told(made), made.candidate, made.strength.isEnabled()) == ("Choose who is to answer.", None, False)
    made.choose(adapter, 0.5)
    assert made.focusWidget() is made.prompt
    assert made.candidate is not None
    assert (told(made), made.candidate.strength, made.strength.isEnabled()) == ("", 0.5, True)
    assert made.strength.strength == 0.5
    assert made.again_button.toolTip() == "Ask the last message once more; its answer is replaced"


def test_another_strength_begins_a_conversation_and_another_adapter_ends_an_answer(
    qtbot: QtBot, dialog: ChatDialog, workers: list[FakeWorker], tmp_path: Path, base: Path, adapter: Path
) -> None:
    say(qtbot, dialog, "Hello")
    answer(workers[0], "Good day.")
    qtbot.keyClick(dialog.strength.slider, Qt.Key.Key_Left)
    assert (dialog.conversation, dialog.view.toPlainText()) == (None, "")
    say(qtbot, dialog, "Again")
    loaded = workers[0].commands[-2]
    assert isinstance(loaded, LoadAdapters)
    assert loaded.strengths == (0.95,)
    dialog.choose(adapter, 0.95)
    assert workers[0].commands[-1] != Stop(), "it is the same"
    dialog.choose(adapter_folder(tmp_path / "other", base))
    assert workers[0].commands[-1] == Stop()
    assert dialog.conversation is None
    workers[0].say(event.Answered(request=2, column=0, done=True, finish_reason="stopped"))
    say(qtbot, dialog, "And you?")
    assert [one["content"] for one in asked(workers[0])["messages"]] == ["And you?"]
    workers[0].say(
        event.Answered(request=3, column=0, done=True, finish_reason="unusable", message="It does not fit.")
    )
    assert (told(dialog), child(dialog, QLabel, "chat.note").property("role")) == ("It does not fit.", "error")


def test_the_system_prompt_counts_from_the_next_message_on(
    qtbot: QtBot, dialog: ChatDialog, workers: list[FakeWorker]
) -> None:
    sent = []
    for system in ("", " Sing. ", ""):
        dialog.system.setText(system)
        say(qtbot, dialog, "Hello")
        found = asked(workers[0])
        messages = found["conversations"][0] if found["conversations"] else found["messages"]
        sent.append([one["content"] for one in messages if one["role"] == "system"])
        answer(workers[0], "Yes.")
    assert sent == [[], ["Sing."], []]


@pytest.mark.parametrize("heard", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_who_is_chosen_during_an_answer_is_talked_with_when_that_has_ended(
    qtbot: QtBot,
    dialog: ChatDialog,
    answerer: Answerer,
    workers: list[FakeWorker],
    tmp_path: Path,
    base: Path,
    adapter: Path,
    heard: bool,
    known: bool,
) -> None:
    other = adapter_folder(tmp_path / "other", base)
    if known:
        dialog.choose(other)
        say(qtbot, dialog, "To the other")
        answer(workers[-1], "It is me.")
        dialog.choose(adapter)
    say(qtbot, dialog, "Hello")
    answer(workers[-1], "Good day.")
    if heard:
        workers[-1].say(event.Ready())
    else:
        answerer.release()  # the model is loaded anew, and given up by who is chosen meanwhile
    say(qtbot, dialog, "And now?")
    request = workers[-1].commands[-1]
    assert isinstance(request, Ask)
    if heard:
        workers[-1].say(event.Answered(request=request.request, column=0, text="Now"))
    dialog.choose(other)
    if heard:
        stopped = event.Answered(request=request.request, column=0, done=True, finish_reason="stopped")
        workers[-1].say(stopped)
    assert dialog.candidate is not None
    assert dialog.candidate.adapter == other
    assert ("It is me." in dialog.view.toPlainText(), "Good day." in dialog.view.toPlainText()) == (known, False)
    assert dialog.prompt.toPlainText() == ("" if heard else "And now?"), "nothing that was written is lost"
    dialog.prompt.clear()
    say(qtbot, dialog, "And you?")
    loaded = workers[-1].commands[-2] if heard else read_job(workers[-1].job_dir)
    assert isinstance(loaded, LoadAdapters | GenerateJob)
    assert loaded.adapters == (str(other),)
    sent = asked(workers[-1])
    said = [one["content"] for one in sent["messages"] or sent["conversations"][0]]
    assert said == (["To the other", "It is me.", "And you?"] if known else ["And you?"])
