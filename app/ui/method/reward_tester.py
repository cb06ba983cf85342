"""The reward tester: an answer that was typed, and what each chosen function gives for it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QGridLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.core.language import tr
from app.core.method.reward import BUILT_IN, reward_doubts
from app.core.protocol import event
from app.core.protocol.command import ScoreAnswers
from app.core.protocol.job import RewardJob
from app.ui.form.editor import editor_height
from app.ui.form.store import ConfigStore
from app.ui.method.reward_editor import Weighted
from app.ui.method.reward_file import RewardFile
from app.ui.widget import theme
from app.ui.widget.flow import Flow
from app.ui.worker.latest import LatestWorker
from app.ui.worker.process import WorkerOutcome

COMPLETION_HEIGHT = 84  # px


class RewardTester(QWidget):
    """Scores one answer with the functions that ``weighted`` gives; a `RewardFile`'s in a process of their own.

    ``scored`` fires when ``scores`` (by function, unweighted) or the failure is there. ``find_example`` gives the
    prompt and reference answer of another example each time, or None.
    """

    scored = Signal()

    def __init__(
        self,
        store: ConfigStore,
        file: RewardFile,
        weighted: Callable[[], Weighted],
        find_example: Callable[[], tuple[str, str] | None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._store, self._file, self._weighted, self._find_example = store, file, weighted, find_example
        self.scores: dict[str, float] = {}
        self.failure = ""
        self._own: list[str] = []
        self._worker = LatestWorker(self)
        self._worker.emitted.connect(self._on_event)
        self._worker.ended.connect(self._on_ended)
        self._build()

    def shutdown(self) -> None:
        """Ends the process before the window closes."""
        self._worker.stop()

    @property
    def total(self) -> float:
        """The weighted sum of the scores."""
        return sum(self.scores.get(name, 0.0) * weight for name, weight in self._weighted())

    # -- parts ------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        self.prompt = self._line("reward_test.prompt", tr("Prompt"), tr("What was asked"))
        self.answer = self._line("reward_test.answer", tr("Reference answer"), tr("What is right"))
        top = QGridLayout()
        top.setHorizontalSpacing(theme.SPACE * 2)
        top.setVerticalSpacing(theme.SPACE // 2)
        top.setColumnStretch(0, 2)
        top.setColumnStretch(1, 1)
        for column, edit in enumerate((self.prompt, self.answer)):
            top.addWidget(_caption(edit.accessibleName(), edit), 0, column)
            top.addWidget(edit, 1, column)
        layout.addLayout(top)
        self.completion = QPlainTextEdit(self)
        self.completion.setObjectName("reward_test.completion")
        self.completion.setAccessibleName(tr("Answer to score"))
        self.completion.setPlaceholderText(tr("What the model might say"))
        self.completion.setTabChangesFocus(True)
        self.completion.setFixedHeight(COMPLETION_HEIGHT)
        layout.addWidget(_caption(tr("Answer to score"), self.completion))
        layout.addWidget(self.completion)
        layout.addLayout(self._buttons())
        self._result = QLabel(self)
        self._result.setObjectName("reward_test.result")
        self._result.setTextFormat(Qt.TextFormat.RichText)
        self._result.setWordWrap(True)
        self._result.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._result.hide()
        layout.addWidget(self._result)

    def _line(self, name: str, label: str, placeholder: str) -> QLineEdit:
        edit = QLineEdit(self)
        edit.setObjectName(name)
        edit.setAccessibleName(label)
        edit.setPlaceholderText(placeholder)
        edit.setFixedHeight(editor_height())
        return edit

    def _buttons(self) -> Flow:
        row = Flow()
        self.score_button = QPushButton(tr("Score it"), self)
        self.score_button.setObjectName("reward_test.score")
        self.score_button.setToolTip(tr("Asks every chosen function"))
        self.score_button.clicked.connect(self.score)
        self.example_button = QPushButton(tr("Take an example from the data"), self)
        self.example_button.setObjectName("reward_test.example")
        self.example_button.setToolTip(
            tr("Another one each time, with its reference answer as the answer to score")
        )
        theme.set_role(self.example_button, kind="quiet")
        self.example_button.clicked.connect(self._on_example)
        row.addWidget(self.score_button)
        row.addWidget(self.example_button)
        return row

    def set_has_examples(self, there: bool) -> None:
        """Tells whether there are data to take an example from."""
        self.example_button.setVisible(there)

    # -- scoring ----------------------------------------------------------------------------------------------

    def score(self) -> None:
        """Scores the answer; functions of the user's own only if their file may run."""
        self._worker.cancel()
        self.scores, self.failure = {}, ""
        own = {function.name for function in self._file.declared}
        names = [name for name, _ in self._weighted()]
        given = [self.prompt.text()], [self.completion.toPlainText()], [self.answer.text()]
        for name in names:
            if name in BUILT_IN and name not in own:
                self.scores[name] = float(BUILT_IN[name](*given)[0])
        self._own = [name for name in names if name in own]
        if not self._own:
            self._show()
        elif self._file.path is None or not self._file.is_allowed:
            self.failure = tr("{own}: the file has not been allowed to run.", own=", ".join(self._own))
            self._show()
        else:
            self.score_button.setEnabled(False)
            timeout_s = self._store.value("reward_timeout_s")
            self._worker.request(RewardJob(file=self._file.path, timeout_s=timeout_s))

    def _on_event(self, found: event.Event) -> None:
        if isinstance(found, event.Hello):
            self._worker.send(
                ScoreAnswers(
                    names=tuple(self._own),
                    prompts=(self.prompt.text(),),
                    completions=(self.completion.toPlainText(),),
                    answers=(self.answer.text(),),
                    types=(None,),
                )
            )
        elif isinstance(found, event.Result):
            if found.name == "scores":
                self.scores |= {name: float(values[0]) for name, values in found.data["scores"].items()}
            else:
                self.failure = str(found.data.get("message", ""))
            self._worker.cancel()
            self._show()

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        """It ended without an answer: the time was over, or the file ended its process."""
        limit = self._store.value("reward_timeout_s")
        said = outcome.failure.message if outcome.failure is not None else ""
        self.failure = said or tr(
            "The file gave no scores within {limit:g}\u00a0s, or ended its process.", limit=limit
        )
        self._show()

    def _on_example(self) -> None:
        found = self._find_example()
        if found is not None:
            self.prompt.setText(found[0])
            self.prompt.setCursorPosition(0)
            self.answer.setText(found[1])
            self.completion.setPlainText(found[1])
            self.score()

    def _show(self) -> None:
        c = theme.colors()
        self.score_button.setEnabled(True)
        weights = dict(self._weighted())
        rows = [
            f"<tr><td>{name}</td><td align='right'>{score:.4g}</td>"
            f"<td align='right' style='color:{c.muted}'>× {weights[name]:.4g}</td>"
            f"<td align='right'>{score * weights[name]:.4g}</td></tr>"
            for name, score in self.scores.items()
            if name in weights
        ]
        if self.failure:
            rows.append(f"<tr><td colspan='4' style='color:{c.error}'>{_escaped(self.failure)}</td></tr>")
        elif rows:
            rows.append(
                tr(
                    "<tr><td colspan='3'><b>Reward</b></td><td align='right'><b>{total:.4g}</b></td></tr>",
                    total=self.total,
                )
            )
        else:
            rows.append(tr("<tr><td style='color:{muted}'>No function is chosen.</td></tr>", muted=c.muted))
        doubts = reward_doubts(
            [name for name, _ in self._weighted()], [text for text in (self.answer.text(),) if text]
        )
        rows += [f"<tr><td colspan='4' style='color:{c.warning}'>{_escaped(doubt)}</td></tr>" for doubt in doubts]
        self._result.setText(f"<table cellspacing='0' cellpadding='4'>{''.join(rows)}</table>")
        self._result.show()
        self.scored.emit()


def _caption(text: str, buddy: QWidget) -> QLabel:
    label = QLabel(text)
    label.setProperty("role", "label")
    label.setBuddy(buddy)
    return label


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("\n", "<br>")
