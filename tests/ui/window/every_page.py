"""Shows every page and dialog of the window in the font of this process, and prints what does not fit.

    python -m tests.ui.window.every_page FAMILY ANSWERS [--tabs] [--theme dark] [--size 900x600] [--pictures FOLDER]

With ``--tabs`` each page is gone through by Tab as well: what that does not come to is told. What has no name or
role for a screen reader always is. Fontconfig, the text size, the scale factor and the language are read when a
process starts: who asks sets them. ANSWERS is a folder that keeps what the workers said, so that only the first
process of many waits for them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

from PySide6.QtCore import QCoreApplication, QEvent, QObject, QTimer
from PySide6.QtGui import QFontDatabase, QFontInfo
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QTabBar, QWidget

from app.core.config.train_config import TrainConfig
from app.core.language import PSEUDO, language
from app.core.method.method import Method
from app.core.method.table import METHODS
from app.core.protocol import event
from app.core.protocol.command import Command
from app.core.protocol.event import parse_event
from app.core.queue.queue import make_entry
from app.core.run.folder import runs_dir
from app.core.setup.trial import trial_config
from app.core.system import place, starter
from app.ui.bundle.dialog import BundleDialog
from app.ui.bundle.remote_dialog import RemoteDialog
from app.ui.chat.dialog import ChatDialog
from app.ui.endpoint.dialog import ServeDialog
from app.ui.export.dialog import ExportDialog
from app.ui.form.store import form_store
from app.ui.method.advice_dialog import AdviceDialog
from app.ui.model.hub_dialog import HubDialog
from app.ui.platform.own_texts import translate_qt
from app.ui.queue.ending import SleepCountdown
from app.ui.queue.sweep_dialog import SweepDialog
from app.ui.replica.dialog import HostsDialog
from app.ui.run.session import RunSession
from app.ui.target.module_dialog import ModuleDialog
from app.ui.widget import theme
from app.ui.window.appearance import Appearance
from app.ui.window.help_dialog import HelpDialog, ShortcutDialog
from app.ui.window.main_window import COMPARE_TAB, ENHANCED_TAB, RUNS_TAB, MainWindow
from app.ui.window.settings_dialog import SettingsDialog
from app.ui.worker.process import WorkerOutcome, WorkerProcess
from tests.fork_server import forked_workers
from tests.ui import synthetic_run
from tests.ui.comparing import adapter_folder, answer, base_folder, press, run_with_checkpoints
from tests.ui.fake_worker import FakeWorker
from tests.ui.fitting import unfit
from tests.ui.reaching import unnamed, untabbed
from tests.ui.translating import untranslated

WAIT_S = 120  # for a worker that answers for the first time on a loaded machine
WIDTHS = (520, 620, 660, 740, 900, 1200)
SETTLED_S = 20.0  # a page that fits is waited for no longer than it takes
ABSENT = 77  # the exit status where the font is not installed


TALKS = ("preview", "rows")  # tasks that answer commands until they are ended


class RememberedWorker(WorkerProcess):
    """A worker whose answers to a job, and then to each command, are kept: the second time they come at once."""

    answers: Path

    def __init__(self, job_dir: Path, task: str, parent: QObject | None = None, *, log: Path | None = None) -> None:
        super().__init__(job_dir, task, parent, log=log)
        job = json.loads((job_dir / "job.json").read_text(encoding="utf-8"))
        asked = json.dumps([job | {"config": None}, _about(job.get("config") or {})], sort_keys=True)
        self._known = self.answers / f"{task}-{sha256(asked.encode()).hexdigest()[:16]}.json"
        self._answers: list[list[str]] = [[]]  # events as lines: at first, then after each command
        self._left: list[list[str]] | None = None  # of those, where they are known
        # Before the window hears it, and asks the next.
        self.emitted.connect(lambda found: self._answers[-1].append(found.to_line()))

    def start(self) -> None:
        if self._known.exists():
            self._left = json.loads(self._known.read_text(encoding="utf-8"))
            QTimer.singleShot(0, self, self._answer)
            return
        self.ended.connect(self._keep)
        super().start()

    def send(self, command: Command) -> None:
        if self._left is None:
            self._answers.append([])
            super().send(command)
        elif self.task in TALKS:
            QTimer.singleShot(0, self, self._answer)

    def kill(self) -> None:
        if self._left is None:
            super().kill()
        else:
            self.ended.emit(WorkerOutcome(self.task, -9))

    def wait(self, milliseconds: int) -> bool:
        return self._left is not None or super().wait(milliseconds)

    def _answer(self) -> None:
        is_talk = self.task in TALKS
        groups = self._left or [[]]
        lines = groups.pop(0) if is_talk else [line for group in groups for line in group]
        said = [parse_event(line) for line in lines]
        for found in said:
            self.emitted.emit(found)
        if not is_talk:
            last = said[-1]
            self.ended.emit(
                WorkerOutcome(self.task, 0, finished=last if isinstance(last, event.Finished) else None)
            )

    def _keep(self, outcome: WorkerOutcome) -> None:
        if outcome.ok or self.task in TALKS:
            self._known.write_text(json.dumps(self._answers), encoding="utf-8")


def job_worker(job_dir: Path, task: str, parent: QObject | None = None) -> QObject:
    """A worker of a job: that of a comparison answers by hand."""
    return (FakeWorker if task == "generate" else RememberedWorker)(job_dir, task, parent)


def _about(config: dict[str, Any]) -> list[Any]:
    """What of a config decides, on these pages, about the shape of an answer; methods share their data."""
    return [config.get(name) for name in ("model", "data", "valid_fraction", "max_seq_length", "num_layers")]


class EveryPage:
    """Goes through the window; what does not fit is kept by the page where it was seen."""

    def __init__(self, pictures: Path | None, *, tabs: bool = False, size: tuple[int, int] = (1100, 700)) -> None:
        self._pictures, self._tabs = pictures, tabs
        self.pages = 0
        self.found: dict[str, list[str]] = {}
        self.unusable: dict[str, list[str]] = {}
        self.untranslated: dict[str, list[str]] = {}
        self.window = MainWindow(form_store(), RunSession(), Appearance())
        self.window.resize(*size)
        self.window.show()

    def see(self, name: str, page: QWidget) -> None:
        """Looks at one page; what does not fit counts once figures that come with a delay are there as well."""
        self.pages += 1
        settle()
        end = time.monotonic() + SETTLED_S
        while (told := unfit(page)) and language() != PSEUDO and time.monotonic() < end:
            QTest.qWait(20)
        if self._pictures is not None:
            page.grab().save(str(self._pictures / f"{name}.png"))
        if told:
            self.found[name] = told
        if language() == PSEUDO and (told := untranslated(page)):
            self.untranslated[name] = told
        # Tab goes through windows: not through a form without one, nor through a part of one alone.
        alone = (page.parent() is None or not page.isWindow()) and page is not self.window
        if told := [*unnamed(page), *(untabbed(page) if self._tabs and not alone else ())]:
            self.unusable[name] = told

    def wait(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < end, "the window is still waiting for a worker"
            QTest.qWait(10)

    def walk(self) -> None:
        """All of it."""
        window = self.window
        self.see("setup, empty", window)
        window.welcome.show()
        self.see("welcome", window)
        window.welcome.leave()
        self.setup()
        self.enhanced()
        self.run_panel()
        self.compare()
        self.runs()
        self.dialogs()
        self.forms_alone()
        self.run_of_a_method()
        window.dispose()

    def setup(self) -> None:
        window, tab = self.window, self.window.setup_tab
        window.store.set_many({"model": str(starter.model_dir()), "data": str(starter.examples_dir())})
        self.wait(lambda: tab.selection.selection is not None and not window.is_busy)
        self.see("setup", window)
        tab.training.disclosure.open()
        faults = {"targets": "q_proj, v_prj", "warmup": 5000, "max_seq_length": 9000, "weight_decay": 0.1}
        window.store.set_many({**faults, "num_layers": 3, "early_stopping.enabled": True, "valid_fraction": 0.0})
        self.wait(lambda: not window.is_busy)
        self.see("setup, with faults", window)

    def enhanced(self) -> None:
        window = self.window
        window.show_tab(ENHANCED_TAB)
        tab = window.enhanced_tab
        for method in telling_methods():
            window.enhanced_store.replace(trial_config(method))
            self.wait(lambda: tab.selection.selection is not None and not window.is_busy)
            tab.rewards.disclosure.open()
            tab.training.disclosure.open()
            self.see(f"enhanced, {method.name}", window)

    def run_panel(self) -> None:
        window = self.window
        panel, session = window.run_panel, window.session
        session.start(TrainConfig(adapter_name="friendly", model="/m", data="/d"))
        (worker,) = FakeWorker.made
        worker.say(*synthetic_run.events(until=300, ending=""))
        self.wait(lambda: panel.page.chart is not None)
        self.see("run, training", window)
        session.stop()
        self.see("run, stopping", window)
        worker.end(event.Finished(reason="stopped", iteration=300))
        self.see("run, stopped", window)
        run = session.start(TrainConfig(adapter_name="friendly", model="/m", data="/d"))
        adapter_folder(run.adapters, "/m")
        run.state.joinpath("0000600").mkdir(parents=True)
        FakeWorker.made[-1].say(*synthetic_run.events(ending=""))
        said = "The adapter holds the weights of iteration 400, the best."
        FakeWorker.made[-1].end(event.Finished(reason="completed", iteration=600, message=said))
        self.see("run, finished", window)

    def run_of_a_method(self) -> None:
        """Its result has the most figures. Last, because lists would name the run."""
        window, session = self.window, self.window.session
        session.start(TrainConfig(adapter_name="friendly", model="/m", data="/d", train_mode="dpo"))
        FakeWorker.made[-1].say(
            event.Started(iterations=600, iterations_per_epoch=20.0, train_examples=1, valid_examples=1),
            event.Validated(iteration=0, val_loss=0.693, figures={"margin": -10.12}),
            event.Validated(iteration=600, val_loss=0.08, best=True, figures={"margin": 13.044}),
            event.NeutralMeasured(iteration=600, neutral_loss=3.879, base_loss=2.0, forgot=1.879),
        )
        FakeWorker.made[-1].end(event.Finished(reason="completed", iteration=600))
        window.fold.open()
        self.see("run, finished, with a figure of its method", window.run_panel)

    def compare(self) -> None:
        window = self.window
        base = base_folder(place.data_dir() / "base")
        run = run_with_checkpoints(runs_dir(), base, 4)
        window.show_tab(COMPARE_TAB)
        self.see("compare, empty", window)
        tab = window.compare_tab
        tab.choose_run(run)
        press(tab, "compare.ask")
        worker = FakeWorker.made[-1]
        answer(worker, "A lute is a plucked string instrument. " * 9, "A lute is a song of wood. " * 9)
        self.see("compare", window)

    def runs(self) -> None:
        window = self.window
        window.user_actions.queue.queue.add(
            [make_entry(TrainConfig(adapter_name=name)) for name in ("next", "later")]
        )
        window.show_tab(RUNS_TAB)
        tab = window.runs_tab
        self.wait(lambda: len(tab.table_model.runs) > 1 and not tab.is_busy)
        for part in range(3):
            tab.choose([found.run.path for found in tab.table_model.runs])
            self.wait(lambda: not (tab.is_busy or tab._choosing.isActive()))
            parts = tab.findChild(QTabBar, "runs.parts")
            assert parts is not None
            parts.setCurrentIndex(part)
            self.see(f"runs, part {part}", window)
        window.queue_actions.show_queue()
        self.see("queue", window)

    def dialogs(self) -> None:
        window = self.window
        inspection, selection = window.setup_tab.selection.inspection, window.setup_tab.selection.selection
        assert inspection is not None
        assert selection is not None
        config = window.store.config
        for name, dialog in (
            ("modules", ModuleDialog(inspection, selection.paths, window)),
            ("sweep", SweepDialog(config, inspection, parent=window)),
            ("sleep", SleepCountdown(print, window)),
            ("chat", self.chat()),
            ("serve", self.serve()),
            ("help", HelpDialog(window)),
            ("shortcuts", ShortcutDialog(window.menuBar(), window)),
            ("advice", AdviceDialog(METHODS["grpo"], window)),
            ("hosts", HostsDialog(config, window)),
            ("bundle", BundleDialog(config, window)),
            ("run on", RemoteDialog(config, window)),
            ("export", ExportDialog(next(runs_dir().glob("*/adapters")), window)),
        ):
            dialog.show()
            self.see(name, dialog)
            dialog.close()
        settings = SettingsDialog(window.appearance, window, form=config)
        settings.show()
        for index in range(settings.pages.count()):
            settings.pages.setCurrentIndex(index)
            self.see(f"settings, {settings.pages.tabText(index)}", settings)
        settings.close()
        hub = HubDialog(window)
        hub.show()
        for index in range(hub.pages.count()):
            hub.pages.setCurrentIndex(index)
            self.see(f"hub, {hub.pages.tabText(index)}", hub)
        hub.shutdown()
        hub.close()
        data = window.setup_tab.data_panel.look()
        for index in range(data.pages.count()):
            data.pages.setCurrentIndex(index)
            self.wait(lambda: not window.setup_tab.data_panel.is_busy)
            if data.pages.currentWidget() is data.examples:
                self.wait(lambda: bool(data.examples.example))
            elif data.pages.currentWidget() is data.edit:
                self.wait(lambda: data.edit._shown is not None)
            self.see(f"data, {data.pages.tabText(index)}", data)
        data.close()

    def chat(self) -> ChatDialog:
        """With its fields unfolded."""
        dialog = ChatDialog(self.window.answerer, self.window)
        dialog.choose(next(runs_dir().glob("*/adapters")))
        dialog.more.open()
        return dialog

    def serve(self) -> ServeDialog:
        dialog = ServeDialog(self.window)
        dialog.choose(next(runs_dir().glob("*/adapters")).parent)
        return dialog

    def forms_alone(self) -> None:
        for tab in (self.window.setup_tab, self.window.enhanced_tab):
            tab.setParent(None)
            tab.show()
            for width in WIDTHS:
                tab.resize(width, 900)
                self.see(f"{tab.name}, {width} px wide", tab)
            tab.close()


def telling_methods() -> list[Method]:
    """One method of each kind of data, and those whose fields no other method has all of."""
    fields = {method.name: {method.data, *method.parameters} for method in METHODS.values()}
    alike = {frozenset(names): name for name, names in fields.items()}
    return [METHODS[name] for names, name in alike.items() if not any(names < others for others in fields.values())]


def settle() -> None:
    """Lets the layouts follow: what a text needs, then what its neighbours leave it."""
    for _ in range(3):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
        QApplication.processEvents()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("family")
    parser.add_argument("answers", type=Path)
    parser.add_argument("--tabs", action="store_true")
    parser.add_argument("--theme", choices=("light", "dark"), default="light")
    parser.add_argument("--size", default="1100x700")
    parser.add_argument("--pictures", type=Path)
    asked = parser.parse_args(arguments)
    application = QApplication([])
    if not QFontDatabase.hasFamily(asked.family):
        return ABSENT
    translate_qt(application)
    theme.apply_theme(asked.theme)
    FakeWorker.made = []
    RememberedWorker.answers = asked.answers
    width, height = map(int, asked.size.split("x"))
    workers = {"worker.job": job_worker, "run.session": FakeWorker}
    with ExitStack() as replaced:
        replaced.enter_context(forked_workers())
        for module, worker in workers.items():
            replaced.enter_context(patch(f"app.ui.{module}.WorkerProcess", worker))
        page = EveryPage(asked.pictures, tabs=asked.tabs, size=(width, height))
        page.walk()
    told = {"unfit": page.found, "unusable": page.unusable, "untranslated": page.untranslated}
    font = QFontInfo(application.font())
    scheme, ratio = theme.colors().scheme, application.devicePixelRatio()
    shown = {
        "family": font.family(),
        "pixels": font.pixelSize(),
        "scheme": scheme,
        "scale": ratio,
        "pages": page.pages,
    }
    shown |= told
    print(json.dumps(shown, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
