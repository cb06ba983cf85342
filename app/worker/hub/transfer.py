"""A transfer: files fetched from the hub in pieces that stay on disk, for the next attempt to go on from.

huggingface_hub keeps no part of an unfinished file (its temporary names are used once). So the large files are
fetched here, under the name of their SHA-256, and only then laid out by it.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import get_session
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]
from huggingface_hub.utils import tqdm as hub_tqdm  # type: ignore[attr-defined]  # public by their documentation

from app.core.language import tr
from app.core.problem import TaskError
from app.core.protocol import event
from app.worker.process.channel import Channel
from app.worker.process.control import ENDING, StoppedError

CONNECTIONS = 4  # files fetched at a time
SILENCE_S = 15.0  # of silence, after which a connection counts as broken
RETRY_WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0)  # tried again as often in a row without a byte arriving
LONGEST_WAIT_S = 60.0  # of what a server may ask for (Retry-After)
TOLD_EVERY_S = 0.2
LAST_WORDS_S = 3.0  # what a stopped transfer gets to close its files; they are usable even if it takes longer
READ_BYTES = 1 << 20
RETRIED_STATUS = frozenset({408, 416, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class LargeFile:
    """A file to fetch: from ``url`` into ``target``, by way of ``partial``; its size in bytes and its SHA-256."""

    url: str
    target: Path
    partial: Path
    size: int
    sha256: str


class Transfer:
    """Counts the bytes of all files, from several threads, and carries the request to stop to them."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.stopped = threading.Event()
        self._done = 0
        self._lock = threading.Lock()

    @property
    def done(self) -> int:
        return self._done

    def add(self, size: int) -> None:
        """``size`` more bytes are there (fewer, if negative). Raises `StoppedError` if it is to stop."""
        with self._lock:
            self._done += size
        self.check()

    def check(self) -> None:
        """Raises `StoppedError` if it is to stop."""
        if self.stopped.is_set():
            raise StoppedError

    def pause(self, seconds: float) -> None:
        """Waits; raises `StoppedError` as soon as it is to stop."""
        self.stopped.wait(seconds)
        self.check()

    def run(self, work: Callable[[], None], channel: Channel, phase: str) -> None:
        """Does the work in a thread, tells its progress at most 5 times a second, and stops it on request.

        Raises what the work raised, or `StoppedError`.
        """
        errors: list[BaseException] = []
        thread = threading.Thread(target=_caught, args=(work, errors), daemon=True)
        thread.start()
        told = -1
        while thread.is_alive():
            thread.join(TOLD_EVERY_S)
            if self.done != told:
                told = self.done
                channel.emit(
                    event.Progressed(phase=phase, done=min(told, self.total), total=self.total, in_bytes=True)
                )
            if _stop_asked(channel):
                self.stopped.set()
                thread.join(LAST_WORDS_S)
                raise StoppedError
        if errors:
            raise errors[0]

    def bar(self) -> type[hub_tqdm]:
        """A progress bar class for huggingface_hub that shows nothing and counts here."""
        transfer = self

        class Bar(hub_tqdm):
            def __init__(self, *arguments: Any, **options: Any) -> None:
                # There are three: bytes received, bytes written, files. Those written count.
                self._counts = options.get("name") == "huggingface_hub.snapshot_download"
                super().__init__(*arguments, **(options | {"disable": True}))

            def update(self, n: float | None = 1) -> bool | None:
                if self._counts:
                    transfer.add(int(n or 0))
                return None

        return Bar


