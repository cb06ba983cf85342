"""What a spare saves: from asking for a job in the window to its first word and to its answer.

    python tests/bench/bench_spare.py [--repeats 5]

Jobs of the starter, as the window starts them: an inspection that is kept, held-out losses, a question of one
token, a run to its first report. With and without a spare take turns (MLX compiles nothing, one BLAS thread); it
waits before it is asked, as in use. By the clock, medians; in brackets the worker's processor time from then on.
The last lines say what a spare holds while it waits: the memory that is its own, and with shared files.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from PySide6.QtCore import QCoreApplication, QEventLoop, QTimer

from app.core.config.train_config import TrainConfig
from app.core.live import training_list
from app.core.protocol import event
from app.core.protocol.command import Ask
from app.core.protocol.event import Event
from app.core.protocol.job import RUN_CONFIG, EvaluateJob, GenerateJob, InspectJob, Job, TrainJob, write_job
from app.core.protocol.question import Question
from app.core.setup.config_file import save_config
from app.core.system import starter
from app.ui.worker import spare as spare_module
from app.ui.worker.process import WorkerProcess
from app.ui.worker.spare import SpareWorker

LIMIT_MS = 120_000
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def jobs() -> dict[str, tuple[Job, type[Event]]]:
    """Each job, and the event that is its answer."""
    model = str(starter.model_dir())
    data = starter.examples_dir() / "test.jsonl"
    return {
        "inspect": (InspectJob(model=model), event.Inspected),
        "evaluate": (EvaluateJob(model=model, data=data, config={"mask_prompt": True}), event.Finished),
        "generate": (GenerateJob(model=model), event.Answered),
        "train": (TrainJob(), event.TrainReported),
    }


def processor_s(process: int) -> float:
    """Processor seconds of a live process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory_mb(process: int) -> tuple[float, float]:
    """Megabytes of a process that nobody shares, and with what is shared."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
    own = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
    return own / 1000, kilobytes["Rss"] / 1000


def wait_until_ready(keeper: SpareWorker) -> None:
    """Until the spare has done its imports: it sleeps then."""
    while not keeper.process_id:
        turn(20)
    last, since = -1.0, time.monotonic()
    while time.monotonic() - since < 1.0:  # so long without a tick
        turn(50)
        if (now := processor_s(keeper.process_id)) != last:
            last, since = now, time.monotonic()


def turn(milliseconds: int) -> None:
    """Lets the event loop run."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


class Measured:
    """One job through the window's worker, with the moments of its first word and its answer."""

    def __init__(self, folder: Path, job: Job, answer: type[Event]) -> None:
        self.first_s = self.answer_s = self.spent_s = 0.0
        self._answer = answer
        self._loop = QEventLoop()
        write_job(folder, job)
        log = None
        if job.task == "train":
            values: dict[str, Any] = {"model": str(starter.model_dir()), "data": str(starter.examples_dir())}
            values |= {"iters": 1, "epochs": None, "steps_per_report": 1, "val_batches": 0}
            save_config(TrainConfig().with_values(values), folder / RUN_CONFIG)
            log = folder / "log.txt"
        self._worker = WorkerProcess(folder, job.task, log=log)
        self._worker.emitted.connect(self._on_event)
        self._worker.ended.connect(self._loop.quit)
        self._began = time.perf_counter()
        self._worker.start()
        process = self._worker.process_id
        before = processor_s(process)
        if job.task == "generate":
            self._worker.send(Ask(request=1, question=Question(prompt="Who built it?", max_tokens=1)))
        self._spent = lambda: processor_s(process) - before
        QTimer.singleShot(LIMIT_MS, self._loop, self._loop.quit)
        self._loop.exec()
        if not self.answer_s:
            raise SystemExit(f"{job.task} gave no answer in {LIMIT_MS // 1000} s.")

    def _on_event(self, found: Event) -> None:
        self.first_s = self.first_s or time.perf_counter() - self._began
        if isinstance(found, event.Failed):
            raise SystemExit(found.message)
        if isinstance(found, self._answer) and not self.answer_s:
            self.answer_s, self.spent_s = time.perf_counter() - self._began, self._spent()
            self._worker.close_input()


def main() -> None:
    """Measures, prints a line a job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as installed: nothing is compiled at each start
    spare_module.CALM_MS = 100
    spare_module.LEAST_MEMORY_BYTES = 0
    found: dict[tuple[str, bool], list[Measured]] = {}
    memory: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"LUTHIER_HOME": folder, "OPENBLAS_NUM_THREADS": "1", "MLX_DISABLE_COMPILE": "1"}
        application = QCoreApplication([])
        for repeat in range(arguments.repeats + 1):
            for name, (job, answer) in jobs().items():
                for with_spare in (False, True) if repeat % 2 else (True, False):
                    keeper = SpareWorker(first_ms=0) if with_spare else None
                    if keeper is not None:
                        wait_until_ready(keeper)
                        memory.append(memory_mb(keeper.process_id))
                    place = Path(folder) / f"{name}-{repeat}-{with_spare}"
                    place.mkdir()
                    found.setdefault((name, with_spare), []).append(Measured(place, job, answer))
                    if keeper is not None:
                        keeper.shutdown()
        assert not training_list.training_runs()
        application.quit()
    show(found, memory)


def show(found: dict[tuple[str, bool], list[Measured]], memory: list[tuple[float, float]]) -> None:
    """Prints the table: the first of each, which reads what lies on the disk, is left out."""

    def told(measured: list[float], spent: list[float] | None = None) -> str:
        return f"{statistics.median(measured):.2f}" + (f" ({statistics.median(spent):.2f})" if spent else "")

    print(
        "| job | first word, fresh | with a spare | answer, fresh | with a spare | × |\n|---|---|---|---|---|---|"
    )
    for name in jobs():
        fresh, spare = found[name, False][1:], found[name, True][1:]
        ratio = statistics.median(a.answer_s / b.answer_s for a, b in zip(fresh, spare, strict=True))
        cells = [
            told([one.first_s for one in fresh]),
            told([one.first_s for one in spare]),
            told([one.answer_s for one in fresh], [one.spent_s for one in fresh]),
            told([one.answer_s for one in spare], [one.spent_s for one in spare]),
        ]
        print(f"| {name} | {' s | '.join(cells)} s | {ratio:.2f} |")
    own, whole = (statistics.median(sizes) for sizes in zip(*memory, strict=True))
    print(f"\nA spare that waits: {own:.0f} MB of its own, {whole:.0f} MB with shared files.")


if __name__ == "__main__":
    main()
