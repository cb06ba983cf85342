"""The previewer: a worker that holds the prepared data and the tokenizer, and shows one example after the other."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, Signal

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.protocol.command import Configure, SearchExamples, ShowExample
from app.core.protocol.job import PreviewJob
from app.ui.data.inspector import READ_PATHS
from app.ui.worker.latest import LatestWorker
from app.ui.worker.process import WorkerOutcome

# What needs the data to be prepared anew; the rest is told to the worker that is there.
PREPARED_PATHS = (*READ_PATHS, "valid_fraction", "test_fraction", "seed", "group_feature", "batch_size")
LIVE_PATHS = ("mask_prompt", "mask_turns", "max_seq_length", "max_completion_length")


class Previewer(QObject):
    """Answers come as signals; ``open`` with the config of before does nothing."""

    opened = Signal(dict)  # examples by split
    shown = Signal(dict)  # an example (`app.worker.data.preview.Preview.example`)
    found = Signal(dict)  # split, indices, more
    said = Signal(str)  # what cannot be shown
    progressed = Signal(str, float)  # phase, share (negative where not counted)
    failed = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.splits: dict[str, int] = {}
        self._opened_for: tuple[Any, ...] = ()
        self._live: dict[str, Any] = {}
        self._worker = LatestWorker(self)
        self._worker.emitted.connect(self._on_event)
        self._worker.ended.connect(self._on_ended)

    @property
    def is_open(self) -> bool:
        """True once examples can be asked for."""
        return bool(self.splits) and self._worker.is_busy

    def open(self, config: TrainConfig, *, is_text: bool = False) -> None:
        """Prepares the data of a config; of the same data only the mask and the maximum length are taken over."""
        key = (config.model, *(config.value(path) for path in PREPARED_PATHS))
        if is_text:
            key = (*key, config.max_seq_length)  # texts are cut into examples by it
        live = {path: config.value(path) for path in LIVE_PATHS}
        if key == self._opened_for and self._worker.is_busy:
            if self.is_open and live != self._live:
                self._worker.send(Configure(values=live))
                self._live = live
                self.opened.emit(self.splits)
            return
        self._opened_for, self._live, self.splits = key, live, {}
        self._worker.request(PreviewJob(config=config.model_dump(mode="json")))

    def close(self) -> None:
        """Ends the worker; nothing more is heard of it."""
        self._opened_for, self.splits = (), {}
        self._worker.cancel()

    def stop(self) -> None:
        """Ends the worker before the window closes."""
        self._worker.stop()

    def ask(self, split: str, index: int) -> None:
        """Asks for an example (from 0)."""
        self._worker.send(ShowExample(split=split, index=index))

    def search(self, split: str, text: str) -> None:
        """Asks for the examples that hold a text."""
        self._worker.send(SearchExamples(split=split, text=text))

    def _on_event(self, found: event.Event) -> None:
        if isinstance(found, event.Progressed):
            self.progressed.emit(found.phase, found.done / found.total if found.total else -1.0)
        elif isinstance(found, event.Warned):
            self.said.emit(found.message)
        elif isinstance(found, event.Result):
            self._take(found)

    def _take(self, result: event.Result) -> None:
        if result.name == "preview":
            self.splits = dict(result.data["splits"])
            self.opened.emit(self.splits)
        elif result.name == "example":
            self.shown.emit(result.data)
        elif result.name == "search":
            self.found.emit(result.data)

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        self._opened_for, self.splits = (), {}
        if not outcome.ok:
            self.failed.emit(outcome.sentence())
