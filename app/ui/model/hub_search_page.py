"""The page that searches the hub and downloads what is chosen."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QFrame, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.core.language import tr
from app.core.model.folder import hub_cache
from app.core.model.hub import Destination, Fit, HubModel, model_id, training_bytes
from app.core.model.known_model import known_models, machine_memory_bytes, working_set_of
from app.core.protocol import event
from app.core.protocol.job import HubDownloadJob, HubSearchJob
from app.core.quantity import bytes_text, plural
from app.core.system.setting import load_settings
from app.ui.form.plain_part import quiet_button
from app.ui.model.finder import ModelFinder
from app.ui.model.hub_table import HERE, HubTable, HubTableView, KnownTable
from app.ui.model.job_progress import JobProgress
from app.ui.platform.key_text import with_keys
from app.ui.platform.own_texts import month_name
from app.ui.widget import theme
from app.ui.widget.elided_label import ElidedLabel
from app.ui.worker.job import JobRunner
from app.ui.worker.latest import LatestWorker
from app.ui.worker.process import WorkerOutcome

OFFLINE = tr("Luthier is strictly offline: the hub is not asked. Turn that off under “Places and access”.")


class HubSearchPage(QWidget):
    """Asks the tasks ``hub_search`` and ``hub_download``. ``arrived`` names a model that is here now.

    Before anything is searched, and while the field is empty, it shows the `known_models`.
    """

    arrived = Signal(str)
    chosen = Signal(str)

    def __init__(self, finder: ModelFinder, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._finder = finder
        self._working_set_bytes = 0.0
        self._loading: HubModel | None = None
        self._is_known_shown = True
        self._told_of = ""  # the model that the card's progress is about
        self._answer: list[HubModel] | None = None
        self._arrived: set[str] = set()  # known at once, before the finder has seen them
        self._search = LatestWorker(self)
        self._search.emitted.connect(self._on_search_event)
        self._search.ended.connect(self._on_search_ended)
        self._download = JobRunner(self)
        self._download.emitted.connect(self._on_download_event)
        self._download.ended.connect(self._on_download_ended)
        self.table = HubTable(self.state_of, self)
        self._memory_bytes = machine_memory_bytes()
        limit = working_set_of(self._memory_bytes)
        self.known = KnownTable(known_models().models, limit, self.state_of, self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE * 2, 0, 0)
        layout.setSpacing(theme.SPACE * 3 // 2)
        layout.addLayout(self._head())
        layout.addWidget(self._results(), 1)
        layout.addWidget(self._card())
        finder.found.connect(self._on_found)
        self._show_known()
        self.refresh()

    def state_of(self, model: HubModel) -> str:
        """What of a model is on this machine: all of it, a part, or (empty) nothing."""
        if self._loading is not None and self._loading.id == model.id:
            return "downloading"
        destination = self._destination(model)
        if model.id in self._arrived or any(
            entry.name == model.id or str(entry.path) == destination.name for entry in self._finder.entries
        ):
            return HERE
        if part := destination.partial_bytes():
            return tr("stopped at {part}", part=bytes_text(part))
        return ""

    def refresh(self) -> None:
        """The settings or the models on this machine may have changed."""
        offline = load_settings().offline
        for widget in (self.query, self.mlx_only, self.search_button):
            widget.setEnabled(not offline)
        self.offline.setVisible(offline)
        self._refresh_tables()
        self._show_chosen()

    def search(self) -> None:
        """Asks the hub for what stands in the field."""
        if not self.query.text().strip() or load_settings().offline:
            return
        self._answer = None
        self._tell(tr("Searching …"))
        self._search.request(HubSearchJob(query=self.query.text().strip(), mlx_only=self.mlx_only.isChecked()))

    def stop(self) -> None:
        """Gives up the search and stops the download, which can go on later."""
        self._search.cancel()
        self._download.stop()

    def shutdown(self) -> None:
        """Ends everything before the window closes."""
        self._search.stop()
        self._download.shutdown()

    # -- parts ------------------------------------------------------------------------------------------------

    def _head(self) -> QHBoxLayout:
        self.query = QLineEdit(self)
        self.query.setObjectName("hub.query")
        self.query.setAccessibleName(tr("Search for a model"))
        self.query.setPlaceholderText(tr("Name of a model, organization/model, or the address of its page"))
        self.query.setToolTip(tr("Words that the name contains, or one model's exact name"))
        self.query.setClearButtonEnabled(True)
        self.query.returnPressed.connect(self.search)
        self.query.textChanged.connect(self._on_query)
        self.mlx_only = QCheckBox(tr("Only made for MLX"), self)
        self.mlx_only.setObjectName("hub.mlx_only")
        self.mlx_only.setAccessibleName(tr("Only models made for MLX"))
        self.mlx_only.setToolTip(
            tr("Models converted for MLX, often quantized. Others train too, at their full size.")
        )
        self.mlx_only.toggled.connect(self.search)
        self.search_button = QPushButton(tr("Search"), self)
        self.search_button.setObjectName("hub.search")
        self.search_button.setToolTip(with_keys(tr("Ask the hub"), "Return"))
        self.search_button.setAutoDefault(False)
        self.search_button.clicked.connect(self.search)
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE * 3 // 2)
        head.addWidget(self.query, 1)
        head.addWidget(self.mlx_only)
        head.addWidget(self.search_button)
        return head

    def _results(self) -> QFrame:
        """The table, and in its place the words when there is nothing to show."""
        frame = QFrame(self)
        layout = QVBoxLayout(frame)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        self.status = QLabel(frame)
        self.status.setObjectName("hub.status")
        self.status.setWordWrap(True)
        self.view = HubTableView(self.table, frame)
        self.view.selectionModel().selectionChanged.connect(self._on_selected)
        self.offline = self._line("hub.offline", OFFLINE, "warning", frame)
        self.about_known = self._line("hub.known.about", self._known_text(), "muted", frame)
        self.known_view = HubTableView(
            self.known,
            frame,
            name="hub.known",
            accessible_name=tr("Known small models"),
            widths=(100, 92, 132, 116),
        )
        self.known_view.selectionModel().selectionChanged.connect(self._on_selected)
        layout.addWidget(self.offline)
        layout.addWidget(self.about_known)
        layout.addWidget(self.known_view, 1)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.status, 1)
        return frame

    def _line(self, name: str, text: str, role: str, parent: QWidget) -> QLabel:
        line = QLabel(text, parent)
        line.setObjectName(name)
        line.setProperty("role", role)
        line.setWordWrap(True)
        return line

    def _known_text(self) -> str:
        """What the list is, and by which rule it judges."""
        day = known_models().as_of
        return tr(
            "Well-known small models, as of {day} {month} {year}; sizes are computed, not asked of "
            "the hub. “Fits” is judged by size alone: 1.25 × the weights and 1.5 GB, within the "
            "{working_set_bytes} that MLX may use of this machine’s {memory_bytes}.",
            day=day.day,
            month=month_name(day),
            year=day.year,
            working_set_bytes=bytes_text(self.known.working_set_bytes),
            memory_bytes=bytes_text(self._memory_bytes),
        )

    def _card(self) -> QFrame:
        card = QFrame(self)
        card.setProperty("role", "card")
        layout = QVBoxLayout(card)
        layout.setContentsMargins(*[theme.SPACE * 2] * 4)
        layout.setSpacing(theme.SPACE * 3 // 2)
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        words = QVBoxLayout()
        words.setSpacing(theme.SPACE // 2)
        self.name = ElidedLabel("", card)
        self.name.setProperty("role", "label")
        self.where = ElidedLabel("", card)
        self.where.setProperty("role", "small")
        words.addWidget(self.name)
        words.addWidget(self.where)
        row.addLayout(words, 1)
        self.cancel_button = self._button(
            "hub.cancel", tr("Stop"), tr("Stops; what has arrived stays, to go on later")
        )
        self.cancel_button.clicked.connect(self._download.stop)
        self.download_button = self._button("hub.download", tr("Download"), tr("Downloads the chosen model"))
        self.download_button.clicked.connect(self.download)
        self.use_button = self._button("hub.use", tr("Use this model"), tr("Takes it over into the form"))
        self.use_button.clicked.connect(self._on_use)
        for button in (self.cancel_button, self.download_button, self.use_button):
            row.addWidget(button)
        self.progress = JobProgress("hub.download", card)
        layout.addLayout(row)
        layout.addWidget(self.progress)
        self.card = card
        return card

    def _button(self, name: str, text: str, tip: str) -> QPushButton:
        button = quiet_button(name, text, tip, self)
        if name != "hub.cancel":
            theme.set_role(button, kind="primary")
        return button

    # -- search -----------------------------------------------------------------------------------------------

    def _on_search_event(self, said: event.Event) -> None:
        if isinstance(said, event.Hello):
            self._working_set_bytes = said.working_set_gb * 1e9
        elif isinstance(said, event.Result):
            self._answer = [HubModel.from_dict(tree) for tree in said.data["models"]]

    def _on_query(self, text: str) -> None:
        """An emptied field shows what stood there at first."""
        if not text.strip():
            self._search.cancel()
            self._show_known()
            self._show_chosen()

    def _show_known(self) -> None:
        self._tell("")
        self._choose_table(known=True)

    def _choose_table(self, *, known: bool) -> None:
        self._is_known_shown = known
        for part in (self.about_known, self.known_view):
            part.setVisible(known)
        self.view.setVisible(not known and not self.status.text())

    def _chosen(self) -> HubModel | None:
        """The model of the selected row of the table that is shown."""
        return (self.known_view if self._is_known_shown else self.view).chosen()

    def _on_search_ended(self, outcome: WorkerOutcome) -> None:
        if self._answer is None:
            self._tell(outcome.sentence() or tr("The search ended without an answer."), "error")
            return
        self.table.show(self._answer, self._working_set_bytes)
        if not self._answer:
            self._tell(tr("Nothing was found. Fewer words find more."))
            return
        self._tell("")
        self.view.choose_first()
        self._show_chosen()

    def _tell(self, text: str, role: str = "muted") -> None:
        """Words where the table stands; without any the table is there."""
        self.status.setText(text)
        theme.set_role(self.status, role=role)
        self.status.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.status.setVisible(bool(text))
        self._choose_table(known=False)
        self.card.setVisible(not text or self._download.is_running)

    # -- download ---------------------------------------------------------------------------------------------

    def download(self) -> None:
        """Downloads the chosen model, or goes on with it."""
        model = self._chosen()
        if model is None or self._download.is_running:
            return
        self._loading, self._told_of = model, model.id
        self.progress.begin(tr("Looking up {id} …", id=model.id))
        self._download.start(HubDownloadJob(model=model.id, models_dir=load_settings().models_dir))
        self._refresh_tables()
        self._show_chosen()

    def _on_download_event(self, said: event.Event) -> None:
        if isinstance(said, event.Progressed):
            self.progress.show_progress(said)
        elif isinstance(said, event.Result):
            self.progress.say(
                tr("Downloaded: {bytes} in {path}", bytes=bytes_text(said.data["bytes"]), path=said.data["path"]),
                "good",
            )
            if self._loading is not None:
                self._arrived.add(self._loading.id)
            self.arrived.emit(str(said.data["model"]))

    def _on_download_ended(self, outcome: WorkerOutcome) -> None:
        self._loading = None
        self.progress.end(outcome)
        self._finder.find()
        self._refresh_tables()
        self._show_chosen()

    def _refresh_tables(self) -> None:
        self.table.refresh()
        self.known.refresh()

    def _on_found(self) -> None:
        self._refresh_tables()
        self._show_chosen()

    def _on_selected(self) -> None:
        model = self._chosen()
        if not self._download.is_running and model is not None and model.id != self._told_of:
            self.progress.say("")
        self._show_chosen()

    def _on_use(self) -> None:
        model = self._chosen()
        if model is not None:
            cached = any(entry.cached and entry.name == model.id for entry in self._finder.entries)
            self.chosen.emit(model.id if cached else self._destination(model).name)

    def _show_chosen(self) -> None:
        """The card tells of the model that is being downloaded, else of the selected one."""
        running = self._download.is_running
        model = self._loading or self._chosen()
        self.cancel_button.setVisible(running)
        state = self.state_of(model) if model is not None else ""
        self.use_button.setVisible(not running and state == HERE)
        self.download_button.setVisible(not running and state != HERE)
        offline = load_settings().offline
        self.download_button.setEnabled(model is not None and not offline)
        self.download_button.setToolTip(OFFLINE if offline else tr("Downloads the chosen model"))
        self.download_button.setText(tr("Resume") if state else tr("Download"))
        if model is None:
            count = len((self.known if self._is_known_shown else self.table).rows)
            self.name.setText(
                plural(count, "known model")
                if self._is_known_shown
                else tr("{models} found", models=plural(count, "model"))
            )
            self.where.setText(tr("Choose one to download it."))
            return
        self.name.setText(model.id)
        size = bytes_text(model.size_bytes) if model.size_bytes else tr("size not told")
        folder = load_settings().models_dir or tr("the Hugging Face cache ({hub_cache})", hub_cache=hub_cache())
        where = tr("goes to {folder}", folder=folder) if state != HERE else tr("on this machine")
        if self._is_known_shown and self._loading is None:
            self.name.setText(f"{model.id} · {self.known.known(model).good_for}")
            if self.known.fit_of(model) is Fit.TOO_LARGE:
                need, limit = training_bytes(model.size_bytes), self.known.working_set_bytes
                where = tr(
                    "too large to train here: needs {need}, MLX may use {limit}",
                    need=bytes_text(need),
                    limit=bytes_text(limit),
                )
        if offline and state != HERE:
            where = tr("cannot be downloaded while Luthier is strictly offline")
        stored = tr(" as {quantization}", quantization=model.quantization) if model.quantization else ""
        self.where.setText(f"{size}{stored} · {where}")

    def _destination(self, model: HubModel) -> Destination:
        return Destination.of(model_id(model.id), load_settings().models_dir)
