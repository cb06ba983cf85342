"""The task that quantizes a Hugging Face model for MLX, into a folder that appears only when it is whole."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.core.language import tr
from app.core.model.conversion import Quantization, quantization
from app.core.model.folder import locate_model, plain_path, read_config
from app.core.model.safetensors_header import read_header, weight_faults, weight_files
from app.core.problem import Problem, TaskError, UnusableError
from app.core.protocol import event
from app.core.protocol.job import ConvertJob
from app.core.quantity import bytes_text
from app.core.system.disk import free_bytes
from app.core.system.plain_text import holds_no_text
from app.core.typed_path import typed_path
from app.worker.process.channel import Channel
from app.worker.process.control import ENDING

LOADING_PHASE, WRITING_PHASE = tr("Loading the model"), tr("Quantizing and writing")
POLL_S = 0.2


def convert(channel: Channel, _job_dir: Path, job: ConvertJob) -> None:
    """The task ``convert``: a quantized copy of the model.

    ``stop`` leaves nothing behind. Ends with a `Result` (``path``, ``bytes``, ``source_bytes``).
    """
    started = time.monotonic()
    source, out = locate_model(job.model), typed_path(job.out).resolve()
    chosen = quantization(job.quantization)
    source_bytes, expected = _check(source, out, chosen)
    temporary = out.with_name(f".{out.name}-{os.getpid()}")
    try:
        with _watched(channel, temporary, expected):
            channel.emit(event.Progressed(phase=LOADING_PHASE))
            _convert(source, temporary, chosen)
            temporary.rename(out)
    except KeyboardInterrupt:
        shutil.rmtree(out, ignore_errors=True)  # it was not there before, so it is ours
        channel.emit(event.Finished(reason="stopped", message=tr("Stopped; nothing was written.")))
        return
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    data = {"path": str(out), "bytes": _size(out), "source_bytes": source_bytes}
    channel.emit(event.Result(name="convert", data=data))
    channel.emit(event.Finished(elapsed_s=time.monotonic() - started))


def _check(source: Path, out: Path, chosen: Quantization) -> tuple[int, int]:
    """The bytes of the source's weights and about those of the result.

    Raises `UnusableError` with everything that is in the way.
    """
    problems = []
    config, size = read_config(source), _size(source)
    if "quantization" in config or "quantization_config" in config:
        said = tr("The model is quantized already; quantizing it again would only lose quality.")
        problems.append(Problem("model", said, hint=tr("Choose the original model."), file=str(source)))
    if not size:
        problems.append(
            Problem(
                "model",
                tr("There are no safetensors weights in {source}.", source=source),
                hint=tr("Download it again."),
            )
        )
    hint = tr("Download or copy the model again.")
    faults = weight_faults(source)
    problems += [Problem("model", fault, hint=hint, file=str(source)) for fault in faults]
    if holds_no_text(out):
        said = tr("MLX cannot write where a name holds bytes that are no UTF-8: {out}.", out=out)
        problems.append(Problem("out", said, hint=tr("Choose another folder.")))
    if out.exists():
        said = tr("{out} exists, and nothing is written over.", out=out)
        problems.append(Problem("out", said, hint=tr("Choose another name, or delete it.")))
    files = [] if faults else weight_files(source)
    parameters = sum(tensor.size for file in files for tensor in read_header(file))
    need, free = chosen.bytes_of(parameters), free_bytes(out.parent)
    if need > free:
        said = tr(
            "The result takes about {need}, and {free} are free.", need=bytes_text(need), free=bytes_text(free)
        )
        problems.append(Problem("out", said, hint=tr("Free some space, or choose another disk.")))
    if problems:
        raise UnusableError(problems)
    return size, need


def _convert(source: Path, out: Path, chosen: Quantization) -> None:
    from mlx_lm import convert as mlx_convert

    from app.worker.model.build import misfit_text
    from app.worker.model.loading import unloadable

    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with plain_path(source) as place:
            mlx_convert(
                str(place),
                mlx_path=str(out),
                quantize=True,
                q_bits=chosen.bits,
                q_group_size=chosen.group_size,
                q_mode=chosen.mode,
            )
    except (ValueError, KeyError, TypeError) as error:
        if misfit_text(error):
            raise unloadable(source, error) from error
        raise TaskError(
            tr(
                "mlx-lm cannot convert this model ({splitlines!r}).",
                splitlines=str(error).splitlines()[0] if str(error) else error,
            ),
            tr("Inspect it to see whether mlx-lm knows its type."),
        ) from error


@contextmanager
def _watched(channel: Channel, folder: Path, expected: int) -> Iterator[None]:
    """Tells how much of the result is written, and interrupts the main thread when asked to stop.

    mlx-lm has no hook for either; the interrupt arrives between two of its steps, at most a file's time later.
    """
    over = threading.Event()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts us in the background ignores it
    arguments = (channel, folder, expected, over, threading.get_ident())
    thread = threading.Thread(target=_watch, args=arguments, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _watch(channel: Channel, folder: Path, expected: int, over: threading.Event, main: int) -> None:
    told = 0
    while not over.wait(POLL_S):
        command = channel.poll()
        if isinstance(command, ENDING):
            signal.pthread_kill(main, signal.SIGINT)
            return
        written = _size(folder)
        if written != told:
            told = written
            channel.emit(
                event.Progressed(phase=WRITING_PHASE, done=min(told, expected), total=expected, in_bytes=True)
            )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in weight_files(folder)) if folder.is_dir() else 0
