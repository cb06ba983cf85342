"""The workshop: what the user can ask for with configs, runs and dropped files, and what he is told about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.core.config.train_config import TrainConfig
from app.core.method.method import Method
from app.core.problem import Problem, UnusableError, errors
from app.core.queue.queue import line_text, make_entry
from app.core.run.folder import RunDir
from app.core.setup.config_file import load_config, save_config
from app.core.setup.path_kind import Landing, Place, land
from app.core.setup.trial import trial_config
from app.core.source.collection import collect
from app.core.system.setting import load_settings, save_settings
from app.ui.form.store import ConfigStore
from app.ui.queue.session import QueueSession
from app.ui.run.session import RunSession, RunState
from app.ui.widget.message_bar import Kind, Message
from app.ui.worker.process import WorkerOutcome

FIELDS: dict[Place, str] = {
    Place.MODEL: "model",
    Place.DATA: "data",
    Place.VALID_DATA: "valid_data",
    Place.TEST_DATA: "test_data",
}
DONE: dict[Place, str] = {
    Place.MODEL: "is the model now",
    Place.DATA: "is the training data now",
    Place.VALID_DATA: "is the validation data now",
    Place.TEST_DATA: "is the test data now",
}


@dataclass(frozen=True, slots=True)
class Form:
    """A form that runs are made in: its config, and what holds it back."""

    store: ConfigStore
    find_problems: Callable[[], Sequence[Problem]]


class Workshop(QObject):
    """Does what menus, buttons and drops ask for, on the form in use and a `RunSession`. It has no widgets.

    The form in use is that of the Setup tab or, where `add_enhanced` gave it, of the Enhanced Setup tab. What waits
    its turn is in ``queue``.
    """

    told = Signal(object)  # Message
    setup_requested = Signal(str)  # show the form in use, at this field if one is named
    compare_requested = Signal(object)  # the adapter's folder (Path)

    def __init__(
        self,
        store: ConfigStore,
        session: RunSession,
        parent: QObject | None = None,
        *,
        find_problems: Callable[[], Sequence[Problem]] = lambda: (),
    ) -> None:
        super().__init__(parent)
        self._form = self._started = Form(store, find_problems)
        self._plain, self._enhanced = self._form, self._form
        self._session = session
        self._undone: tuple[Form, TrainConfig] | None = None
        self._adapter: Path | None = None
        self.queue = QueueSession(session, self)
        self.queue.told.connect(self.told)
        session.ended.connect(self._on_ended)

    # -- forms ------------------------------------------------------------------------------------------------

    @property
    def store(self) -> ConfigStore:
        """The config of the form in use."""
        return self._form.store

    def add_enhanced(self, store: ConfigStore, find_problems: Callable[[], Sequence[Problem]]) -> None:
        """Gives the form that has methods: configs of preference and reward training go there."""
        self._enhanced = Form(store, find_problems)

    def use(self, store: ConfigStore) -> None:
        """Says which form is in use."""
        self._form = self._enhanced if store is self._enhanced.store else self._plain

    # -- config -----------------------------------------------------------------------------------------------

    def open_config(self, path: Path) -> None:
        """Takes a config file over into the form."""
        try:
            loaded = load_config(path)
        except UnusableError as error:
            self._tell(f"{path.name} was not opened.\n{error}", "error")
            return
        self.take_config(loaded.config)
        self.remember(path)
        kept = [problem.path for problem in loaded.problems]
        said = f"Opened {path.name}."
        if kept:
            said += f" Keys that Luthier does not use are kept: {', '.join(kept)}."
        self.told.emit(Message(said, "info", "Undo", self.undo))

    def take_config(self, config: TrainConfig) -> None:
        """Puts a whole config into the form that it belongs to, and shows that."""
        self._replace(config)
        self.setup_requested.emit("")

    def set_up_trial(self, method: Method) -> None:
        """Fills the form with a short run of a method on the starter."""
        self._form = self._enhanced
        self._replace(trial_config(method))
        said = f"The form is set for a trial of {method.label} on the starter. Press Start."
        self.told.emit(Message(said, "info", "Undo", self.undo))

    def save_config(self, path: Path) -> None:
        """Writes the form as a config file."""
        path = path if path.suffix else path.with_suffix(".yaml")
        try:
            save_config(self.store.config, path)
        except OSError as error:
            self._tell(f"The config was not saved: {error.strerror or error} ({path}).", "error")
            return
        self.remember(path)
        self._tell(f"Saved as {path}.")

    def reset(self) -> None:
        """Puts the form back to the defaults."""
        self._undone = self._form, self.store.config
        self.store.reset()
        said = "The form is back to its defaults; model and data stay."
        self.told.emit(Message(said, "info", "Undo", self.undo))

    def undo(self) -> None:
        """Brings back the form as it was before a config was opened or the form was reset."""
        if self._undone is not None:
            self._form, config = self._undone
            self._undone = self._form, self.store.config
            self.store.replace(config)

    def remember(self, path: Path) -> None:
        """Puts a config among the recent ones."""
        save_settings(load_settings().with_recent("recent_configs", str(path)))

    def _replace(self, config: TrainConfig) -> None:
        if config.train_mode != "sft":
            self._form = self._enhanced
        self._undone = self._form, self.store.config
        self.store.replace(config)

    # -- runs -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts a run of the form; errors hold it back and are named."""
        if self._session.is_live:
            self._tell("A run is training. Stop it before you start the next.", "warning")
            return
        if found := errors(self._form.find_problems()):
            self._hold_back(found, "The run cannot start yet.")
            return
        self.store.save_form()
        self._started = self._form
        try:
            self._session.start(self.store.config)
        except OSError as error:
            said = f"The run's folder cannot be made: {error.strerror or error} ({error.filename})."
            self._tell(f"{said} Choose another folder for runs in the settings.", "error")

    def enqueue(self) -> None:
        """Puts the form as it is now at the end of the queue; errors hold it back and are named."""
        if found := errors(self._form.find_problems()):
            self._hold_back(found, "The setup cannot be queued yet.")
            return
        self.store.save_form()
        entry = make_entry(self.store.config)
        if self.queue.add([entry]):
            before = len(self.queue.state.waiting) - 1 + (self.queue.state.running is not None)
            said = f"“{entry.name}” is in the queue now. {line_text(before)}"
            self.told.emit(Message(said, "info", "Show the queue", self.queue.shown_requested.emit))

    def _hold_back(self, found: list[Problem], said: str) -> None:
        lines = "\n".join(problem.sentence() for problem in found)
        path = found[0].path

        def show() -> None:
            self.setup_requested.emit(path)

        self.told.emit(Message(f"{said}\n{lines}", "error", "Show", show))
        self.setup_requested.emit(path)

    def open_run(self, path: Path) -> None:
        """Shows the run in a folder."""
        if self._session.is_live:
            self._tell("A run is training. Its curves stay here until it has ended.", "warning")
            return
        if not (path / "config.yaml").is_file():
            self._tell(f"{path} is not a run: it has no config.yaml.", "error")
            return
        self._session.open(path)

    def resume_run(self) -> None:
        """Goes on with the shown run."""
        if self._session.run is not None and self._session.can_resume:
            self._session.resume(self._session.run.path)

    def go_on(self, path: Path, extend_to: int | None = None) -> None:
        """Shows a run and goes on with it: to its end, or up to ``extend_to`` iterations."""
        if self._session.is_live:
            self.told.emit(Message("A run is training. Stop it before you go on with another.", "warning"))
            return
        self._session.resume(path, extend_to=extend_to)

    def compare_run(self) -> None:
        """Asks for the Compare tab with the shown run's adapter."""
        if self._session.run is not None and self._session.has_adapter:
            self.compare_requested.emit(self._session.run.adapters)

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        run, state = self._session.run, self._session.state
        if run is None or self.queue.tells_of(run):
            return
        if outcome.ok:
            self._tell_result(run, state)
        elif self._session.can_resume:
            self.told.emit(Message(outcome.sentence(), "error", "Resume", self.resume_run))
        elif outcome.failure is not None and outcome.failure.path:
            path, form = outcome.failure.path, self._started

            def show() -> None:
                self._form = form
                self.setup_requested.emit(path)

            self.told.emit(Message(outcome.sentence(), "error", "Show", show))
        else:
            self._tell(outcome.sentence(), "error")

    def _tell_result(self, run: RunDir, state: RunState) -> None:
        name = self._session.config.adapter_name if self._session.config is not None else run.name
        best = self._session.history.best
        if state is RunState.PARKED:
            said = f"{name} is paused at iteration {self._session.history.iteration:,}; its memory is free."
            self.told.emit(Message(said, "info", "Resume", self.resume_run))
            return
        if not self._session.has_adapter:
            self._tell(f"{name} was stopped before there was anything to save.")
            return
        if state is RunState.STOPPED:
            said = f"{name} was stopped at iteration {self._session.history.iteration:,}; the adapter is saved."
        elif best is not None and self._session.history.is_rewarded:
            said = f"{name} is ready. Best mean reward {-best.val_loss:.3f}, at iteration {best.iteration:,}."
        elif best is not None:
            said = f"{name} is ready. Best validation loss {best.val_loss:.3f}, at iteration {best.iteration:,}."
        else:
            said = f"{name} is ready."
        self._adapter = run.adapters
        self.told.emit(Message(said, "good", "Compare base and tuned", self._compare_result))

    def _compare_result(self) -> None:
        self.compare_requested.emit(self._adapter)

    # -- files ------------------------------------------------------------------------------------------------

    def take_files(self, names: Sequence[str]) -> None:
        """Puts files where a drop would put them (the command line, the system's "open with")."""
        self.take([land(Path(name).expanduser().resolve()) for name in names])

    def take(self, landings: Sequence[Landing]) -> None:
        """Puts dropped files where they belong, and says what was done with each."""
        done: list[str] = []
        refused: list[str] = []
        chosen: dict[str, list[Path]] = {}
        for found in landings:
            if found.place in FIELDS:
                chosen.setdefault(FIELDS[found.place], []).append(found.path)
                done.append(f"{found.path.name} {DONE[found.place]}.")
            elif found.place is Place.NOWHERE:
                refused.append(found.reason)
            else:
                self._take_other(found)
        if chosen:
            self._take_paths(chosen, done)
        if refused:
            self._tell("\n".join(refused), "warning")

    def _take_paths(self, chosen: dict[str, list[Path]], done: list[str]) -> None:
        """Several data files of one kind are taken together; of several models the last one is."""
        try:
            values = {
                name: str(paths[-1] if name == FIELDS[Place.MODEL] else collect(paths))
                for name, paths in chosen.items()
            }
        except OSError as error:
            self._tell(f"The files cannot be put together: {error.strerror or error}.", "error")
            return
        self._take_values(values, done)

    def _take_other(self, found: Landing) -> None:
        if found.place is Place.CONFIG:
            self.open_config(found.path)
        elif found.place is Place.RUN:
            self.open_run(found.path)
        else:
            self.compare_requested.emit(found.path)

    def _take_values(self, values: dict[str, str], done: list[str]) -> None:
        problem = self.store.set_many(values)
        if problem is not None:
            self._tell(problem.sentence(), "error")
            return
        self.setup_requested.emit("")
        self._tell(" ".join(done))

    def _tell(self, text: str, kind: Kind = "info") -> None:
        self.told.emit(Message(text, kind))
