"""The measuring of one trainer: whole epochs of a run in this process, by the clock and of its processors.

It ends with ``Result(name="measure")``: ``{"wall_s": [seconds of each epoch], "processor_s": [likewise], "peak_gb",
"tokens": real tokens of an epoch}``; what was trained is in ``adapters/`` of the folder. The first epoch is the one
in which everything is compiled. Reading data and weights comes before it, and does not count.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from app.core.language import tr
from app.core.problem import TaskError
from app.core.protocol import event
from app.core.protocol.event import Event
from app.core.protocol.job import MeasureJob, TrainJob
from app.core.run.folder import RunDir
from app.core.stock.speed_table import Measured
from app.worker.process.channel import Channel
from app.worker.process.control import ENDING, Control, StoppedError
from app.worker.stock.trainer import EpochMarks, train_stock
from app.worker.train.preparation import prepare_rows
from app.worker.train.train import train


def measure_trainer(channel: Channel, job_dir: Path, job: MeasureJob) -> None:
    """Trains for the job's epochs and says what each took."""
    run = RunDir(job_dir)
    try:
        if job.trainer == "luthier":
            found = _measured_luthier(channel, run, job.epochs)
        else:
            found = _measured_stock(channel, run, job)
    except StoppedError:
        channel.emit(event.Finished(reason="stopped"))
        return
    channel.emit(event.Result(name="measure", data=found.as_dict()))
    channel.emit(event.Finished())


class _Listener:
    """Hears what a training says: between one thing that it says and a report lie the iterations of the report."""

    def __init__(self) -> None:
        self.tokens = 0
        self.stopped = False
        self.marks: EpochMarks | None = None
        self.peak_gb = 0.0

    def hear(self, said: Event) -> None:
        """Takes one event."""
        match said:
            case event.Started():
                self.tokens = said.epoch_tokens
                self.marks = EpochMarks(round(said.iterations_per_epoch))
            case event.TrainReported() if self.marks is not None:
                self.marks.add(len(said.losses))
                self.peak_gb = said.peak_memory_gb
            case event.Finished():
                self.stopped = said.reason == "stopped"
            case _ if self.marks is not None:
                self.marks.skip()


def _measured_luthier(channel: Channel, run: RunDir, epochs: int) -> Measured:
    """The run trained as its own worker trains it, with every event in its file."""
    listener = _Listener()
    channel.record_to(run.events)
    channel.follow, channel.withheld = listener.hear, (event.Finished,)
    try:
        train(channel, run.path, TrainJob())
    finally:
        channel.follow, channel.withheld = None, ()
    if listener.stopped:
        raise StoppedError
    marks = listener.marks
    if marks is None or len(marks.wall_s) < epochs:
        raise TaskError(tr("The training ended before its {epochs} epochs were over.", epochs=epochs))
    return Measured(tuple(marks.wall_s), tuple(marks.processor_s), listener.peak_gb, listener.tokens)


def _measured_stock(channel: Channel, run: RunDir, job: MeasureJob) -> Measured:
    """The same config, made concrete as for a run: then mlx-lm reads the same values and the same files."""
    control = Control(channel)
    config = prepare_rows(channel, control, run, TrainJob()).config
    control.raise_if_stopped()
    _end_when_told(channel)
    channel.emit(event.Progressed(phase=tr("Training with stock mlx-lm")))
    return train_stock(run, config, job.epochs, by_length=job.trainer == "stock_sorted")


def _end_when_told(channel: Channel) -> None:
    """mlx-lm's trainer hears nobody, and what it trains is not kept: told to stop, the process ends at once."""

    def wait() -> None:
        while not isinstance(channel.wait(), ENDING):
            pass
        channel.emit(event.Finished(reason="stopped"))
        os._exit(0)

    threading.Thread(target=wait, daemon=True, name="end").start()
