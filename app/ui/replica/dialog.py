"""The dialog over a hostfile: which machines train a run together, whether they can, and the start on them."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.job import HostsJob
from app.core.refusal import reason_of
from app.core.replica.hostfile import (
    BACKENDS,
    LOCAL_HOST,
    RING_BACKEND,
    Hostfile,
    ReplicaHost,
    hostfile_problems,
    own_address,
    read_hostfile,
    save_hostfile,
    speed_text,
)
from app.core.replica.problem import replica_problems
from app.core.system import place
from app.ui.form.plain_editor import ChoiceBox
from app.ui.model.job_progress import JobProgress
from app.ui.platform.file_panel import ask_file, ask_new_file
from app.ui.replica.host_row import COLUMNS, RDMA_COLUMN, HostRow
from app.ui.widget import theme
from app.ui.worker.job_dialog import JobDialog
from app.ui.worker.process import WorkerOutcome

HOSTS_DIALOG_SIZE = (940, 560)  # px in Inter, at least
WHAT_REPLICAS_ARE = tr(
    "Each machine holds the whole base model and computes a share of every batch; the losses are "
    "those of one machine. Data, tokens and the run stay on this one. The others need Luthier in "
    "the same version, the same base model, and an ssh that gets in by a key."
)
REPLICA_LINKS = dict(
    zip(
        BACKENDS, (tr("A ring over TCP"), tr("RDMA (JACCL), each to each"), tr("RDMA (JACCL), a ring")), strict=True
    )
)
FILES = tr("Hostfiles (*.json);;All files (*)")


class HostsDialog(JobDialog):
    """Edits the hosts of one setup's run, as the form had it when it was asked for."""

    start_requested = Signal(object)  # the Hostfile to start on

    def __init__(self, config: TrainConfig, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("hosts_dialog")
        self.setWindowTitle(tr("Train on Several Machines"))
        self.resize(theme.text_width(HOSTS_DIALOG_SIZE[0]), HOSTS_DIALOG_SIZE[1])
        self._config = config
        self._envs: tuple[str, ...] = ()
        self._verdict: tuple[str, str] | None = None  # what a check came to, and how it is told
        self.rows: list[HostRow] = []
        self._build()
        self.set_hostfile(kept_hostfile())

    # -- what is chosen ---------------------------------------------------------------------------------------

    @property
    def hostfile(self) -> Hostfile:
        """What stands here."""
        return Hostfile(tuple(row.host() for row in self.rows), self.backend.value(), self._envs)

    @property
    def job(self) -> HostsJob:
        """The check that would be asked for now."""
        return HostsJob(hostfile=self.hostfile.tree(), model=self._config.model)

    def set_hostfile(self, hostfile: Hostfile) -> None:
        """Shows other hosts."""
        self._envs = hostfile.envs
        self.backend.set_value(hostfile.backend)
        while len(self.rows) > len(hostfile):
            self._drop(self.rows[-1])
        while len(self.rows) < len(hostfile):
            self.add_host()
        for row, host in zip(self.rows, hostfile.hosts, strict=True):
            row.set_host(host)
        self._show()

    def add_host(self) -> None:
        """One more, without a name yet."""
        row = HostRow(len(self.rows), self._grid, self._table)
        row.edited.connect(self._show)
        row.removed.connect(self._on_removed)
        self.rows.append(row)
        self._show()

    def check(self) -> None:
        """Asks the hosts, and keeps them."""
        self._save(hostfile_place())
        self.progress.begin(tr("Starting a replica on each host …"))
        for row in self.rows:
            row.tell("")
        self._job.start(self.job)
        self._show()

    def start(self) -> None:
        """Keeps the hosts, and asks for a run on them."""
        hostfile = self.hostfile
        self._save(hostfile_place())
        self.accept()
        self.start_requested.emit(hostfile)

    def open_file(self) -> None:
        """Asks for a hostfile and shows it."""
        name = ask_file(self, tr("Open a Hostfile"), str(hostfile_place().parent), FILES)
        if name:
            self.take_file(Path(name))

    def take_file(self, path: Path) -> None:
        """Shows the hosts of a file; one that is none is told."""
        try:
            self.set_hostfile(read_hostfile(path))
        except UnusableError as error:
            self.progress.say(" ".join(problem.sentence() for problem in error.problems), "error")

    def save_file(self) -> None:
        """Asks where, and writes it."""
        name, _ = ask_new_file(self, tr("Save the Hostfile"), str(hostfile_place()), FILES)
        if name:
            self._save(Path(name))

    def _save(self, path: Path) -> None:
        """Writes what stands here; that it cannot be written is told, and keeps nothing from going on."""
        try:
            save_hostfile(self.hostfile, path)
        except OSError as error:
            self.progress.say(
                tr("{path} cannot be written: {reason_of}.", path=path, reason_of=reason_of(error)), "error"
            )

    # -- showing ----------------------------------------------------------------------------------------------

    def _show(self, _value: object = None) -> None:
        """What is in the way of a check, and of a start."""
        hostfile = self.hostfile
        rdma = hostfile.backend != RING_BACKEND
        self._titles[RDMA_COLUMN].setVisible(rdma)
        self._grid.setColumnStretch(RDMA_COLUMN, int(rdma))
        for row in self.rows:
            row.fields["rdma"].setVisible(rdma)
        found = hostfile_problems(hostfile)
        hinders = found or replica_problems(self._config, len(hostfile))
        self.problem.setText("\n".join(one.text for one in hinders))
        self.problem.setVisible(bool(hinders))
        running = self._job.is_running
        self._table.setEnabled(not running)
        for button in (self.backend, self.add_button, self.open_button, self.start_button):
            button.setEnabled(not running)
        self.check_button.setEnabled(not running and not found)
        self.save_button.setEnabled(not running and not found)
        self.start_button.setEnabled(not running and not hinders)
        self.stop_button.setVisible(running)
        self.check_button.setVisible(not running)

    def _on_event(self, said: event.Event) -> None:
        if isinstance(said, event.Progressed):
            self.progress.show_progress(said)
        elif isinstance(said, event.Result):
            self._show_found(said.data)

    def _show_found(self, found: dict[str, object]) -> None:
        hosts = found["hosts"]
        assert isinstance(hosts, list)
        for row, one in zip(self.rows, hosts, strict=False):
            row.tell(one["about"] if one["ok"] else " ".join(one["problems"]), "muted" if one["ok"] else "error")
        if found["joined"]:
            self._verdict = (
                tr("They can train together: {speed_text}", speed_text=speed_text(*_speed(found))),
                "muted",
            )
        else:
            self._verdict = (str(found["problem"]) or tr("They cannot train together yet."), "error")

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        if outcome.completed and self._verdict is not None:
            self.progress.say(*self._verdict)
        else:
            self.progress.end(outcome)
        self._verdict = None
        self._show()

    def _on_removed(self, row: HostRow) -> None:
        self._drop(row)
        for number, left in enumerate(self.rows):
            left.place(number)
        self._show()

    def _drop(self, row: HostRow) -> None:
        self.rows.remove(row)
        row.drop()

    # -- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        what = QLabel(WHAT_REPLICAS_ARE, self)
        what.setWordWrap(True)
        theme.set_role(what, role="muted")
        self.problem = QLabel(self)
        self.problem.setObjectName("hosts.problem")
        self.problem.setWordWrap(True)
        theme.set_role(self.problem, role="error")
        self.progress = JobProgress("hosts", self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE * 2] * 4)
        layout.setSpacing(theme.SPACE * 2)
        layout.addWidget(what)
        layout.addWidget(self._built_table(), 1)
        layout.addLayout(self._built_choices())
        layout.addWidget(self.problem)
        layout.addWidget(self.progress)
        layout.addLayout(self._built_buttons())

    def _built_table(self) -> QScrollArea:
        area = QScrollArea(self)
        area.setAccessibleName(tr("Machines"))
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        self._table = QWidget(area)
        self._grid = QGridLayout(self._table)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(theme.SPACE)
        self._grid.setVerticalSpacing(theme.SPACE // 2)
        self._titles = [QLabel(text, self._table) for text in COLUMNS]
        for column, title in enumerate(self._titles):
            theme.set_role(title, role="small")
            self._grid.addWidget(title, 0, column)
            self._grid.setColumnStretch(column, 1 if 0 < column < len(COLUMNS) - 1 else 0)
        self._grid.setAlignment(Qt.AlignmentFlag.AlignTop)
        area.setWidget(self._table)
        return area

    def _built_choices(self) -> QHBoxLayout:
        self.add_button = QPushButton(tr("Add a host"), self)
        self.add_button.setObjectName("hosts.add")
        self.add_button.clicked.connect(self.add_host)
        self.backend = ChoiceBox(tuple(REPLICA_LINKS.items()), self)
        self.backend.setObjectName("hosts.backend")
        self.backend.setAccessibleName(tr("Connection"))
        self.backend.setSizeAdjustPolicy(ChoiceBox.SizeAdjustPolicy.AdjustToContents)
        self.backend.setToolTip(tr("RDMA needs macOS 26.2, Thunderbolt 5, and to be switched on in Recovery"))
        self.backend.edited.connect(self._show)
        self.open_button = QPushButton(tr("Open hostfile…"), self)
        self.open_button.setObjectName("hosts.open")
        self.open_button.clicked.connect(self.open_file)
        self.save_button = QPushButton(tr("Save hostfile…"), self)
        self.save_button.setObjectName("hosts.save")
        self.save_button.setToolTip(tr("mlx.launch reads it as well"))
        self.save_button.clicked.connect(self.save_file)
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        row.addWidget(self.add_button)
        row.addWidget(QLabel(tr("Connection"), self))
        row.addWidget(self.backend)
        row.addStretch(1)
        row.addWidget(self.open_button)
        row.addWidget(self.save_button)
        return row

    def _built_buttons(self) -> QHBoxLayout:
        self.close_button = QPushButton(tr("Close"), self)
        self.close_button.setObjectName("hosts.close")
        self.close_button.clicked.connect(self.close)
        self.stop_button = QPushButton(tr("Stop the check"), self)
        self.stop_button.setObjectName("hosts.stop")
        self.stop_button.clicked.connect(self.stop)
        self.check_button = QPushButton(tr("Check"), self)
        self.check_button.setObjectName("hosts.check")
        self.check_button.setToolTip(
            tr("Starts a replica on each, compares versions and model, and measures the exchange")
        )
        self.check_button.clicked.connect(self.check)
        self.start_button = QPushButton(tr("Start training"), self)
        self.start_button.setObjectName("hosts.start")
        self.start_button.setDefault(True)
        theme.set_role(self.start_button, kind="primary")
        self.start_button.clicked.connect(self.start)
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        row.addStretch(1)
        for button in (self.close_button, self.stop_button, self.check_button, self.start_button):
            row.addWidget(button)
        return row


def hostfile_place() -> Path:
    """Where the hosts of the last time are kept."""
    return place.data_dir() / "hosts.json"


def kept_hostfile() -> Hostfile:
    """Those of the last time; else this machine and one without a name."""
    try:
        return read_hostfile(hostfile_place())
    except UnusableError:
        return Hostfile((ReplicaHost(LOCAL_HOST, (own_address(),)), ReplicaHost("")))


def _speed(found: dict[str, object]) -> tuple[float, float]:
    latency, through = found["latency_s"], found["bytes_per_s"]
    assert isinstance(latency, float)
    assert isinstance(through, float)
    return latency, through
