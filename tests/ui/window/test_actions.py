"""What is asked for with runs and files, without a window: each message whole, and for how long it is true."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.live.training_list import BESIDE
from app.core.problem import Problem, Severity
from app.core.protocol import event
from app.core.protocol.command import Park
from app.core.run.folder import RunDir
from app.core.setup.config_file import load_config, save_config
from app.core.setup.path_kind import PathKind, SortedPath
from app.core.system.setting import load_settings
from app.ui.form.store import ConfigStore
from app.ui.message.bar import Notice
from app.ui.run.session import RunSession, RunState
from app.ui.setup.forms import NO_CONFIG, Forms
from app.ui.window.actions import UserActions
from tests.ui import synthetic_run
from tests.ui.comparing import adapter_folder
from tests.ui.fake_worker import FakeWorker


class Asked:
    """The asks over a form of their own, and what they told and asked the window for."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.checking = False
        self.store, self.session = ConfigStore(), RunSession()
        self.forms = Forms(self.store, find_problems=lambda: self.problems, is_checking=lambda: self.checking)
        self.actions = UserActions(self.forms, self.session)
        self.told: list[Notice] = []
        self.asked: list[tuple[str, object]] = []
        actions = self.actions
        actions.told.connect(self.told.append)
        for name in ("compare", "export", "chat", "serve", "bundle", "remote", "hosts"):
            signal = getattr(actions, f"{name}_requested")
            signal.connect(lambda what, name=name: self.asked.append((name, what)))
        actions.run_asked.connect(lambda: self.asked.append(("run", None)))
        self.forms.shown_requested.connect(lambda path: self.asked.append(("field", path)))

    def last(self) -> tuple[str, str, str]:
        return self.told[-1].text, self.told[-1].kind, self.told[-1].action

    def holds(self) -> bool:
        holds = self.told[-1].holds
        assert holds is not None
        return holds()

    def act(self) -> None:
        act = self.told[-1].act
        assert act is not None
        act()

    def shown(self) -> RunDir:
        assert self.session.run is not None
        return self.session.run


@pytest.fixture
def one(qapp: QApplication, workers: list[FakeWorker]) -> Asked:
    assert (qapp is not None, workers) == (True, [])
    found = Asked()
    found.store.set_many({"model": "/m", "data": "/d", "adapter_name": "friendly"})
    return found


# -- starting --------------------------------------------------------------------------------------------------


def test_what_stands_in_the_way_is_named_and_led_to(one: Asked, workers: list[FakeWorker]) -> None:
    first, second = Problem("batch_size", "It is 0.", hint="Take 1."), Problem("data", "It is gone.")
    one.problems = [Problem("seed", "It is odd.", Severity.WARNING), first, second]
    asks = one.actions
    for ask, said in (
        (asks.start, "The run cannot start yet."),
        (asks.enqueue, "The setup cannot be queued yet."),
        (asks.bundle, "The setup cannot be bundled yet."),
        (asks.run_on, "The run cannot start yet."),
        (asks.hosts, "The run cannot start yet."),
    ):
        one.asked.clear()
        ask()
        assert one.last() == (f"{said}\n{first.sentence()}\n{second.sentence()}", "error", "Show")
        assert (one.told[-1].about, one.asked) == (said, [("field", "batch_size")])
    one.act()
    assert one.asked == [("field", "batch_size")] * 2
    whole = one.problems
    held = []
    for number in (3, 2, 1):
        one.problems = whole[:number]
        held.append(one.holds())
    assert held == [True, True, False], "a warning alone holds nothing back"
    one.problems, one.checking = one.problems[:1], True
    one.asked.clear()
    for ask in (asks.start, asks.enqueue, asks.bundle, asks.run_on, asks.hosts):
        ask()
        said = "The model and the data are still being read. Ask again when that is done."
        assert (one.last(), one.holds()) == ((said, "info", ""), True)
    one.checking = False
    assert not one.holds()
    outdated: list[str] = []
    asks.outdated.connect(outdated.append)
    for ask in (asks.bundle, asks.run_on, asks.hosts):
        ask()
    assert one.asked == [(name, one.store.config) for name in ("bundle", "remote", "hosts")]
    assert outdated == ["The setup cannot be bundled yet.", *["The run cannot start yet."] * 2]
    assert (workers, len(one.told)) == ([], 10)


