"""The guide: a line over the form that leads from model to data, to what the model will see, to Start."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.core.language import tr
from app.ui.setup.setup_tab import SetupTab
from app.ui.widget import theme

GUIDE_STEPS = (
    ("model", tr("Model"), tr("Choose a model, or drop its folder on the card.")),
    ("data", tr("Data"), tr("Choose the data, or drop them on the card.")),
    ("look", tr("What the model will see"), tr("Look at a few examples as the model will read them.")),
    ("start", tr("Start"), tr("All is set. Press Start; every value can still be changed.")),
)


class GuideBar(QWidget):
    """Says which step is next and takes the keyboard there; a step that was taken has a tick."""

    def __init__(self, tab: SetupTab) -> None:
        super().__init__(tab)
        self.setObjectName("guide")
        self._tab = tab
        self._has_looked = False
        self._step = ""
        self.buttons: dict[str, QPushButton] = {}
        rows = QVBoxLayout(self)
        rows.setContentsMargins(theme.SPACE * 3, theme.SPACE, theme.SPACE * 3, 0)
        rows.setSpacing(theme.SPACE)
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        rows.addLayout(row)
        for name, text, line in GUIDE_STEPS:
            button = self.buttons[name] = QPushButton(text, self)
            button.setObjectName(f"guide.{name}")
            button.setToolTip(line)
            button.clicked.connect(lambda _checked=False, step=name: self.go(step))
            row.addWidget(button)
        self.line = QLabel(self)
        self.line.setProperty("role", "muted")
        self.line.setWordWrap(True)
        rows.addWidget(self.line)
        row.addStretch(1)
        self.end_button = QPushButton(tr("End guide"), self)
        self.end_button.setObjectName("guide.end")
        self.end_button.setToolTip(tr("Hides this line; the form stays as it is"))
        theme.set_role(self.end_button, kind="link")
        self.end_button.clicked.connect(self.hide)
        row.addWidget(self.end_button)
        layout = tab.layout()
        assert isinstance(layout, QBoxLayout)
        layout.insertWidget(0, self)
        tab.inspector.inspected.connect(self._later)
        tab.inspector.cleared.connect(self._later)
        tab.inspector.failed.connect(self._later)
        tab.data_panel.reported.connect(self._later)
        tab.data_panel.look_button.clicked.connect(self._on_looked)

    def begin(self) -> None:
        """Shows the line, at the first step that is still to be taken."""
        self._has_looked, self._step = False, ""
        self.show()
        self._advance()

    @property
    def step(self) -> str:
        """The first step that is still to be taken."""
        report = self._tab.data_panel.report
        if self._tab.inspector.last is None or not self._tab.store.config.model:
            return "model"
        if report is None or not report.usable:
            return "data"
        return "start" if self._has_looked else "look"

    def go(self, step: str) -> None:
        """Takes the keyboard to a step's place on the form, and opens the examples."""
        if step in ("model", "data"):
            self._tab.show_field(step)
        elif step == "look":
            self._tab.data_panel.look_button.click()
        else:
            self._tab.start_bar.button.setFocus()

    def _later(self, _what: object = None) -> None:
        """After the form has taken in what was read."""
        QTimer.singleShot(0, self, self._advance)

    def _on_looked(self) -> None:
        self._has_looked = True
        self._advance()

    def _advance(self) -> None:
        if not self.isVisible():
            return
        step = self.step
        names = [name for name, _text, _line in GUIDE_STEPS]
        for index, (name, text, line) in enumerate(GUIDE_STEPS):
            button = self.buttons[name]
            button.setText(f"✓ {text}" if index < names.index(step) else f"{index + 1}  {text}")
            button.setEnabled(index <= names.index(step))
            theme.set_role(button, kind="" if name == step else "quiet")
            if name == step:
                self.line.setText(line)
        if step != self._step:
            self._step = step
            if step == "look":
                self._tab.scroll_area.ensureWidgetVisible(self._tab.data_panel.look_button, 0, theme.SPACE * 8)
                self._tab.data_panel.look_button.setFocus()
            else:
                self.go(step)
