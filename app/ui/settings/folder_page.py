"""Folders: where runs and models live, what these places are good for, and moving what is in them."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.core.config.field import FieldSpec
from app.core.language import inside, tr
from app.core.live.training_list import training_runs
from app.core.model.folder import hub_cache
from app.core.model.hub import models_place
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.run.folder import runs_dir
from app.core.system import place
from app.core.system.setting import keep_settings, load_settings
from app.core.upkeep.folder import folder_standing
from app.core.upkeep.moving import check_move, live_runs, place_within
from app.ui.form.path_editor import PathEditor
from app.ui.form.plain_part import note_label, quiet_button
from app.ui.form.settled_text import SettledText
from app.ui.model.job_progress import JobProgress
from app.ui.platform.file_panel import ask_folder
from app.ui.settings.mover import FolderMover
from app.ui.widget import theme
from app.ui.widget.card import Card

RUNS = FieldSpec("settings.runs_dir", tr("Folder for runs"), "path", "")
MOVE_TIP = tr("Takes all of it to another folder, or into a folder of its own there; new ones go there too")
MODELS = FieldSpec("settings.models_dir", tr("Folder for models"), "path", "")


class FolderCard(Card):
    """One of the folders, of a setting. What is typed says where new things go, once the line is left; *Move* takes
    the old ones along."""

    changed = Signal()

    def __init__(self, spec: FieldSpec, title: str, usual: str, note: str, parent: QWidget | None = None) -> None:
        super().__init__(title, note, parent)
        self.body.setSpacing(theme.SPACE)
        self._name = spec.path.rpartition(".")[2]
        self._destination = Path()
        self.editor = PathEditor(spec, self, folder=True, placeholder=usual)
        self.editor.line.setObjectName(spec.path)
        self.editor.line.setAccessibleName(spec.label)
        self.editor.set_value(getattr(load_settings(), self._name))
        self.typed = SettledText(self.editor.line)
        self.typed.settled.connect(self._keep)
        self.editor.chosen.connect(self.typed.settle)
        self.editor.edited.connect(self._show_standing)
        self.standing = note_label("", self)
        self.standing.setObjectName(f"{spec.path}.standing")
        self.move_button = quiet_button(
            f"{spec.path}.move",
            tr("Move what is there…"),
            MOVE_TIP,
            self,
        )
        self.move_button.clicked.connect(self._ask_where)
        self.stop_button = quiet_button(f"{spec.path}.stop", tr("Stop"), tr("Everything stays where it was"), self)
        self.stop_button.hide()
        self.progress = JobProgress(spec.path, self)
        self.mover = FolderMover(self)
        self.stop_button.clicked.connect(self.mover.cancel)
        self.mover.progressed.connect(self._on_progressed)
        self.mover.ended.connect(self._on_ended)
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        row.addWidget(self.move_button)
        row.addWidget(self.stop_button)
        row.addStretch(1)
        for part in (self.editor, self.standing):
            self.body.addWidget(part)
        self.body.addLayout(row)
        self.body.addWidget(self.progress)
        self._show_standing()

    def showEvent(self, shown: QShowEvent) -> None:
        """Runs may have come, and disks been filled, since it was looked at last."""
        super().showEvent(shown)
        if not self.mover.is_busy:
            self._show_standing()

    def present(self) -> Path:
        """Where things are now."""
        return runs_dir() if self._name == RUNS.path.rpartition(".")[2] else models_place(load_settings())

    def move_to(self, destination: Path) -> None:
        """Moves everything there; says why not where that cannot be."""
        source = self.present()
        live = sorted({*live_runs(runs_dir()), *(run.name for run in training_runs())})
        try:
            check_move(source, destination, live)
        except UnusableError as error:
            self.progress.say(" ".join(one.sentence() for one in error.problems), "error")
            return
        self._destination = destination
        self._show_busy(True)
        self.progress.begin(tr("Moving …"))
        self.mover.move(source, destination, self._settle)

    def _settle(self) -> None:
        """In the mover's thread: the new place is the one that counts, before the old one goes."""
        keep_settings(**{self._name: str(self._destination)})

    def _ask_where(self) -> None:
        chosen = ask_folder(self, tr("Move {text} to", text=inside(self.title.text())))
        if chosen:
            self.move_to(place_within(self.present(), Path(chosen)))

    def _keep(self) -> None:
        """Where it is no folder, the one before stays."""
        if self._show_standing():
            return
        text = str(self.editor.value() or "")
        self.typed.begin(self.editor.line.text())
        if text != getattr(load_settings(), self._name):
            keep_settings(**{self._name: text})
            self.changed.emit()

    def _show_standing(self) -> str:
        """Says what the folder is good for; the problem, if there is one."""
        found = folder_standing(self.editor.value() or str(self.present()))
        self.standing.setText(found.sentence())
        theme.set_role(self.standing, role="error" if found.problem else "small")
        there = self.present().is_dir()
        self.move_button.setEnabled(there)
        self.move_button.setToolTip(
            MOVE_TIP if there else tr("There is nothing in {present} yet", present=self.present())
        )
        return found.problem

    def _show_busy(self, busy: bool) -> None:
        self.stop_button.setVisible(busy)
        self.move_button.setEnabled(not busy)
        self.editor.setEnabled(not busy)

    def _on_progressed(self, done: float, total: float) -> None:
        said = event.Progressed(phase=tr("Copying"), done=int(done), total=int(total), in_bytes=True)
        self.progress.show_progress(said)

    def _on_ended(self, moved: bool, said: str) -> None:
        self._show_busy(False)
        self.progress.say(said, "good" if moved else "error")
        if moved:
            text = str(getattr(load_settings(), self._name))
            self.typed.begin(text)
            self.editor.set_value(text)
            self._show_standing()
            self.changed.emit()


class FolderPage(QWidget):
    """The cards of both folders. ``changed`` says that one of them is another now."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.runs = FolderCard(
            RUNS,
            tr("Runs"),
            str(place.data_dir() / "runs"),
            tr("New runs go there; earlier ones stay until they are moved."),
            self,
        )
        self.models = FolderCard(
            MODELS, tr("Models"), tr("Hugging Face cache: {hub_cache}", hub_cache=hub_cache()),
            tr("Downloads and conversions go there. The cache is Hugging Face's own: HF_HOME says "
"where it is."), self,
        )  # fmt: skip
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE * 2, 0, 0)
        layout.setSpacing(theme.SPACE * 3 // 2)
        for card in self.cards:
            layout.addWidget(card)
            card.changed.connect(self.changed)
        layout.addStretch(1)

    @property
    def cards(self) -> tuple[FolderCard, FolderCard]:
        return self.runs, self.models

    @property
    def is_busy(self) -> bool:
        """Whether something is being moved."""
        return any(card.mover.is_busy for card in self.cards)

    def shutdown(self) -> None:
        """Stops moving; everything stays where it was."""
        for card in self.cards:
            card.mover.shutdown()