def fetch_all(files: Sequence[LargeFile], transfer: Transfer, log: Callable[[str], None]) -> None:
    """Fetches the files, some at a time. The first failure stops the others and is raised."""
    waiting = list(reversed(files))
    errors: list[BaseException] = []

    def work() -> None:
        while not errors:
            try:
                file = waiting.pop()
            except IndexError:
                return
            fetch(file, transfer, log)

    threads = [threading.Thread(target=_caught, args=(work, errors), daemon=True) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def fetch(file: LargeFile, transfer: Transfer, log: Callable[[str], None]) -> None:
    """Fetches what is missing of one file, checks its SHA-256 and moves it to its place.

    A broken connection is tried again from the byte where it broke. Raises what huggingface_hub or httpx raise
    when that does not help, `TaskError` if the file arrived damaged, `StoppedError`.
    """
    file.partial.parent.mkdir(parents=True, exist_ok=True)
    if file.partial.exists() and file.partial.stat().st_size > file.size:
        file.partial.unlink()
    with file.partial.open("ab", buffering=0) as out:
        transfer.add(out.tell())
        digest = _digest(file.partial, transfer)
        failures = 0
        while (have := out.tell()) < file.size:
            try:
                for piece in _pieces(file.url, have):
                    if piece is None:  # the server sends the whole file, whatever was asked
                        _restart(out, transfer)
                        digest = hashlib.sha256()
                        continue
                    _write(out, piece)
                    digest.update(piece)
                    transfer.add(len(piece))
                if out.tell() < file.size:
                    raise httpx2.RemoteProtocolError(tr("The connection ended before the file did."))
            except (httpx2.TransportError, HfHubHTTPError) as error:
                failures = 0 if out.tell() > have else failures + 1
                transfer.pause(_wait_s(error, failures))
                log(
                    tr(
                        "{name}: {error!r}; going on from byte {tell:,}",
                        name=file.target.name,
                        error=error,
                        tell=out.tell(),
                    )
                )
                if _status_of(error) == 416:
                    _restart(out, transfer)
                    digest = hashlib.sha256()
    if file.partial.stat().st_size != file.size or digest.hexdigest() != file.sha256:
        file.partial.unlink()
        raise TaskError(
            tr("{name} arrived damaged (its checksum is wrong).", name=file.target.name), tr("Run it again.")
        )
    file.target.parent.mkdir(parents=True, exist_ok=True)
    file.partial.replace(file.target)


def _pieces(url: str, start: int) -> Iterator[bytes | None]:
    """The bytes from ``start`` on; first None if the server begins at the first byte instead."""
    headers = build_hf_headers() | {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with _stream(url, headers) as response:
        hf_raise_for_status(response)
        if start and response.status_code != 206:
            yield None
        yield from response.iter_raw()


@contextmanager
def _stream(url: str, headers: dict[str, str]) -> Iterator[httpx2.Response]:
    with get_session().stream("GET", url, headers=headers, timeout=SILENCE_S) as response:
        yield response


def _write(out: FileIO, piece: bytes) -> None:
    """All of it: on a disk that fills up, one write takes what fits and only the next one fails."""
    rest = memoryview(piece)
    while rest:
        rest = rest[out.write(rest) :]


def _restart(out: FileIO, transfer: Transfer) -> None:
    transfer.add(-out.tell())
    out.truncate(0)
    out.seek(0)


def _digest(path: Path, transfer: Transfer) -> Any:
    """The SHA-256 of what is there already."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(READ_BYTES):
            digest.update(piece)
            transfer.check()
    return digest


def _wait_s(error: Exception, failures: int) -> float:
    """How long to wait before the next attempt; raises the error if it is not worth one."""
    status = _status_of(error)
    if failures >= len(RETRY_WAITS_S) or (status and status not in RETRIED_STATUS):
        raise error
    if isinstance(error, HfHubHTTPError) and error.response is not None:
        asked = error.response.headers.get("Retry-After", "")
        if asked.isdigit():
            return min(float(asked), LONGEST_WAIT_S)
    return RETRY_WAITS_S[failures]


def _status_of(error: Exception) -> int:
    response = getattr(error, "response", None)
    return int(response.status_code) if response is not None else 0


def _stop_asked(channel: Channel) -> bool:
    return isinstance(channel.poll(), ENDING)


def _caught(work: Callable[[], None], errors: list[BaseException]) -> None:
    try:
        work()
    except BaseException as error:
        errors.append(error)
