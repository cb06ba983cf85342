"""One host in the dialog: how ssh and the others reach it, where model and program are, and what a check found."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from app.core.language import tr
from app.core.replica.hostfile import LOCAL_HOST, ReplicaHost
from app.ui.form.plain_editor import TextEditor
from app.ui.widget import theme
from app.ui.widget.icon_button import IconButton

COLUMNS = ("", tr("Name for ssh"), tr("Address"), tr("Model there"), tr("Luthier there"), tr("RDMA devices"), "")
RDMA_COLUMN = COLUMNS.index(tr("RDMA devices"))
_HINTS = {
    "ssh": (
        "user@mac-2.local",
        tr("As ssh knows it: an alias of its config, or user@address. It must get in by a key."),
    ),
    "ips": ("10.0.0.2", tr("IPv4, in the network that the gradients take, such as a Thunderbolt bridge's.")),
    "model": (
        tr("at the same place"),
        tr("The base model's folder there, where it is not where it is on this machine."),
    ),
    "luthier": (tr("found by its name"), tr("The program's path there, where the shell does not find luthier.")),
    "rdma": (
        tr("rdma_en2, …"),
        tr("One device to each host, in their order, with a minus for itself: -, rdma_en2, rdma_en3"),
    ),
}
NO_DEVICE = "-"


class HostRow(QObject):
    """The widgets of one host in two lines of a grid: its fields, and what was found. The first is this machine."""

    edited = Signal()
    removed = Signal(object)  # this row

    def __init__(self, number: int, grid: QGridLayout, parent: QWidget) -> None:
        super().__init__(parent)
        self._grid = grid
        self.title = QLabel(parent)
        self.fields = {name: self._field(name, parent) for name in _HINTS}
        self.remove_button = IconButton("ph.trash", tr("Remove this host"), parent)
        self.remove_button.clicked.connect(lambda: self.removed.emit(self))
        self.result = QLabel(parent)
        self.result.setWordWrap(True)
        theme.set_role(self.result, role="small")
        self.widgets: list[QWidget] = [self.title, *self.fields.values(), self.remove_button, self.result]
        self.place(number)

    def place(self, number: int) -> None:
        """Puts it at its place (from 0)."""
        self.number = number
        self.title.setText(tr("This machine") if not number else tr("Host {number}", number=number + 1))
        line = 1 + 2 * number
        for column, widget in enumerate(self.widgets[:-1]):
            self._grid.addWidget(widget, line, column)
        self._grid.addWidget(self.result, line + 1, 1, 1, len(COLUMNS) - 2)
        for name, field in self.fields.items():
            field.setObjectName(f"hosts.{number}.{name}")
            field.setAccessibleName(f"{self.title.text()}: {COLUMNS[1 + list(self.fields).index(name)]}")
        for name in ("ssh", "model", "luthier"):
            self.fields[name].setEnabled(number > 0)
        self.remove_button.setObjectName(f"hosts.{number}.remove")
        self.remove_button.setVisible(number > 1)

    def set_host(self, host: ReplicaHost) -> None:
        """Shows a host."""
        devices = ", ".join(NO_DEVICE if one is None else str(one) for one in host.rdma)
        values = {"ssh": host.ssh, "ips": ", ".join(host.ips), "model": host.model, "luthier": host.luthier}
        for name, text in (values | {"rdma": devices}).items():
            self.fields[name].set_value(text)

    def host(self) -> ReplicaHost:
        """What stands there."""
        texts: dict[str, Any] = {name: field.value().strip() for name, field in self.fields.items()}
        ips, devices = _words(texts["ips"]), _words(texts["rdma"])
        rdma = tuple(None if one == NO_DEVICE else one for one in devices)
        if not self.number:
            return ReplicaHost(LOCAL_HOST, ips, rdma)
        return ReplicaHost(texts["ssh"], ips, rdma, texts["luthier"], texts["model"])

    def tell(self, text: str, role: str = "muted") -> None:
        """Says what was found, or nothing."""
        self.result.setText(text)
        theme.set_role(self.result, role=role)

    def drop(self) -> None:
        """Takes its widgets out of the grid."""
        for widget in self.widgets:
            self._grid.removeWidget(widget)
            widget.deleteLater()

    def _field(self, name: str, parent: QWidget) -> TextEditor:
        field = TextEditor(parent)
        placeholder, tip = _HINTS[name]
        field.setPlaceholderText(placeholder)
        field.setToolTip(tip)
        field.edited.connect(self.edited)
        return field


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
