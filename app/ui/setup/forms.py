"""The forms that runs are made in: which is in use, and the configs that are put into it, saved and taken back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.method.method import Method
from app.core.problem import Problem, UnusableError
from app.core.refusal import reason_of
from app.core.run.name import with_name
from app.core.setup.chosen_method import method_of
from app.core.setup.config_file import LoadedConfig, load_config, save_config
from app.core.setup.trial import trial_config
from app.core.system.setting import load_settings, save_settings
from app.ui.form.store import ConfigStore
from app.ui.message.bar import Notice, NoticeKind

NO_CONFIG = tr(
    "It has no key that Luthier, mlx-lm, mlx-lm-lora, axolotl, LLaMA-Factory or Unsloth would "
    "read: choose the file that names the model, the data or the settings."
)


@dataclass(frozen=True, slots=True)
class Form:
    """A form that runs are made in: its config, what holds it back, and whether that is still being found out."""

    store: ConfigStore
    find_problems: Callable[[], Sequence[Problem]]
    is_checking: Callable[[], bool] = lambda: False


class Forms(QObject):
    """The form of the Setup tab and, where `add_enhanced` gave it, that of the Enhanced Setup tab. No widgets."""

    told = Signal(object)  # Message
    shown_requested = Signal(str)  # show the form in use, at this field if one is named

    def __init__(
        self,
        store: ConfigStore,
        parent: QObject | None = None,
        *,
        find_problems: Callable[[], Sequence[Problem]] = lambda: (),
        is_checking: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(parent)
        self._in_use = self._plain = self._enhanced = Form(store, find_problems, is_checking)

    # -- which is in use --------------------------------------------------------------------------------------

    @property
    def in_use(self) -> Form:
        """The form that is asked of now: shown last, or given a config that only it can hold."""
        return self._in_use

    @property
    def store(self) -> ConfigStore:
        """The config of the form in use."""
        return self._in_use.store

    def add_enhanced(
        self,
        store: ConfigStore,
        find_problems: Callable[[], Sequence[Problem]],
        is_checking: Callable[[], bool] = lambda: False,
    ) -> None:
        """Gives the form that has methods: configs of preference and reward training go there."""
        self._enhanced = Form(store, find_problems, is_checking)

    def use(self, store: ConfigStore) -> None:
        """Says which form is in use."""
        self._in_use = self._enhanced if store is self._enhanced.store else self._plain

    # -- configs ----------------------------------------------------------------------------------------------

    def open_config(self, path: Path) -> None:
        """Takes a config file over into the form."""
        try:
            loaded = load_config(path)
        except UnusableError as error:
            self._tell(tr("{name} was not opened.\n{error}", name=path.name, error=error), "error")
            return
        if loaded.says_nothing:
            self._tell(tr("{name} was not opened. {no_config}", name=path.name, no_config=NO_CONFIG), "error")
            return
        before = self._in_use
        earlier = self._replace(loaded.config, loaded.problems if loaded.trainer else ())
        self.shown_requested.emit("")
        _remember(path)
        said = tr("Opened {name}{whose}. {told}", name=path.name, whose=_whose(loaded), told=loaded.told())
        self._tell_undoable(said.strip(), before, earlier)

    def take_config(self, config: TrainConfig) -> None:
        """Puts a whole config into the form that it belongs to, and shows that."""
        self._replace(config)
        self.shown_requested.emit("")

    def set_up_trial(self, method: Method) -> None:
        """Fills the form with a short run of a method on the starter."""
        before, self._in_use = self._in_use, self._enhanced
        earlier = self._replace(with_name(trial_config(method), ()))
        said = tr("The form is set for a trial of {label} on the starter. Press Start.", label=method.label)
        self._tell_undoable(said, before, earlier)

    def save_config(self, path: Path) -> None:
        """Writes the form as a config file."""
        path = path if path.suffix else path.with_suffix(".yaml")
        try:
            save_config(self.store.config, path)
        except OSError as error:
            self._tell(
                tr("The config was not saved: {reason_of} ({path}).", reason_of=reason_of(error), path=path),
                "error",
            )
            return
        _remember(path)
        self._tell(tr("Saved as {path}.", path=path))

    def reset(self) -> None:
        """Puts the form back to the defaults."""
        before, earlier = self._in_use, self.store.previous
        self.store.reset()
        self._tell_undoable(tr("The form is back to its defaults; model and data stay."), before, earlier)

    def _replace(self, config: TrainConfig, notes: Sequence[Problem] = ()) -> TrainConfig | None:
        """Gives where undo led before."""
        if not method_of(config).is_stock:
            self._in_use = self._enhanced
        earlier = self.store.previous
        self.store.replace(config, notes)
        return earlier

    def _tell(self, text: str, kind: NoticeKind = "info") -> None:
        self.told.emit(Notice(text, kind))

    def _tell_undoable(self, text: str, before: Form, earlier: TrainConfig | None) -> None:
        """Offers to undo the last change of the form in use, if it was one: where undo leads is not what it was
        ``earlier``. The form that was in use ``before`` is it then again."""
        store, previous = self.store, self.store.previous
        if previous is earlier:
            self._tell(text)
            return

        assert previous is not None

        def undo() -> None:
            if store.previous is previous:
                store.undo()
            else:  # the form was edited since
                store.replace(previous)
            self._in_use = before

        self.told.emit(Notice(text, "info", tr("Undo"), undo, lambda: store.config is not previous))


def _whose(loaded: LoadedConfig) -> str:
    return tr(", a config of {trainer}", trainer=loaded.trainer) if loaded.trainer else ""


def _remember(path: Path) -> None:
    """Puts a config among the recent ones."""
    save_settings(load_settings().with_recent("recent_configs", str(path)))
