"""The selection: what the present config would train of the present model, worked out once for the whole tab."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QObject, QTimer, Signal

from app.core.language import tr
from app.core.model.inspection import Inspection
from app.core.target.selection import Selection, resolve, selection_to_targets
from app.ui.form.store import ConfigStore
from app.ui.worker.inspector import Inspector

SELECTION_PATHS = {"", "targets", "num_layers", "fine_tune_type"}


class SelectionModel(QObject):
    """``inspection`` and ``selection`` are None while no model is known; ``changed`` fires when either changed."""

    changed = Signal()
    refused = Signal(str)  # why an edit was not made

    def __init__(self, store: ConfigStore, inspector: Inspector, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self.inspection: Inspection | None = inspector.last
        self.selection: Selection | None = None
        # A large model's answer is taken in over several turns, so that none of them holds up the window.
        self._turn = QTimer(self)
        self._turn.setSingleShot(True)
        self._turn.setInterval(0)
        self._turn.timeout.connect(self.update)
        store.changed.connect(self._on_changed)
        inspector.inspected.connect(self._on_inspected)
        for gone in (inspector.started, inspector.failed, inspector.cleared):
            gone.connect(self._on_gone)
        self.update()

    def update(self) -> None:
        """Works it out anew."""
        self.selection = None if self.inspection is None else resolve(self.inspection, self._store.config)
        self.changed.emit()

    def switch(self, paths: Iterable[str], on: bool) -> None:
        """Adds modules to the targets or takes them out, and writes the shortest targets that mean the result."""
        if self.inspection is None or self.selection is None:
            return
        chosen = self.selection.paths | set(paths) if on else self.selection.paths - set(paths)
        if not chosen:
            self.refused.emit(tr("At least one matrix must stay adapted."))
            return
        targets = selection_to_targets(self.inspection, chosen)
        self._store.set_many({"targets": targets.text, "num_layers": targets.num_layers})

    def _on_changed(self, path: str) -> None:
        if path in SELECTION_PATHS or path.startswith("lora_parameters."):
            self.update()

    def _on_inspected(self, inspection: Inspection) -> None:
        self.inspection = inspection
        self._turn.start()

    def _on_gone(self, _what: object = None) -> None:
        self.inspection = None
        self._turn.stop()
        self.update()
