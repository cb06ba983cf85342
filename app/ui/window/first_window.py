"""The first window: when Luthier is started again, the window that is open comes to the front with the files."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence

from filelock import FileLock, Timeout
from PySide6.QtCore import QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from app.core.json_text import parsed_json
from app.core.system import place

LONGEST_SOCKET_PATH = 100  # bytes; macOS takes 103
ANSWER_MS = 5_000  # a window that says nothing for so long is stuck
REQUEST_MS = 1_000
RETRY_S = 0.05
LONGEST_REQUEST = 1_000_000  # bytes
SHOWN = b"shown\n"


class FirstWindow(QObject):
    """Listens for later launches, and passes on what they were given.

    There is one for each data folder; a lock, which the system drops with the process, says whose it is. Without
    the lock it does nothing.
    """

    asked = Signal(list)  # list[str]: the files of a later launch; the window should come to the front

    def __init__(self, lock: FileLock, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lock = lock
        self._server = QLocalServer(self)
        if not lock.is_locked:
            return  # another process listens
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._on_connection)
        name = _server_name()
        QLocalServer.removeServer(name)  # that of a process which died: the lock is ours
        self._server.listen(name)

    def close(self) -> None:
        """From now on the next launch opens a window of its own."""
        self._server.close()
        self._lock.release()

    def _on_connection(self) -> None:
        """The caller writes its one line at once, so it is read here and now: no socket outlives this."""
        while (socket := self._server.nextPendingConnection()) is not None:
            files = self._read(socket)
            if files is not None:
                socket.write(SHOWN)
                socket.waitForBytesWritten(REQUEST_MS)
            socket.disconnectFromServer()
            socket.deleteLater()
            if files is not None:
                self.asked.emit(files)

    def _read(self, socket: QLocalSocket) -> list[str] | None:
        """What a caller asks for; None for what is no request."""
        while not socket.canReadLine():
            if socket.bytesAvailable() > LONGEST_REQUEST or not socket.waitForReadyRead(REQUEST_MS):
                return None
        return _files(bytes(socket.readLine().data()))


def first_window(files: Sequence[str], parent: QObject | None = None) -> FirstWindow | None:
    """The one who listens for later launches; None where another window is open, which now shows ``files``.

    A window that is only just starting is waited for. One that does not answer is left alone: this launch opens its
    own then, as it does where the folder cannot be written.
    """
    lock = FileLock(place.data_dir() / ".window")
    until = time.monotonic() + ANSWER_MS / 1000
    while True:
        try:
            place.data_dir().mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
            return FirstWindow(lock, parent)
        except Timeout:
            if _hand_over(files):
                return None
        except OSError:
            return FirstWindow(lock, parent)
        if time.monotonic() > until:
            return FirstWindow(lock, parent)
        time.sleep(RETRY_S)


def _hand_over(files: Sequence[str]) -> bool:
    """Gives the files to the window that is open; False if there is none that answers."""
    socket = QLocalSocket()
    socket.connectToServer(_server_name())
    if not socket.waitForConnected(ANSWER_MS):
        return False
    socket.write(json.dumps({"files": list(files)}).encode() + b"\n")
    socket.flush()
    answered = socket.waitForReadyRead(ANSWER_MS) and bytes(socket.readLine().data()) == SHOWN
    socket.abort()
    return answered


def _server_name() -> str:
    """A socket in the data folder; where its path would be too long, in the folder for temporary things."""
    path = str(place.data_dir() / "window.socket")
    if len(path.encode()) <= LONGEST_SOCKET_PATH:
        return path
    return f"luthier-{hashlib.sha256(path.encode()).hexdigest()[:24]}"


def _files(line: bytes) -> list[str] | None:
    """What a later launch was given; None for what is no request."""
    try:
        tree = parsed_json(line)
    except ValueError:
        return None
    files = tree.get("files") if isinstance(tree, dict) else None
    return files if isinstance(files, list) and all(isinstance(one, str) for one in files) else None
