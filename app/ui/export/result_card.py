"""What came of an export: where it lies, and its certificate point by point."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.core.export.certificate import Certificate
from app.core.installation import package_hint
from app.core.language import capital, tr
from app.core.quantity import bytes_text
from app.ui.widget import theme
from app.ui.widget.elided_label import ElidedLabel
from app.ui.widget.layout import clear_layout

# llama.cpp alone opens what it reads; all other formats have a reader of our own.
NO_CERTIFICATE = tr("It was not opened again: no program that can is known here, so there is no certificate.")


class ResultCard(QFrame):
    """Shows the data of the task's `Result`; ``reveal`` shows a folder."""

    def __init__(self, reveal: Callable[[Path], object], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        theme.set_role(self, role="card")
        self._reveal, self._path = reveal, Path()
        self._place = ElidedLabel()
        self._place.setObjectName("export.place")
        self.reveal = QPushButton(tr("Show in the File Manager"), self)
        self.reveal.setObjectName("export.reveal")
        self.reveal.setIconSize(QSize(16, 16))
        self.reveal.clicked.connect(self._on_reveal)
        self.sentence = QLabel(self)
        self.sentence.setObjectName("export.certificate")
        self.sentence.setWordWrap(True)
        self.sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._findings = QGridLayout()
        self._findings.setHorizontalSpacing(theme.SPACE * 2)
        self._findings.setVerticalSpacing(theme.SPACE // 2)
        self._findings.setColumnStretch(2, 1)
        head = QHBoxLayout()
        head.addWidget(self._place, 1)
        head.addWidget(self.reveal)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE * 2] * 4)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(head)
        layout.addWidget(self.sentence)
        layout.addLayout(self._findings)
        theme.theme().changed.connect(self._dress)
        self._dress()

    def show_result(self, data: dict[str, Any]) -> None:
        """A finished export."""
        self._path = Path(data["path"])
        where = f" · {data['page']}" if data.get("page") else ""
        self._place.setText(f"{self._path.name} · {bytes_text(data['bytes'])}{where}")
        self._place.setToolTip(str(self._path))
        clear_layout(self._findings)
        if data["certificate"] is None:
            self.sentence.setText(f"{NO_CERTIFICATE} {package_hint('xllamacpp')}")
            theme.set_role(self.sentence, role="muted")
            self._tell_remark(data)
            return
        certificate = Certificate.from_dict(data["certificate"])
        self.sentence.setText(
            certificate.sentence()
            if certificate.agrees
            else tr("{engine} opens it, and it differs:", engine=certificate.engine)
        )
        theme.set_role(self.sentence, role="good" if certificate.agrees else "error")
        for row, finding in enumerate(certificate.findings):
            mark = QLabel(tr("agrees") if finding.agrees else tr("differs"), self)
            theme.set_role(mark, role="pill-good" if finding.agrees else "pill-error")
            name, said = QLabel(capital(finding.name), self), QLabel(finding.said, self)
            said.setWordWrap(True)
            said.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            theme.set_role(said, role="small")
            top = Qt.AlignmentFlag.AlignTop
            self._findings.addWidget(mark, row, 0, top)
            self._findings.addWidget(name, row, 1, top)
            self._findings.addWidget(said, row, 2)
        self._tell_remark(data)

    def _tell_remark(self, data: dict[str, Any]) -> None:
        """What is odd about the adapter comes first, however well the export agrees with it."""
        if remark := data.get("remark"):
            self.sentence.setText(f"{remark} {self.sentence.text()}")
            theme.set_role(self.sentence, role="warning")

    def _dress(self) -> None:
        self.reveal.setIcon(theme.icon("ph.folder-open"))

    def _on_reveal(self) -> None:
        self._reveal(self._path)
