"""Actions: what the user can ask for with runs and dropped files, and what he is told about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.core.language import tr
from app.core.live.training_list import BESIDE, training_runs
from app.core.problem import Problem, errors
from app.core.protocol.job import AS_BEFORE
from app.core.quantity import duration_text, loss_text
from app.core.queue.queue import line_text, make_entry
from app.core.refusal import reason_of
from app.core.replica.hostfile import Hostfile
from app.core.run.folder import RunDir, runs_dir
from app.core.run.name import folder_word, taken_words, unique_name
from app.core.run.note import known_name
from app.core.setup.path_kind import PathKind, SortedPath, sort_paths
from app.core.system.disk import DISK_FULL
from app.core.typed_path import typed_path
from app.ui.message.bar import Notice, NoticeKind
from app.ui.queue.session import QueueSession
from app.ui.run.session import RunSession, RunState
from app.ui.setup.forms import Forms
from app.ui.worker.process import WorkerOutcome

TAKEN_AS: dict[PathKind, str] = {
    PathKind.MODEL: tr("is the model now"),
    PathKind.DATA: tr("is the training data now"),
    PathKind.VALID_DATA: tr("is the validation data now"),
    PathKind.TEST_DATA: tr("is the test data now"),
}
SILENT = tr("The worker has not said a word")  # how the message about it begins


class UserActions(QObject):
    """Does what menus, buttons and drops ask for, on the form in use and a `RunSession`. It has no widgets.

    What waits its turn is in ``queue``.
    """

    told = Signal(object)  # Message
    outdated = Signal(str)  # the text of a message that is true no longer
    compare_requested = Signal(object)  # the adapter's folder (Path)
    export_requested = Signal(object)  # the run's folder (Path)
    chat_requested = Signal(object)
    serve_requested = Signal(object)
    bundle_requested = Signal(object)  # the form's TrainConfig
    remote_requested = Signal(object)  # likewise
    hosts_requested = Signal(object)  # the same
    run_asked = Signal()  # a person asked to see the run that is shown now

    def __init__(self, forms: Forms, session: RunSession, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.forms = forms
        self._session = session
        self._started = forms.in_use
        self.is_told_beside: Callable[[], bool] = lambda: False  # whether the panel with the run's end is in sight
        self._trashed: Path | None = None  # the run that was shown when it went to the Trash
        self.queue = QueueSession(session, self)
        self.queue.told.connect(self.told)
        forms.told.connect(self.told)
        session.ended.connect(self._on_ended)
        session.silent.connect(self._tell_silence)

    # -- runs -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts a run of the form; errors hold it back and are named."""
        self.start_on(None)

    def start_on(self, hostfile: Hostfile | None, *, beside: bool = False) -> None:
        """The same, on the machines of a hostfile; ``beside`` says that a person wants it though another trains."""
        if self._session.is_live:
            self._refuse(tr("A run is training. Stop it before you start the next."))
            return
        if not self._is_ready(tr("The run cannot start yet.")):
            return
        if not beside and self._is_beside(None, partial(self.start_on, hostfile, beside=True)):
            return
        self._started = self.forms.in_use
        try:
            self._session.start(self.forms.store.config, hostfile)
        except OSError as error:
            said = tr(
                "The run's folder cannot be made: {reason_of} ({filename}).",
                reason_of=reason_of(error),
                filename=error.filename,
            )
            self._tell(tr("{said} Choose another folder for runs in the settings.", said=said), "error")

    def _is_beside(self, path: Path | None, act: Callable[[], None]) -> bool:
        """Asks before a second run trains at the same time: whether another than that in ``path`` does."""
        others = [run for run in training_runs() if run.path != path]
        if others:
            said = tr("{name} is training already. {beside}", name=known_name(others[0]), beside=BESIDE)
            self.told.emit(Notice(said, "warning", tr("Train beside it"), act, others[0].is_running, passes=True))
        return bool(others)

    def enqueue(self) -> None:
        """Puts the form as it is now at the end of the queue; errors hold it back and are named."""
        if not self._is_ready(tr("The setup cannot be queued yet.")):
            return
        config = self.forms.store.config
        taken = {folder_word(one.name).casefold() for one in self.queue.state.entries} | taken_words(runs_dir())
        entry = make_entry(config.with_value("adapter_name", unique_name(config.adapter_name, taken)))
        if self.queue.add([entry]):
            place = self._place_text(entry.id)
            said = tr("“{name}” is in the queue now. {line_text}", name=entry.name, line_text=place)
            show = self.queue.shown_requested.emit
            is_so = lambda: self.queue.waits(entry.id) and self._place_text(entry.id) == place  # noqa: E731
            self.told.emit(Notice(said, "info", tr("Show the queue"), show, is_so))

    def _place_text(self, key: str) -> str:
        """When an entry that waits is trained: what is before it, and whether anything trains at all."""
        queue, state = self.queue, self.queue.state
        before = [one.id for one in state.waiting].index(key) + (state.running is not None)
        if state.mode == "running" and (queue.is_working or queue.is_elsewhere):
            return line_text(before)
        if state.mode == "paused" or queue.is_interrupted:
            waits = tr("The queue is paused: press “Go on” in Runs.")
        else:
            waits = tr("It waits until the queue is started: press “Start queue” in Runs.")
        return f"{line_text(before)} {waits}" if before else waits

    def run_on(self) -> None:
        """Asks where to run the form; errors hold it back and are named."""
        if not self._is_ready(tr("The run cannot start yet.")):
            return
        self.remote_requested.emit(self.forms.store.config)

    def bundle(self) -> None:
        """Asks how to seal the form for another machine; errors hold it back and are named."""
        if not self._is_ready(tr("The setup cannot be bundled yet.")):
            return
        self.bundle_requested.emit(self.forms.store.config)

    def hosts(self) -> None:
        """Asks on which machines to train the form; errors hold it back and are named."""
        if self._is_ready(tr("The run cannot start yet.")):
            self.hosts_requested.emit(self.forms.store.config)

    def _is_ready(self, not_yet: str) -> bool:
        """Whether the form in use can be worked with, and is saved then; else what stands in the way is told."""
        if found := errors(self.forms.in_use.find_problems()):
            self.hold_back(found, not_yet)
            return False
        if self._is_checking():
            return False
        self.outdated.emit(not_yet)
        self.forms.store.save_form()
        return True

    def _is_checking(self) -> bool:
        """Says so while model and data are read: what is wrong with them is not known yet."""
        if checking := self.forms.in_use.is_checking():
            said = tr("The model and the data are still being read. Ask again when that is done.")
            self.told.emit(Notice(said, holds=self.forms.in_use.is_checking))
        return checking

    def hold_back(self, found: list[Problem], said: str) -> None:
        """Says that something cannot be done yet, and why, while any of it is so; shows the first field that is in
        the way."""
        lines = "\n".join(problem.sentence() for problem in found)
        path, form = found[0].path, self.forms.in_use

        def show() -> None:
            self.forms.shown_requested.emit(path)

        def holds() -> bool:
            return any(problem in found for problem in form.find_problems())

        self.told.emit(Notice(f"{said}\n{lines}", "error", tr("Show"), show, holds, about=said))
        self.forms.shown_requested.emit(path)

    def open_run(self, path: Path) -> None:
        """Shows the run in a folder."""
        if self._session.is_live and not self._session.is_attached:
            self._refuse(tr("A run is training. Its curves stay here until it has ended."))
            return
        if not RunDir(path).config.is_file():
            self._tell(tr("{path} is not a run: it has no config.yaml.", path=path), "error")
            return
        self._session.open(path)
        self.run_asked.emit()

    def leave_trashed(self, runs: Sequence[RunDir]) -> None:
        """A run that is in the Trash now is not shown as if it were there."""
        shown = self._session.run
        if shown is not None and not self._session.is_live and shown.path in {one.path.resolve() for one in runs}:
            self._trashed = shown.path
            self._session.leave()

    def show_brought_back(self, paths: Sequence[Path]) -> None:
        """The run that was shown when it went to the Trash is shown again, unless another is by now."""
        if self._trashed in {path.resolve() for path in paths} and self._session.run is None:
            self._session.open(self._trashed)
        self._trashed = None

    def resume_run(self) -> None:
        """Goes on with the shown run."""
        if (run := self._shown()) is not None and self._session.can_resume:
            self._session.resume(run.path)

    def go_on(
        self, path: Path, extend_to: int | None = None, *, as_before: bool = False, beside: bool = False
    ) -> None:
        """Shows a run and goes on with it: to its end, or up to ``extend_to`` iterations.

        With ``as_before`` a config that was changed since is put back first.
        """
        if self._session.is_live:
            self._refuse(tr("A run is training. Stop it before you go on with another."))
            return
        again = partial(self.go_on, path, extend_to, as_before=as_before, beside=True)
        if not beside and self._is_beside(path, again):
            return
        self._session.resume(path, extend_to=extend_to, as_before=as_before)
        self.run_asked.emit()

    def compare_run(self) -> None:
        """Asks for the Compare tab with the shown run's adapter."""
        if (run := self._shown()) is not None and self._session.has_adapter:
            self.compare_requested.emit(run.adapters)

    def export_run(self) -> None:
        """Asks for the export dialog with the shown run."""
        if (run := self._shown()) is not None and self._session.has_adapter:
            self.export_requested.emit(run.path)

    def chat_run(self) -> None:
        """Asks for the chat with the shown run."""
        if (run := self._shown()) is not None and self._session.has_adapter:
            self.chat_requested.emit(run.path)

    def serve_run(self) -> None:
        """Asks for the endpoint's dialog with the shown run."""
        if (run := self._shown()) is not None and self._session.has_adapter:
            self.serve_requested.emit(run.path)

    def _shown(self) -> RunDir | None:
        """The shown run; one whose folder is gone meanwhile is told, and shown no longer."""
        run = self._session.run
        if run is None or run.path.is_dir():
            return run
        name = self._session.name
        if not self._session.is_live:
            self._session.leave()
        said = tr("{name} is no longer there: {path} was moved or deleted.", name=name, path=run.path)
        self.told.emit(Notice(said, "error", holds=lambda: not run.path.exists()))
        return None

    def extend_run(self, iterations: int) -> None:
        """Goes on with the shown run, up to so many iterations in all."""
        if (run := self._shown()) is not None:
            self.go_on(run.path, iterations)

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        run, state = self._session.run, self._session.state
        if run is None or self.queue.tells_of(run):
            return
        if outcome.ok:
            self._tell_result(run, state, outcome)
        elif outcome.failure is not None and outcome.failure.path == AS_BEFORE:
            as_before = partial(self.go_on, run.path, self._session.asked_end, as_before=True)
            go_on = tr("Go on with the old values")
            self.told.emit(Notice(outcome.failure.message, "error", go_on, as_before, self._as_told(run)))
        elif self._session.can_resume:
            if not self.is_told_beside():
                resume = partial(self._resume_told, run)
                holds = self._is_shown_ended(run, folded=True)
                self.told.emit(Notice(outcome.sentence(), "error", tr("Resume"), resume, holds))
        elif outcome.failure is not None and outcome.failure.path:
            path, form = outcome.failure.path, self._started

            def show() -> None:
                self.forms.use(form.store)
                self.forms.shown_requested.emit(path)

            self.told.emit(Notice(outcome.sentence(), "error", tr("Show"), show, self._is_shown_ended(run)))
        elif not self.is_told_beside():
            holds = self._is_shown_ended(run, folded=True)
            self.told.emit(Notice(outcome.sentence(), "error", holds=holds))

    def _is_shown_ended(self, run: RunDir, *, folded: bool = False) -> Callable[[], bool]:
        """Whether the run that ended is still what is shown: a sentence without its name is about no other."""
        session = self._session
        return lambda: session.run == run and not session.is_live and not (folded and self.is_told_beside())

    def _tell_silence(self, seconds: int) -> None:
        said = tr(
            "{silent} for {seconds}: a long step, or it is stuck.", silent=SILENT, seconds=duration_text(seconds)
        )
        self.told.emit(Notice(said, "warning", tr("End it"), self._session.kill))

    def _as_told(self, run: RunDir) -> Callable[[], bool]:
        """Whether a run's end is still as it is told now: it has not gone on, is called the same, and is there."""
        session, name = self._session, self._session.name

        def holds() -> bool:
            shown = session.run is not None and session.run.path == run.path
            return run.config.is_file() and not (shown and (session.is_live or session.name != name))

        return holds

    def _resume_told(self, run: RunDir) -> None:
        """Goes on with the run that a message is about, which need not be the one that is shown by now."""
        if self._session.run is not None and self._session.run.path == run.path:
            self.resume_run()
        else:
            self.go_on(run.path)

    def _tell_result(self, run: RunDir, state: RunState, outcome: WorkerOutcome) -> None:
        name, holds = self._session.name, self._as_told(run)
        kind: NoticeKind = "good"
        best = self._session.history.best
        if state is RunState.PARKED:
            resume = partial(self._resume_told, run)
            if outcome.finished is not None and outcome.finished.message.startswith(DISK_FULL):
                self.told.emit(Notice(outcome.finished.message, "error", tr("Resume"), resume, holds))
                return
            said = tr(
                "{name} is paused at iteration {iteration:,}; its memory is free.",
                name=name,
                iteration=self._session.history.iteration,
            )
            self.told.emit(Notice(said, "info", tr("Resume"), resume, holds))
            return
        if not self._session.has_adapter:
            self._tell(tr("{name} was stopped before there was anything to save.", name=name))
            return
        if state is RunState.STOPPED:
            said = tr(
                "{name} was stopped at iteration {iteration:,}; the adapter is saved.",
                name=name,
                iteration=self._session.history.iteration,
            )
        elif self._session.history.never_improved:
            kind = "warning"
            said = tr("{name} has ended, and no measurement was better than the untrained model's.", name=name)
        elif best is not None and best.iteration and self._session.history.is_rewarded:
            said = tr(
                "{name} is ready. Best mean reward {value}, at iteration {iteration:,}.",
                name=name,
                value=loss_text(-best.val_loss),
                iteration=best.iteration,
            )
        elif best is not None and best.iteration:
            said = tr(
                "{name} is ready. Best validation loss {val_loss}, at iteration {iteration:,}.",
                name=name,
                val_loss=loss_text(best.val_loss),
                iteration=best.iteration,
            )
        else:
            said = tr("{name} is ready.", name=name)
        compare = partial(self.compare_requested.emit, run.adapters)
        self.told.emit(Notice(said, kind, tr("Compare base and tuned"), compare, holds))

    # -- files ------------------------------------------------------------------------------------------------

    def take_files(self, names: Sequence[str]) -> None:
        """Puts files where a drop would put them (the command line, the system's "open with")."""
        self.take(sort_paths([typed_path(name).resolve() for name in names]))

    def take(self, sorted_paths: Sequence[SortedPath]) -> None:
        """Puts dropped files where they belong, and says what was done with each."""
        for found in sorted_paths:
            if found.kind not in TAKEN_AS and found.kind is not PathKind.UNUSABLE:
                self._take_other(found)
        values = [found for found in sorted_paths if found.kind in TAKEN_AS]
        if values:
            self._take_values(values)
        if refused := [found.reason for found in sorted_paths if found.kind is PathKind.UNUSABLE]:
            self._tell("\n".join(dict.fromkeys(refused)), "warning")

    def _take_other(self, found: SortedPath) -> None:
        if found.kind is PathKind.CONFIG:
            self.forms.open_config(found.path)
        elif found.kind is PathKind.RUN:
            self.open_run(found.path)
        else:
            self.compare_requested.emit(found.path)

    def _take_values(self, found: Sequence[SortedPath]) -> None:
        problem = self.forms.store.take(found)
        if problem is not None:
            self._tell(problem.sentence(), "error")
            return
        self.forms.shown_requested.emit("")
        self._tell(" ".join(f"{one.path.name} {TAKEN_AS[one.kind]}." for one in found))

    def _refuse(self, text: str) -> None:
        """What cannot be while a run trains: told while one does, or until a person goes on with something else."""
        self.told.emit(Notice(text, "warning", holds=lambda: self._session.is_live, passes=True))

    def _tell(self, text: str, kind: NoticeKind = "info") -> None:
        self.told.emit(Notice(text, kind))
