"""The bundle dialog: how the base model gets there, and where the bundle goes; then what came of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.core.bundle.recipe import bundle_problems
from app.core.bundle.result import model_line, size_line
from app.core.config.train_config import FieldSpec, TrainConfig
from app.core.export.destination import destination_problems
from app.core.language import tr
from app.core.problem import Problem
from app.core.protocol import event
from app.core.protocol.job import BundleJob
from app.core.run.name import folder_word
from app.core.system import place
from app.core.typed_path import typed_path
from app.ui.bundle.base_source import BaseSource
from app.ui.form.path_editor import PathEditor
from app.ui.model.job_progress import JobProgress
from app.ui.widget import theme
from app.ui.widget.file_manager import show_in_file_manager
from app.ui.widget.layout import FormRows
from app.ui.worker.job_dialog import JobDialog
from app.ui.worker.process import WorkerOutcome

BUNDLE_DIALOG_SIZE = (680, 540)  # px in Inter, at least
BUNDLE_OUT = FieldSpec("bundle.out", tr("New file"), "path", "")
WHAT_A_BUNDLE_IS = tr(
    "Tokens, labels, targets and every value of this setup, with a script that trains it on "
    "another machine, such as one with an NVIDIA GPU. The folder run that comes back opens here, "
    "among the runs and in Compare."
)


class BundleDialog(JobDialog):
    """Seals one setup, as the form had it when it was asked for."""

    def __init__(
        self,
        config: TrainConfig,
        parent: QWidget | None = None,
        *,
        reveal: Callable[[Path], object] = show_in_file_manager,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("bundle_dialog")
        self.setWindowTitle(tr("Export Setup as Bundle"))
        self.resize(theme.text_width(BUNDLE_DIALOG_SIZE[0]), BUNDLE_DIALOG_SIZE[1])
        self._config, self._reveal = config, reveal
        self._made: Path | None = None
        self._build()
        self._begin()

    # -- what is chosen ---------------------------------------------------------------------------------------

    @property
    def job(self) -> BundleJob:
        """What would be asked for now."""
        base = self.base
        return BundleJob(
            config=self._config.model_dump(mode="json"),
            out=typed_path(self.out.value() or ""),
            with_model=base.brings,
            torch_model=base.named,
            four_bit=base.in_four_bit,
        )

    def make(self) -> None:
        """Starts with what stands here."""
        self._result.hide()
        self._problem.hide()
        self.progress.begin(tr("Starting …"))
        self._job.start(self.job)
        self._show_buttons()

    # -- showing ----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self.out.set_value(str(_free_file(self._config)))
        self._show()

    def _show(self, _value: object = None) -> None:
        """What it takes; what is in the way keeps Make off."""
        said, base = self.base.problem(), self.base.base
        if base is not None:
            needed = base.needed_bytes(with_files=self.base.brings)
            found = [*bundle_problems(self._config), *self._place_problems(needed)]
            said = " ".join(one.text for one in found) or said
        self._problem.setText(said)
        self._problem.setVisible(bool(said) and not self._job.is_running)
        self._show_buttons()

    def _place_problems(self, needed: int) -> list[Problem]:
        out = typed_path(self.out.value() or "")
        if not out.is_absolute():
            return [Problem("out", tr("Choose a file by its whole path."))]
        return destination_problems(out, needed)

    def _show_buttons(self) -> None:
        running = self._job.is_running
        self._form.setEnabled(not running)
        self.make_button.setVisible(not running)
        self.make_button.setEnabled(self.base.base is not None and not self._problem.text())
        self.stop_button.setVisible(running)

    def _on_event(self, said: event.Event) -> None:
        if isinstance(said, event.Progressed):
            self.progress.show_progress(said)
        elif isinstance(said, event.Result):
            self._made = Path(said.data["path"])
            lines = (
                f"{self._made.name}: {size_line(said.data)}",
                model_line(said.data),
                tr(
                    "Targets: {names}, {modules:,} modules.",
                    names=", ".join(said.data["target_modules"]),
                    modules=len(said.data["modules"]),
                ),
                tr("There: pip install -r requirements.txt, then python train.py."),
            )
            self.result_text.setText("\n".join(lines))
            self._result.show()

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        if outcome.completed:
            self.progress.say("")
            self.out.set_value(str(_free_file(self._config)))
        else:
            self.progress.end(outcome)
        self._show()

    def _on_reveal(self) -> None:
        if self._made is not None:
            self._reveal(self._made)

    # -- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        what = QLabel(WHAT_A_BUNDLE_IS, self)
        what.setWordWrap(True)
        theme.set_role(what, role="muted")
        self._form = self._built_form()
        self._problem = QLabel(self)
        self._problem.setObjectName("bundle.problem")
        self._problem.setWordWrap(True)
        theme.set_role(self._problem, role="error")
        self.progress = JobProgress("bundle", self)
        self._result = self._built_result()
        self._result.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE * 2] * 4)
        layout.setSpacing(theme.SPACE * 2)
        for part in (what, self._form, self._problem, self.progress, self._result):
            layout.addWidget(part)
        layout.addStretch(1)
        layout.addLayout(self._built_buttons())

    def _built_form(self) -> QWidget:
        form = QWidget(self)
        self.base = BaseSource(self._config, form)
        self.base.edited.connect(self._show)
        self.out = PathEditor(BUNDLE_OUT, form, new=True)
        self.out.line.setObjectName(BUNDLE_OUT.path)
        self.out.line.setAccessibleName(BUNDLE_OUT.label)
        self.out.line.setToolTip(
            tr("A name that ends in .zip, .tar or .tar.gz makes an archive, any other a folder")
        )
        self.out.edited.connect(self._show)
        rows = FormRows(form)
        rows.setContentsMargins(0, 0, 0, 0)
        self.base.add_to(rows)
        rows.add_row(BUNDLE_OUT.label, self.out)
        return form

    def _built_result(self) -> QFrame:
        card = QFrame(self)
        theme.set_role(card, role="card")
        self.result_text = QLabel(card)
        self.result_text.setObjectName("bundle.result")
        self.result_text.setWordWrap(True)
        self.reveal_button = QPushButton(tr("Show in the File Manager"), card)
        self.reveal_button.setObjectName("bundle.reveal")
        self.reveal_button.clicked.connect(self._on_reveal)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.reveal_button)
        layout = QVBoxLayout(card)
        layout.setContentsMargins(*[theme.SPACE * 2] * 4)
        layout.addWidget(self.result_text)
        layout.addLayout(row)
        return card

    def _built_buttons(self) -> QHBoxLayout:
        self.make_button = QPushButton(tr("Make the bundle"), self)
        self.make_button.setObjectName("bundle.start")
        self.make_button.setDefault(True)
        theme.set_role(self.make_button, kind="primary")
        self.stop_button = QPushButton(tr("Stop"), self)
        self.stop_button.setObjectName("bundle.stop")
        self.close_button = QPushButton(tr("Close"), self)
        self.close_button.setObjectName("bundle.close")
        self.make_button.clicked.connect(self.make)
        self.stop_button.clicked.connect(self.stop)
        self.close_button.clicked.connect(self.close)
        row = QHBoxLayout()
        row.addStretch(1)
        for button in (self.close_button, self.stop_button, self.make_button):
            row.addWidget(button)
        return row


def _free_file(config: TrainConfig) -> Path:
    """A new archive among the bundles, named like the adapter."""
    word = folder_word(config.adapter_name, "setup")
    folder, number = place.data_dir() / "bundles", 1
    while (path := folder / (f"{word}.zip" if number == 1 else f"{word}-{number}.zip")).exists():
        number += 1
    return path
