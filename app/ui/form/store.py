"""The config of a form: one object that every field of it reads and writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from PySide6.QtCore import QObject, QTimer, Signal

from app.core.config.spec import field_specs
from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.refusal import reason_of
from app.core.setup.config_file import load_config, save_config, validation_problems
from app.core.setup.default import FOLLOWING, decay_values, is_starters, new_setup, starter_values
from app.core.setup.path_kind import SortedPath, config_values
from app.core.system import place
from app.core.system.atomic_file import set_aside
from app.core.system.setting import load_settings

AUTOSAVE_DELAY_MS = 400
MOST_UNDONE = 200  # changes
_Step = tuple[TrainConfig, frozenset[str]]  # a config, and which of its values follow
# How the rows of the training data are found and read, and which of them somebody chose to do without.
OF_THE_DATA = {
    "data_format", "prompt_feature", "completion_feature", "chat_feature", "text_feature", "system_feature",
    "group_feature", "sheet", "encoding", "answers_by", "skip_bad_rows", "skip_bad_answers",
}  # fmt: skip


class ConfigStore(QObject):
    """Holds the current `TrainConfig`; ``changed(path)`` names the field that changed, "" means any of them.

    ``defaults`` are what the form begins with and goes back to; without them the declared ones. What a new setup
    works out by itself (``following``) is told with `follow`, and stays as it is once somebody sets it.
    """

    changed = Signal(str)
    stepped = Signal(object)  # the paths that undo or redo changed, after them
    brought = Signal(object)  # the paths that the starter's model or data set besides, after them

    def __init__(
        self,
        parent: QObject | None = None,
        *,
        autosave: Path | None = None,
        defaults: TrainConfig | None = None,
        following: frozenset[str] = FOLLOWING,
    ) -> None:
        super().__init__(parent)
        self._defaults = defaults if defaults is not None else TrainConfig()
        self._config = self._defaults
        self._new_following = self._following = following
        self._followed: dict[str, Any] = {}  # what was worked out last
        self._past: list[_Step] = []
        self._future: list[_Step] = []
        self._typed_now = self._typed_last = ""  # the path that is typed into, and the one whose step is still open
        self._notes: tuple[Problem, ...] = ()
        self._autosave = autosave
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(AUTOSAVE_DELAY_MS)
        self._timer.timeout.connect(self.save_form)

    @property
    def config(self) -> TrainConfig:
        """The current config; frozen, so it can be kept and compared."""
        return self._config

    @property
    def notes(self) -> tuple[Problem, ...]:
        """What of another trainer's file could not be taken over; a field that is edited loses its own."""
        return self._notes

    def value(self, path: str) -> Any:
        """The value at a dotted path."""
        return self._config.value(path)

    def set(self, path: str, value: Any) -> Problem | None:
        """Sets one value; returns why not if it is out of range (then nothing changed)."""
        return self.set_many({path: value})

    def set_many(self, values: dict[str, Any]) -> Problem | None:
        """Sets several values at once, all or none. ``changed`` fires once a value that differs.

        How a data set is read belongs to it: with another one that goes back to being detected, unless ``values``
        say something of it as well.
        """
        is_other_data = self._config.data and values.get("data", self._config.data) != self._config.data
        if is_other_data and not OF_THE_DATA & values.keys():
            values = {path: self._defaults.value(path) for path in OF_THE_DATA} | values
        given_back: frozenset[str] = frozenset()
        for part in ("model", "data"):
            if part in values and is_starters(part, self._config.value(part)):
                lent = self._lent(part, values)
                given_back |= FOLLOWING & lent.keys()
                values = lent | values
        if "optimizer" in values:  # a file may have settings of the one that is chosen now
            values = decay_values(str(values["optimizer"]), self._config.optimizer_config) | values
        different = {path: value for path, value in values.items() if self._config.value(path) != value}
        before = self._config, self._following
        self._following = self._following - values.keys() | given_back
        if not different:
            if self._following != before[1]:  # somebody set what was worked out already: that stays, also on disk
                self._timer.start()
            return None
        try:
            self._config = self._config.with_values(different)
        except ValidationError as error:
            self._following = before[1]
            return validation_problems(error)[0]
        self._remember(before)
        self._notes = tuple(one for one in self._notes if one.path not in different)
        for path in different:
            self.changed.emit(path)
        self._timer.start()
        return None

    def _lent(self, part: str, values: dict[str, Any]) -> dict[str, Any]:
        """What the starter's model or data brought and nobody has changed, put back as they go."""
        if values[part] == self._config.value(part):
            return {}
        brought = starter_values(part, self._config)
        same = [path for path, value in brought.items() if self._config.value(path) == value]
        return {path: self._defaults.value(path) for path in same}

    def choose(self, path: str, chosen: str) -> Problem | None:
        """Sets a path as a person chose it; the starter's model or data bring the settings of its own config."""
        brought = starter_values(path, self._config) if is_starters(path, chosen) else {}
        other = [one for one, value in brought.items() if self._config.value(one) != value]
        problem = self.set_many({path: chosen} | brought)
        if other and problem is None:
            self.brought.emit(other)
        return problem

    # -- what follows -----------------------------------------------------------------------------------------

    @property
    def following(self) -> frozenset[str]:
        """The paths whose values are worked out, because nobody has set them."""
        return self._following

    def follow(self, values: dict[str, Any]) -> None:
        """Tells what was worked out; it is taken where nobody has set anything, and is no change to take back."""
        others = [path for path, value in values.items() if self._followed.get(path) != value]
        self._followed |= values
        found = {path: value for path, value in values.items() if path in self._following}
        # A field also shows whether its value is the one that it goes back to.
        self._take_in(
            found, [path for path in others if path not in found or self._config.value(path) == values[path]]
        )

    def derive(self, path: str, value: Any) -> None:
        """Takes what another field's value comes to: a part of the change that it follows, and no step of its own.

        What the field cannot hold is not taken.
        """
        with suppress(ValidationError):
            self._take_in({path: value})

    def _take_in(self, values: dict[str, Any], besides: Iterable[str] = ()) -> None:
        different = {path: value for path, value in values.items() if self._config.value(path) != value}
        if different:
            self._config = self._config.with_values(different)
            self._timer.start()
        for path in (*different, *besides):
            self.changed.emit(path)

    def follow_again(self, path: str) -> None:
        """Lets a field that was put back to its default follow again, if it is one that does."""
        self._following |= self._new_following & {path}

    def take(self, found: Iterable[SortedPath]) -> Problem | None:
        """Sets what dropped paths are for, as `set_many`: the one door for drops, wherever they fell."""
        try:
            values = config_values(found)
        except OSError as error:
            return Problem("", tr("The files cannot be put together: {reason_of}.", reason_of=reason_of(error)))
        return self.set_many(values)

    def replace(self, config: TrainConfig, notes: Iterable[Problem] = ()) -> None:
        """Takes over a whole config (a file opened, a run duplicated, Reset), with what is to be noted of it."""
        config = _editable(config)
        if config != self._config:
            self._remember((self._config, self._following))
        self._put((config, frozenset()), notes)

    @contextmanager
    def typing(self, path: str) -> Iterator[None]:
        """What is set inside was typed into a field: with all that follows there it is one step, until `settle`."""
        self._typed_now = path
        try:
            yield
        finally:
            self._typed_now = ""

    def settle(self) -> None:
        """What was typed so far is a step of its own: the field was left."""
        self._typed_last = ""

    def _put(self, step: _Step, notes: Iterable[Problem] = ()) -> None:
        (self._config, self._following), self._notes = step, tuple(notes)
        self.changed.emit("")
        self._timer.start()

    # -- undo -------------------------------------------------------------------------------------------------

    @property
    def can_undo(self) -> bool:
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        return bool(self._future)

    @property
    def previous(self) -> TrainConfig | None:
        """Where undo leads to, the very object; None where it leads nowhere."""
        return self._past[-1][0] if self._past else None

    def undo(self) -> None:
        """Takes the last change back, whatever made it."""
        if self._past:
            self._step(self._past, self._future)

    def redo(self) -> None:
        """Makes the change again that was taken back last."""
        if self._future:
            self._step(self._future, self._past)

    def _step(self, taken: list[_Step], put: list[_Step]) -> None:
        put.append((self._config, self._following))
        before = self._config
        self.settle()
        self._put(taken.pop())
        self.stepped.emit([path for path in field_specs() if before.value(path) != self._config.value(path)])

    def _remember(self, before: _Step) -> None:
        """Keeps what was there; what was typed further, and typed back, is no step more."""
        self._future = []
        if not self._typed_now or self._typed_now != self._typed_last:
            self._past = [*self._past[-MOST_UNDONE + 1 :], before]
        elif self._past[-1][0] == self._config:
            self._past = self._past[:-1]
            self._typed_last = ""
            return
        self._typed_last = self._typed_now

    def reset(self) -> None:
        """Back to the defaults; model and data stay, because finding them again is the tedious part."""
        kept = {path: self.value(path) for path in ("model", "data", "valid_data", "test_data")}
        followed = {path: value for path, value in self._followed.items() if path in self._new_following}
        config = self._defaults.with_values(kept | followed)
        if config != self._config:
            self._remember((self._config, self._following))
        self._put((config, self._new_following))

    def default(self, path: str) -> Any:
        """What a field goes back to; for one that follows, what it would be."""
        own = self._defaults.value(path)
        return self._followed.get(path, own) if path in self._new_following else own

    def is_default(self, path: str) -> bool:
        """True if the value is the one that the field goes back to, or is worked out: nobody has set it."""
        return path in self._following or bool(self.value(path) == self.default(path))

    def set_defaults(self, defaults: TrainConfig, following: frozenset[str] = FOLLOWING) -> None:
        """Changes what the form goes back to, and which of that follows; the values stay."""
        if (defaults, following) != (self._defaults, self._new_following):
            self._defaults, self._new_following = defaults, following
            self.changed.emit("")

    def restore_form(self) -> list[Problem]:
        """Takes over the autosaved form; what is wrong with it is returned, and the defaults stay."""
        path = self._autosave
        if path is None or not path.exists():
            return []
        try:
            loaded = load_config(path)
        except UnusableError as error:
            aside = set_aside(path)  # the next change of the form would take its place
            *others, last = error.problems
            return [*others, replace(last, hint=f"{last.hint} The file is kept as {aside}.".strip())]
        # Nothing that could be taken back: so the form was left.
        self._put((_editable(loaded.config), FOLLOWING - loaded.named))
        return []

    def save_form(self) -> None:
        """Writes the form now (also called when the window closes)."""
        self._timer.stop()
        if self._autosave is not None:
            save_config(self._config, self._autosave, self._following)


def _editable(config: TrainConfig) -> TrainConfig:
    """The same config, with nothing that the form has a field for said at another place as well; itself where
    there is no such thing."""
    values = decay_values(config.optimizer, config.optimizer_config)
    if all(config.value(path) == value for path, value in values.items()):
        return config
    try:
        return config.with_values(values)
    except ValidationError:  # a decay that the field does not take stays where it is
        return config


def form_store(parent: QObject | None = None) -> ConfigStore:
    """The store of the Setup form, autosaved in the user's data directory.

    It begins as the settings say; where their config cannot be used, with the declared values.
    """
    try:
        defaults, following = new_setup(load_settings().default_setup)
    except UnusableError:  # which the settings show, and the window tells
        defaults, following = new_setup("")
    return ConfigStore(parent, autosave=place.form_path(), defaults=defaults, following=following)
