"""The task ``serve``: a tuned model behind an endpoint on this machine, until it is told to stop."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import threading
from pathlib import Path

from app.core.export.endpoint import Endpoint
from app.core.export.source import export_source
from app.core.language import tr
from app.core.model.folder import locate_model
from app.core.protocol import event
from app.core.protocol.command import EndOfInput, Stop
from app.core.protocol.job import ServeJob
from app.worker.endpoint.server import EndpointServer, TunedProvider
from app.worker.process.channel import Channel

_LOOK_EVERY_S = 0.1
END_PATIENCE_S = 3.0  # for the answer in progress
KEY_BYTES = 18


def serve_tuned(channel: Channel, _job_dir: Path, job: ServeJob) -> None:
    """Loads and serves, with a `Result` (an `Endpoint` as a dict) and `Ready` once it answers.

    Ends with ``stop`` or the end of input. Raises `UnusableError` for an adapter that does not fit its base, and
    for a port that cannot be had, before anything is loaded.
    """
    source = export_source(job.source, job.checkpoint)
    base = locate_model(job.model or source.base)
    server = EndpointServer(job.port)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    channel.emit(event.Progressed(phase=tr("Loading the model")))
    endpoint = Endpoint(
        server.url, source.word, job.key or secrets.token_urlsafe(KEY_BYTES), str(base), str(source.adapter)
    )
    provider = TunedProvider(job, endpoint.model, base, source.adapter)
    server.begin(provider, endpoint.model, endpoint.key, _Teller(channel).tell)
    told_to_end = _is_ended_before(channel, provider)
    if provider.fault is not None:
        server.end(END_PATIENCE_S)
        raise provider.fault
    for said in provider.warnings:
        channel.emit(event.Warned(message=said))
    if not told_to_end:
        channel.emit(event.Result(name="endpoint", data=endpoint.as_dict()))
        channel.emit(event.Ready())
        _wait_for_end(channel)
    server.end(END_PATIENCE_S)
    channel.emit(event.Finished(reason="stopped", message=tr("Nothing is served any more.")))
    sys.stderr.flush()
    # There is nothing to save. MLX aborts an ordinary end of a process that computed in a second thread, as
    # mlx-lm's server does (seen with MLX 0.32), and a thread in the middle of an answer would hold the end up.
    os._exit(0)


def _is_ended_before(channel: Channel, provider: TunedProvider) -> bool:
    """Waits until the model is loaded; True if somebody has asked to stop by then."""
    while not provider.settled.wait(_LOOK_EVERY_S):
        if isinstance(channel.poll(), (Stop, EndOfInput)):
            return True
    return False


def _wait_for_end(channel: Channel) -> None:
    while not isinstance(command := channel.wait(), (Stop, EndOfInput)):
        channel.decline(command)


class _Teller:
    """Tells of requests, one at a time: they are answered in threads of their own."""

    def __init__(self, channel: Channel) -> None:
        self._channel, self._lock, self._count = channel, threading.Lock(), 0

    def tell(self, path: str, status: int, seconds: float) -> None:
        with self._lock:
            self._count += 1
            self._channel.emit(event.Served(path=path, status=status, seconds=seconds, requests=self._count))
