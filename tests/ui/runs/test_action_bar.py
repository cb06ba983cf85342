"""What can be done with any choice of runs, why the rest cannot, and what is asked and told on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel, QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from app.core.protocol import event
from app.core.run.folder import RunDir
from app.core.run.summary import RunSummary, summarize
from app.ui.runs.action_bar import RunActionBar, stock_command, train_command
from app.ui.worker.process import WorkerOutcome
from tests.ui.child import child
from tests.ui.runs.test_tab import make_run

ALWAYS = ("open", "duplicate", "reveal", "rename", "command", "stock", "yaml", "report", "track")
BUTTONS = {
    "open": "Show the run's curves and log in the panel at the right",
    "compare": "Ask the base and what was trained on it side by side",
    "resume": "Go on exactly where the run ended",
    "duplicate": "Fill the form with this run's setup",
}


@pytest.fixture
def found(home: Path) -> RunSummary:
    """A run that has finished, with an adapter and a saved state."""
    return summarize(make_run(home / "data" / "runs", "alpha", day=1))


@pytest.fixture
def bar(qtbot: QtBot) -> RunActionBar:
    made = RunActionBar()
    qtbot.addWidget(made)
    return made


def refused(bar: RunActionBar) -> dict[str, str]:
    """Why not, of every act that is off; each button says the same, or what it is for."""
    acts = {one.objectName().removeprefix("runs."): one for one in bar.menu.actions() if not one.isSeparator()}
    for name, tip in BUTTONS.items():
        button = child(bar, QPushButton, f"runs.{name}_button")
        assert (button.isEnabled(), button.toolTip()) == (
            (True, tip) if acts[name].isEnabled() else (False, acts[name].toolTip())
        )
    return {name: one.toolTip() for name, one in acts.items() if not one.isEnabled()}


def test_each_choice_says_what_cannot_be_done_with_it(bar: RunActionBar, found: RunSummary, home: Path) -> None:
    merge = {"merge": "Select several runs that have saved adapters"}
    resume = {"resume": "Only a run that did not reach its end goes on"}
    stays = {"delete": "A run that is training cannot be deleted; stop it first"}
    bar.show_runs([found])
    assert refused(bar) == merge | resume
    bar.show_runs([replace(found, state="stopped")])
    assert refused(bar) == merge
    bar.show_runs([replace(found, state="running")])
    assert refused(bar) == merge | resume | stays | {"extend": "It is training"}
    bare = replace(found, run=RunDir(home / "bare"), state="failed")
    none = "It has saved no adapter"
    saved = {"extend": "It has saved no state to go on from"}
    bar.show_runs([bare])
    assert refused(bar) == merge | resume | saved | dict.fromkeys(("export", "chat", "serve", "compare"), none)
    two = [found, replace(found, state="stopped")]
    bar.show_runs(two)
    single = dict.fromkeys(
        (*ALWAYS, "export", "chat", "serve", "resume", "extend"), "Select one run: several are selected"
    )
    assert refused(bar) == single
    assert bar.merge.toolTip() == "One adapter of several runs of the same base"
    bar.show_runs([found, replace(found, state="running", base="/another")])
    assert refused(bar) == single | stays | {"compare": "Their base models differ"}
    bar.show_runs([found, bare])
    assert refused(bar) == single | merge | {"compare": "One of them has saved no adapter"}
    bar.show_runs([found] * 4)
    assert refused(bar) == single | {"compare": "Select at most 3 runs: the base stands beside them"}
    bar.show_runs([found] * 3)
    assert refused(bar) == single
    bar.show_runs([])
    every = dict.fromkeys((*single, "compare", "delete"), "Select a run first")
    assert refused(bar) == every | merge


def test_what_is_chosen_is_counted_with_its_size(bar: RunActionBar, found: RunSummary) -> None:
    chosen = child(bar, QLabel, "runs.chosen")
    bar.show_runs([replace(found, size_bytes=1_500_000), replace(found, size_bytes=500_000)])
    assert (chosen.text(), bar.compare.text()) == ("2 selected · 2\u00a0MB", "Compare with Their Base")
    bar.show_runs([replace(found, size_bytes=1_500_000)])
    assert (chosen.text(), bar.compare.text()) == ("1 selected · 1.5\u00a0MB", "Compare with Its Base")


def test_while_a_report_or_curves_are_written_a_second_waits_and_afterwards_nothing_is_said_of_it(
    qtbot: QtBot, bar: RunActionBar, found: RunSummary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bar.show_runs([found])
    bar.export_report(tmp_path / "a.md")
    for _ in range(2):
        assert refused(bar)["report"] == "A report is being written"
        bar.show_runs([found])
    with qtbot.waitSignal(bar.told):
        pass
    assert (bar.report.isEnabled(), bar.report.toolTip()) == (True, "Export Report")
    monkeypatch.setattr(bar._tracks, "start", lambda _job: monkeypatch.setattr(bar._tracks, "_worker", bar))
    bar.export_figures(tmp_path)
    for _ in range(2):
        assert refused(bar)["track"] == "Curves are being exported"
        bar.show_runs([found])
    monkeypatch.setattr(bar._tracks, "_worker", None)
    with qtbot.waitSignal(bar.warned) as warned:
        bar._tracks.ended.emit(WorkerOutcome("track", -9))
    assert (bar.track.isEnabled(), bar.track.toolTip()) == (True, "Export to TensorBoard")
    assert warned.args == [WorkerOutcome("track", -9).sentence()]
    with qtbot.assertNotEmitted(bar.warned):
        bar._tracks.ended.emit(WorkerOutcome("track", 0, finished=event.Finished()))
    bar.export_report(tmp_path / "b.md")
    bar.show_runs([found, found])
    with qtbot.waitSignal(bar.told):
        pass
    assert not bar.report.isEnabled(), "several are selected by now"


def test_a_run_that_cannot_be_read_is_told_and_nothing_is_copied_or_written(
    qtbot: QtBot, bar: RunActionBar, found: RunSummary, tmp_path: Path
) -> None:
    bar.show_runs([found])
    found.run.events.unlink()
    found.run.events.mkdir()
    with qtbot.waitSignal(bar.warned) as warned:
        bar.export_report(tmp_path / "a.md")
    assert warned.args == ["The run's events cannot be read: Is a directory."]
    qtbot.waitUntil(lambda: bar.report.isEnabled())
    assert list(tmp_path.glob("a.md")) == []
    found.run.setup.unlink()
    found.run.config.unlink()
    clipboard = QGuiApplication.clipboard()
    clipboard.setText("before")
    with qtbot.waitSignal(bar.warned) as warned:
        bar.yaml.trigger()
    path = found.run.setup_or_config
    assert warned.args == [f"The config cannot be read: No such file or directory ({path})."]
    assert clipboard.text() == "before"


def test_what_was_copied_is_said(qtbot: QtBot, bar: RunActionBar, found: RunSummary) -> None:
    bar.show_runs([found])
    for act, said in (
        (bar.command, "The command was copied."),
        (bar.stock, "The command for stock mlx-lm was copied."),
        (bar.yaml, "The config was copied."),
    ):
        with qtbot.waitSignal(bar.told) as told:
            act.trigger()
        assert told.args == [said]
    run = RunDir(Path("/my runs/a b"))
    assert train_command(run) == f"luthier train '{run.setup_or_config}'"
    assert stock_command(run) == "mlx_lm.lora -c '/my runs/a b/config.yaml' --adapter-path 'adapters-a b'"


@pytest.mark.parametrize("count", [1, 2, 8, 10])
def test_before_runs_are_deleted_they_are_named_with_what_they_take_now(
    bar: RunActionBar, found: RunSummary, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """The list may be of yesterday: of the first eight the size is measured."""
    monkeypatch.setattr("app.ui.runs.action_bar.folder_bytes", lambda _: 1_000_000)
    bar.show_runs([replace(found, name=f"run {number}", size_bytes=2_000_000) for number in range(count)])
    asked: list[tuple[str, str, str]] = []
    deleted: list[object] = []
    monkeypatch.setattr(bar.trash, "delete", deleted.append)

    def answer(box: QMessageBox) -> int:
        asked.append((box.text(), box.informativeText(), box.defaultButton().text()))
        next(
            one for one in box.buttons() if one.text() == ("Move to the Trash" if len(asked) > 1 else "Cancel")
        ).click()
        return 0

    monkeypatch.setattr(QMessageBox, "exec", answer)
    bar.delete.trigger()
    assert deleted == []
    bar.delete.trigger()
    assert deleted == [[found.run] * count]
    what = "“run 0”" if count == 1 else f"{count} runs"
    size = {1: 1, 2: 2, 8: 8, 10: 12}[count]
    named = "\n".join(f"• run {number}  ({found.run.name})" for number in range(min(count, 8)))
    rest = "\n… and 2 more" if count == 10 else ""
    question = f"Move {what} to the Trash? {size}\u00a0MB in all."
    assert asked == [(question, f"{named}{rest}\n\nConfig, curves, adapters and notes go with it.", "Cancel")] * 2
