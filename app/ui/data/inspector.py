"""The data inspector: asks workers what the config's data are, and keeps the answer for the whole window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.core.data.report import DataReport, with_findings
from app.core.language import tr
from app.core.problem import Problem
from app.core.protocol import event
from app.core.protocol.job import CheckJob, TokenizeJob
from app.core.setup.chosen_method import method_of
from app.core.setup.plan import COUNTED_PATHS
from app.core.source.finding import Finding, Findings
from app.core.system.setting import load_settings, save_settings
from app.ui.form.store import ConfigStore
from app.ui.worker.latest import LatestWorker
from app.ui.worker.process import WorkerOutcome

CHECK_DELAY_MS = 250
# What of the config changes what the rows are; `COUNTED_PATHS`: how they are divided, and what is trained of them.
READ_PATHS = (
    "data", "valid_data", "test_data", "data_format", "prompt_feature", "completion_feature", "chat_feature",
    "text_feature", "system_feature", "sheet", "answers_by", "encoding", "skip_bad_answers",
    "skip_bad_rows", "train_mode",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SplitFigures:
    """The figures of one split's tokens (`app.worker.data.statistic.statistics`, and `rated_statistics` of pairs
    and prompts); ``edges`` are in tokens.

    ``kind`` is examples, pairs, answers or prompts; rows longer than ``limit`` are cut (prompts are left out);
    ``parts`` are median and longest of prompt and answers, ``longest_used`` is what the run will read; ``steps``
    are the sizes (rows, width, targets) of the steps that ``step_batches`` batches make, with how often.
    """

    kind: str
    examples: int
    tokens: int
    kept_tokens: int
    trained_tokens: int
    trained_share: float
    over_length: int
    cut_tokens: int
    untrained_examples: int
    shortest: int
    longest: int
    longest_used: int
    median_length: float
    max_seq_length: int
    limit: int
    parts: dict[str, dict[str, float]]
    edges: tuple[int, ...]
    counts: tuple[int, ...]
    padding_share: dict[str, float]
    iterations_per_epoch: int
    steps: tuple[tuple[int, int, int, int], ...] = ()
    step_batches: int = 0

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> SplitFigures:
        """The figures as a worker sends them; keys of newer versions are dropped."""
        known = {name: tree[name] for name in cls.__slots__ if name in tree}
        known["steps"] = tuple(tuple(step) for step in tree.get("steps", ()))
        return cls(**known, edges=tuple(tree["histogram"]["edges"]), counts=tuple(tree["histogram"]["counts"]))


class DataInspector(QObject):
    """Watches the data of a `ConfigStore`: reads and checks them, then counts their tokens, in workers.

    ``report`` is what is known of the present data, ``problem`` why nothing can be; ``last_report`` and ``figures``
    stay while new ones of the same data are made (``is_stale``). ``token_problem`` says why tokens are not counted.
    """

    reported = Signal()  # report, figures or a problem changed
    progressed = Signal()  # phase or share changed
    started = Signal()  # the data, their columns or their splits are being read anew

    def __init__(self, store: ConfigStore, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self.model = ""
        self.report: DataReport | None = None
        self.last_report: DataReport | None = None
        self.problem: Problem | None = None
        self.token_problem = ""
        self.figures: dict[str, SplitFigures] = {}
        self.is_stale = False
        self.was_cancelled = False
        self.phase, self.share = "", -1.0
        self._structure: DataReport | None = None
        self._asked: tuple[Any, ...] = ()
        self._read_files: tuple[Any, ...] = ()
        self._counted: tuple[Any, ...] = ()
        self._read_worker = self._make(self._on_read_event, self._on_read_ended)
        self._token_worker = self._make(self._on_token_event, self._on_token_ended)
        store.changed.connect(self._on_changed)
        self._on_changed("")

    def _make(self, on_event: Any, on_ended: Any) -> LatestWorker:
        worker = LatestWorker(self, delay_ms=CHECK_DELAY_MS)
        worker.emitted.connect(on_event)
        worker.ended.connect(on_ended)
        return worker

    # -- asking -----------------------------------------------------------------------------------------------

    @property
    def has_data(self) -> bool:
        """True if training data are chosen."""
        return bool(self._store.config.data.strip())

    @property
    def is_reading(self) -> bool:
        """True while rows are read and checked."""
        return self._read_worker.is_busy

    @property
    def is_busy(self) -> bool:
        """True while anything is read or counted."""
        return self._read_worker.is_busy or self._token_worker.is_busy

    def set_model(self, model: str) -> None:
        """Tells whose tokenizer counts; "" while there is none that can be used."""
        if model != self.model:
            self.model = model
            self.figures = {}
            self._count()

    def cancel(self) -> None:
        """Gives up what is under way; it is as if the data were not known."""
        self.was_cancelled = self.is_busy
        self._read_worker.cancel()
        self._token_worker.cancel()
        self.is_stale = False
        self._show_progress("", -1.0)
        self.reported.emit()

    def read(self) -> None:
        """Reads everything anew (also files that have changed)."""
        self._asked = self._values(READ_PATHS)
        if not self._same_data():
            self.last_report, self.figures = None, {}
        self.report, self._structure, self.problem, self.token_problem = None, None, None, ""
        self.was_cancelled = False
        self._token_worker.cancel()
        self.is_stale = bool(self.figures)
        if self.has_data:
            self._show_progress(tr("Reading the data"), -1.0)
            self._read_worker.request(CheckJob(config=self._config("", skip_bad_rows=None)))
        else:
            self._read_worker.cancel()
            self._show_progress("", -1.0)
        self.started.emit()
        self.reported.emit()

    def stop(self) -> None:
        """Ends the workers before the window closes."""
        self._read_worker.stop()
        self._token_worker.stop()

    def _config(self, model: str, *, skip_bad_rows: bool | None) -> dict[str, Any]:
        changes: dict[str, Any] = {"model": model}
        if skip_bad_rows is not None:
            changes["skip_bad_rows"] = skip_bad_rows
        return self._store.config.with_values(changes).model_dump(mode="json")

    def _values(self, paths: tuple[str, ...]) -> tuple[Any, ...]:
        return tuple(self._store.value(path) for path in paths)

    def _same_data(self) -> bool:
        use = method_of(self._store.config).data  # figures of one kind say nothing of another
        known, self._read_files = self._read_files, (use, *self._values(READ_PATHS[:3]))
        return known == self._read_files

    def _on_changed(self, path: str) -> None:
        if path and path not in READ_PATHS and path not in COUNTED_PATHS:
            return
        if self._values(READ_PATHS) != self._asked or (path == "max_seq_length" and self._is_text()):
            self.read()
        elif self._values(COUNTED_PATHS) != self._counted:
            self._count()
            self.started.emit()

    def _is_text(self) -> bool:
        """Texts are cut into examples by the maximum length, so that it changes the rows."""
        return self._structure is not None and self._structure.target == "text"

    def _count(self) -> None:
        """Counts tokens, as soon as rows and model are known. Rows with faults are left out of the figures."""
        self._counted = self._values(COUNTED_PATHS)
        self._token_worker.cancel()
        self.token_problem = ""
        structure = self._structure
        if structure is None:
            return
        self.report = self.last_report = structure
        if not self.model or not structure.target or not structure.examples:
            self.figures, self.is_stale = {}, False
            self._show_progress("", -1.0)
        else:
            self.is_stale = bool(self.figures)
            self._show_progress(tr("Counting tokens"), -1.0)
            self._token_worker.request(TokenizeJob(config=self._config(self.model, skip_bad_rows=True)))
        self.reported.emit()

    # -- answers ----------------------------------------------------------------------------------------------

    def _on_read_event(self, found: event.Event) -> None:
        if isinstance(found, event.Result):
            self._structure = DataReport.from_dict(found.data)
            self._remember()
            self._count()
        elif isinstance(found, event.Progressed):
            self._show_progress(found.phase, found.done / found.total if found.total else -1.0)

    def _remember(self) -> None:
        settings = load_settings()
        if self._store.config.data not in settings.recent_data[:1]:
            save_settings(settings.with_recent("recent_data", self._store.config.data))

    def _on_read_ended(self, outcome: WorkerOutcome) -> None:
        if self._structure is None:
            said = outcome.failure.message if outcome.failure else outcome.sentence()
            self.problem = Problem(
                "data", said or tr("The check ended without a result."), hint=tr("The log tells more.")
            )
            self._show_progress("", -1.0)
            self.reported.emit()

    def _on_token_event(self, found: event.Event) -> None:
        if isinstance(found, event.Result):
            self._take_tokens(found.data)
        elif isinstance(found, event.Progressed):
            self._show_progress(tr("Counting tokens"), found.done / found.total if found.total else -1.0)

    def _take_tokens(self, data: dict[str, Any]) -> None:
        assert self._structure is not None
        found = Findings()
        for name in ("errors", "warnings", "notes"):
            for tree in data[name]:
                finding = Finding.from_dict(tree)
                found.add(finding.kind, finding.file, finding.line, finding.reason)
        for kind, count in data["counts"].items():
            found.count(kind, count - found.counts[kind])
        self._merge(found)
        self.figures = {name: SplitFigures.from_dict(tree) for name, tree in data["splits"].items()}
        assert self.report is not None
        counted = {name: part.examples - part.untrained_examples for name, part in self.figures.items()}
        self.report = self.last_report = replace(self.report, counted=counted)
        self.is_stale = False
        self._show_progress("", -1.0)
        self.reported.emit()

    def _merge(self, found: Findings) -> None:
        assert self._structure is not None
        skip = self._store.config.skip_bad_rows
        self.report = self.last_report = with_findings(self._structure, found, skip_bad_rows=skip)

    def _on_token_ended(self, outcome: WorkerOutcome) -> None:
        if outcome.ok or self._structure is None:
            return
        self.figures, self.is_stale = {}, False
        failure = outcome.failure
        if failure is not None and failure.path == "model" and tr("chat template") in failure.message:
            found = Findings()
            files = self._structure.splits["train"].files
            found.add("no_chat_template", files[0] if files else "", None, failure.message.split(": ", 1)[-1])
            self._merge(found)
        else:
            self.token_problem = outcome.sentence()
        self._show_progress("", -1.0)
        self.reported.emit()

    def _show_progress(self, phase: str, share: float) -> None:
        self.phase, self.share = phase, share
        self.progressed.emit()
