"""The row source: a worker that reads rows of one file and saves edits of them as a new one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.core.config.train_config import TrainConfig
from app.core.data.edit import Edits, Survey
from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.protocol import event
from app.core.protocol.command import ReadRows, SaveRows, SurveyRows
from app.core.protocol.job import RowsJob
from app.ui.edit.row import turns
from app.ui.worker.latest import LatestWorker
from app.ui.worker.process import WorkerOutcome

SUMMARY_CHARACTERS = 120
# What of the config says which rows a file holds.
ROW_PATHS = ("sheet", "answers_by", "encoding", "max_seq_length")
# … and what says in which columns the parts of a row stand.
FEATURE_PATHS = (
    "data_format", "prompt_feature", "completion_feature", "chat_feature", "text_feature", "system_feature",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row as it stands in a file: its line (below 0 for one that was added), its text, and why it is no row."""

    line: int
    text: str
    fault: str = ""

    @property
    def value(self) -> Any:
        """The JSON value; None if the text is none."""
        try:
            return parsed_json(self.text)
        except ValueError:
            return None

    @property
    def pretty(self) -> str:
        """The text to edit: indented if it is JSON, else as it stands."""
        value = self.value
        return self.text if value is None else json.dumps(value, ensure_ascii=False, indent=2)

    @property
    def summary(self) -> str:
        """The beginning of what it says."""
        value = self.value
        said = " · ".join(text for _, text in turns(value) if text) if isinstance(value, dict) else self.text
        return " ".join(said[: 2 * SUMMARY_CHARACTERS].split())[:SUMMARY_CHARACTERS] or tr("(empty)")


class RowSource(QObject):
    """Asks a worker that stays with one file until another is asked for."""

    arrived = Signal(list, bool)  # list[SourceRow], whether there are more
    saved = Signal(str, int)  # the new file, its rows
    surveyed = Signal(str, object)  # the file, and what it holds (Survey)
    failed = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.file = ""
        self._config: TrainConfig | None = None
        self.is_saving = False
        self._is_ready = False
        self._waiting = ReadRows()
        self._survey: SurveyRows | None = None  # to be asked as soon as the worker is ready
        self._worker = LatestWorker(self)
        self._worker.emitted.connect(self._on_event)
        self._worker.ended.connect(self._on_ended)

    def ask(self, file: str, line: int, count: int, config: TrainConfig) -> None:
        """Asks for up to ``count`` rows from a line on, read as a config says."""
        self._waiting = ReadRows(line=line, count=count)
        if not self.reads(file, config) or not self._worker.is_busy:
            self.file, self._config, self._is_ready, self.is_saving = file, config, False, False
            self._worker.request(RowsJob(file=Path(file), config=config.model_dump(mode="json")))
        elif self._is_ready:
            self._send()

    def reads(self, file: str, config: TrainConfig) -> bool:
        """True if the rows that were asked for last are those that a file has under a config."""
        known = self._config
        if known is None or file != self.file:
            return False
        return all(known.value(path) == config.value(path) for path in (*ROW_PATHS, *FEATURE_PATHS))

    def save(self, target: Path, edits: Edits, *, drop_bad_rows: bool) -> None:
        """Writes the file with the edits to a new one; ends with ``saved`` or ``failed``."""
        self.is_saving = True
        self._worker.send(
            SaveRows(
                target=target,
                changed=edits.changed,
                dropped=tuple(sorted(edits.dropped)),
                added=tuple(edits.added),
                roles=edits.roles,
                appended=tuple(edits.appended),
                drop_bad_rows=drop_bad_rows,
            )
        )

    def survey(self, file: str, roles: dict[str, str]) -> None:
        """Asks what a file holds, with other names for roles; ends with ``surveyed`` or ``failed``."""
        self._survey = SurveyRows(file=Path(file), roles=roles)
        if self._is_ready:
            self._send_survey()

    def _send_survey(self) -> None:
        if self._survey is not None:
            self._worker.send(self._survey)
            self._survey = None

    def stop(self) -> None:
        """Ends the worker before the window closes."""
        self._worker.stop()

    def _send(self) -> None:
        self._worker.send(self._waiting)

    def _on_event(self, found: event.Event) -> None:
        if isinstance(found, event.Ready):
            self._is_ready = True
            self._send()
            self._send_survey()
        elif isinstance(found, event.Result):
            self._take(found.name, found.data)

    def _take(self, name: str, data: dict[str, Any]) -> None:
        if name == "rows":
            self.arrived.emit([SourceRow(**item) for item in data["rows"]], bool(data["more"]))
            return
        if name == "survey":
            found = Survey(int(data["rows"]), data["roles"], tuple(data["repeats"]), str(data["format"]))
            self.surveyed.emit(str(data["file"]), found)
            return
        self.is_saving = False
        if name == "saved":
            self.saved.emit(str(data["target"]), int(data["rows"]))
        elif name == "refused":
            self.failed.emit("\n".join(data["problems"][:5]))

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        self._is_ready = self.is_saving = False
        if not outcome.ok:
            self.failed.emit(outcome.sentence())