def test_a_run_whose_folder_cannot_be_made_is_told_with_what_to_do(
    one: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device", "/runs/friendly")

    monkeypatch.setattr(one.session, "start", refuse)
    one.actions.start()
    said = "The run's folder cannot be made: No space left on device (/runs/friendly)."
    assert one.last() == (f"{said} Choose another folder for runs in the settings.", "error", "")


def test_a_second_run_beside_another_is_begun_only_when_that_is_wanted(
    qtbot: QtBot, one: Asked, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other, old = (synthetic_run.run_folder(tmp_path / name, name=name) for name in ("other", "old"))
    training = [other]
    monkeypatch.setattr("app.ui.window.actions.training_runs", lambda: training)
    asks = one.actions
    for ask in (asks.start, lambda: asks.go_on(old.path, 700)):
        ask()
        assert one.last() == (f"other is training already. {BESIDE}", "warning", "Train beside it")
        assert (one.told[-1].passes, one.holds(), one.session.run) == (True, False, None), "its lock is free"
    with other.lock():
        assert one.holds()
    training[:] = [old]
    asks.go_on(old.path)
    assert (len(one.told), one.shown().path, one.asked) == (2, old.path, [("run", None)])
    qtbot.waitUntil(lambda: bool(workers))
    workers[-1].end(event.Finished(reason="stopped", iteration=3))
    asks.start()
    one.act()
    assert one.shown().path not in (old.path, other.path)
    asks.start()
    said = "A run is training. Stop it before you start the next."
    assert (one.last(), one.told[-1].passes, one.holds()) == ((said, "warning", ""), True, True)
    asks.go_on(old.path)
    assert one.last() == ("A run is training. Stop it before you go on with another.", "warning", "")
    asks.open_run(old.path)
    assert one.last() == ("A run is training. Its curves stay here until it has ended.", "warning", "")
    holds = one.told[-1].holds
    assert holds is not None
    workers[-1].end(event.Finished(reason="stopped", iteration=3))
    assert not holds()


# -- how a run ended -------------------------------------------------------------------------------------------


def validated(iteration: int, loss: float, **more: object) -> event.Validated:
    return event.Validated(iteration=iteration, val_loss=loss, best=True, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("events", "ending", "has_adapter", "told"),
    [
        ((), ("stopped", ""), False, ("friendly was stopped before there was anything to save.", "info", "")),
        ((), ("completed", ""), True, ("friendly is ready.", "good", "Compare base and tuned")),
        (
            (validated(0, 2.0),),
            ("completed", ""),
            True,
            ("friendly is ready.", "good", "Compare base and tuned"),
        ),
        (
            (validated(0, 2.0), validated(1200, 1.5)),
            ("completed", ""),
            True,
            (
                "friendly is ready. Best validation loss 1.500, at iteration 1,200.",
                "good",
                "Compare base and tuned",
            ),
        ),
        (
            (validated(0, 2.0), event.Validated(iteration=1200, val_loss=2.5)),
            ("completed", ""),
            True,
            (
                "friendly has ended, and no measurement was better than the untrained model's.",
                "warning",
                "Compare base and tuned",
            ),
        ),
        (
            (validated(1200, -0.75, figures={"reward": 0.75}),),
            ("completed", ""),
            True,
            ("friendly is ready. Best mean reward 0.750, at iteration 1,200.", "good", "Compare base and tuned"),
        ),
        (
            (validated(1200, 1.5),),
            ("stopped", ""),
            True,
            (
                "friendly was stopped at iteration 1,200; the adapter is saved.",
                "good",
                "Compare base and tuned",
            ),
        ),
        (
            (validated(1200, 1.5),),
            ("paused", ""),
            True,
            ("friendly is paused at iteration 1,200; its memory is free.", "info", "Resume"),
        ),
        (
            (),
            ("paused", "The disk is full: 1\u00a0MB more is needed."),
            True,
            ("The disk is full: 1\u00a0MB more is needed.", "error", "Resume"),
        ),
    ],
)
def test_the_end_of_a_run_is_told_with_what_it_came_to(
    qtbot: QtBot,
    one: Asked,
    workers: list[FakeWorker],
    events: tuple[event.Event, ...],
    ending: tuple[str, str],
    has_adapter: bool,
    told: tuple[str, str, str],
) -> None:
    one.actions.start()
    run, worker = one.shown(), workers[-1]
    started = event.Started(iterations=2000, iterations_per_epoch=5, train_examples=5, valid_examples=5)
    worker.say(started, *events)
    if events:
        worker.say(synthetic_run.report(1200, [1.0], 2000))
    if has_adapter:
        adapter_folder(run.adapters, "/m")
    reason, message = ending
    if reason == "paused":
        (run.state / "0001200").mkdir(parents=True)
        one.session.park()
        assert worker.commands == [Park()]
    worker.end(event.Finished(reason=reason, iteration=1200 if events else 0, message=message))
    assert [(notice.text, notice.kind, notice.action) for notice in one.told] == [told]
    if told[2]:
        assert one.holds()
        one.act()
        assert one.asked == ([("compare", run.adapters)] if told[2].startswith("Compare") else [])
        if told[2] == "Resume":
            qtbot.waitUntil(lambda: one.session.is_live)
            assert not one.holds(), "it has gone on"
        else:
            run.config.unlink()
            assert not one.holds(), "it is no longer there"


def test_a_run_that_is_gone_is_told_and_shown_no_longer(qtbot: QtBot, one: Asked, tmp_path: Path) -> None:
    run, asks = synthetic_run.run_folder(tmp_path, name="lute"), one.actions
    adapter_folder(run.adapters, "/m")
    with qtbot.waitSignal(one.session.loaded):
        asks.open_run(run.path)
    for ask in (asks.compare_run, asks.export_run, asks.chat_run, asks.serve_run):
        ask()
    assert one.asked == [
        ("run", None), ("compare", run.adapters), ("export", run.path), ("chat", run.path), ("serve", run.path),
    ]  # fmt: skip
    run.path.rename(tmp_path / "elsewhere")
    asks.serve_run()
    said = f"lute is no longer there: {run.path} was moved or deleted."
    assert (one.last(), one.holds(), one.session.run) == ((said, "error", ""), True, None)
    (tmp_path / "elsewhere").rename(run.path)
    assert not one.holds()
    for ask in (asks.compare_run, asks.export_run, asks.chat_run, asks.serve_run, asks.resume_run):
        ask()
    asks.extend_run(900)
    assert (len(one.told), len(one.asked)) == (1, 5), "none is shown"


def test_what_goes_to_the_trash_is_not_shown_and_comes_back_with_it(
    qtbot: QtBot, one: Asked, tmp_path: Path
) -> None:
    run, other = (synthetic_run.run_folder(tmp_path / name, name=name) for name in ("lute", "other"))
    with qtbot.waitSignal(one.session.loaded):
        one.actions.open_run(run.path)
    one.actions.leave_trashed([other])
    assert one.shown().path == run.path
    one.actions.leave_trashed([other, run])
    assert one.session.run is None
    one.actions.show_brought_back([other.path])
    assert one.session.run is None
    one.actions.show_brought_back([run.path])
    assert one.session.run is None, "it was forgotten when others came back"
    with qtbot.waitSignal(one.session.loaded):
        one.actions.open_run(run.path)
    one.actions.leave_trashed([run])
    with qtbot.waitSignal(one.session.loaded):
        one.actions.show_brought_back([other.path, run.path])
    assert one.shown().path == run.path


# -- files -----------------------------------------------------------------------------------------------------


def test_files_go_where_they_belong_and_all_that_was_done_is_said(one: Asked, tmp_path: Path) -> None:
    kinds = (PathKind.MODEL, PathKind.VALID_DATA, PathKind.TEST_DATA)
    found = [SortedPath(kind, tmp_path / kind.value) for kind in kinds]
    refused = [SortedPath(PathKind.UNUSABLE, tmp_path / name, f"{name} is nothing.") for name in ("a", "b")]
    one.actions.take([refused[0], *found, SortedPath(PathKind.ADAPTER, tmp_path / "tuned"), refused[1]])
    assert [(notice.text, notice.kind) for notice in one.told] == [
        (
            "model is the model now. valid_data is the validation data now. test_data is the test data now.",
            "info",
        ),
        ("a is nothing.\nb is nothing.", "warning"),
    ]
    assert one.asked == [("compare", tmp_path / "tuned"), ("field", "")]
    config = one.store.config
    assert (config.model, config.valid_data, config.test_data) == tuple(str(path.path) for path in found)
    one.told.clear()
    one.actions.take([])
    assert one.told == []
    file = tmp_path / "kept.yaml"
    save_config(TrainConfig(seed=7), file)
    one.actions.take_files([str(file), str(tmp_path / "none")])
    assert one.store.config.seed == 7
    assert one.last() == (f"{tmp_path / 'none'} does not exist.", "warning", "")


def test_what_cannot_be_taken_is_said_and_nothing_else(
    one: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = Problem("", "The files cannot be put together: the disk is full.")
    monkeypatch.setattr(one.store, "take", lambda _found: problem)
    one.actions.take([SortedPath(PathKind.DATA, tmp_path / "a.jsonl")])
    assert ([notice.text for notice in one.told], one.asked) == ([problem.sentence()], [])
    assert one.told[-1].kind == "error"


# -- configs ---------------------------------------------------------------------------------------------------


def test_a_config_is_saved_where_that_is_said_and_told(one: Asked, tmp_path: Path) -> None:
    told: list[Notice] = []
    one.forms.told.connect(told.append)
    for name, there in (("mine", "mine.yaml"), ("other.yml", "other.yml")):
        one.forms.save_config(tmp_path / name)
        assert load_config(tmp_path / there).config.adapter_name == "friendly"
        assert (told[-1].text, told[-1].kind) == (f"Saved as {tmp_path / there}.", "info")
        assert load_settings().recent_configs[0] == str(tmp_path / there)
    (tmp_path / "file").write_text("")
    lost = tmp_path / "file" / "mine.yaml"
    one.forms.save_config(lost)
    assert told[-1].text.startswith("The config was not saved: ")
    assert (told[-1].text.endswith(f" ({lost})."), told[-1].kind) == (True, "error")
    assert load_settings().recent_configs[0] == str(tmp_path / "other.yml")
    one.forms.open_config(tmp_path / "nowhere.yaml")
    assert (told[-1].text.partition("\n")[0], told[-1].kind) == ("nowhere.yaml was not opened.", "error")
    (tmp_path / "none.yaml").write_text("hello: world\n")
    one.forms.open_config(tmp_path / "none.yaml")
    assert (told[-1].text, told[-1].kind) == (f"none.yaml was not opened. {NO_CONFIG}", "error")
    assert load_settings().recent_configs[0] == str(tmp_path / "other.yml")


def test_an_opened_config_can_be_taken_back_after_edits_too(one: Asked, tmp_path: Path) -> None:
    told: list[Notice] = []
    one.forms.told.connect(told.append)
    save_config(TrainConfig(seed=7, adapter_name="kept"), tmp_path / "kept.yaml")
    before = one.store.config
    for edit in (None, 11):
        one.asked.clear()
        one.forms.open_config(tmp_path / "kept.yaml")
        notice = told[-1]
        assert (notice.text.startswith("Opened kept.yaml."), notice.kind, notice.action) == (True, "info", "Undo")
        assert (one.asked, one.store.config.seed) == ([("field", "")], 7)
        assert notice.holds is not None
        assert notice.holds()
        if edit is not None:
            one.store.set("batch_size", edit)
            assert notice.holds()
        assert notice.act is not None
        notice.act()
        assert (one.store.config, notice.holds()) == (before, False)


def test_a_session_that_ends_without_a_run_tells_nothing(one: Asked) -> None:
    assert one.session.state is RunState.NONE
    one.session.silent.emit(125)
    said = "The worker has not said a word for 2\u00a0min 5\u00a0s: a long step, or it is stuck."
    assert one.last() == (said, "warning", "End it")
