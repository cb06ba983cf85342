"""A run that Metal's watchdog ends goes on by itself with smaller pieces, and says so; at last it gives up."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.config.train_config import TrainConfig
from app.core.live.watchdog import (
    BY_WATCHDOG,
    WATCHDOG_REMEDY,
    WATCHDOG_TOLD,
    is_watchdog,
    kept_pieces,
    prepare_smaller,
    smaller_pieces,
    was_ended_by_watchdog,
    watchdog_failure,
)
from app.core.protocol import event
from app.core.protocol.job import TrainJob, read_job, write_job
from app.core.run.folder import prepare_run
from app.core.system.network import GPU_VARIABLE, gpu_environment
from app.core.system.setting import Settings
from app.ui.run.session import RunSession, RunState
from app.ui.worker.process import WorkerOutcome
from app.worker.process.failure import told_failure
from tests.ui.fake_worker import FakeWorker

WORDS = (
    "[METAL] Command buffer execution failed: Impacting Interactivity (0000000e:"
    "kIOGPUCommandBufferCallbackErrorImpactingInteractivity)",
    "[METAL] Command buffer execution failed: Caused GPU Timeout Error (00000002:"
    "kIOGPUCommandBufferCallbackErrorTimeout)",
    "RuntimeError: [metal::malloc] Resource limit (499000) exceeded.",
)


@pytest.mark.parametrize("words", WORDS)
def test_its_words_are_known(words: str) -> None:
    assert is_watchdog(f"before\n{words}\nAborted\n")
    assert not is_watchdog(words + "\n" * 30 + "another worker's end")
    failed = told_failure(RuntimeError(words), "train")
    assert (failed.message, failed.hint, failed.path) == (WATCHDOG_TOLD, WATCHDOG_REMEDY, BY_WATCHDOG)
    assert WorkerOutcome("train", -6, log_tail=words).sentence() == f"{WATCHDOG_TOLD} {WATCHDOG_REMEDY}"


def test_other_ends_are_not_taken_for_it() -> None:
    for words in ("[METAL] Insufficient Memory", "Killed", "", "MemoryError"):
        assert not is_watchdog(words)


def test_pieces_get_smaller_to_an_end(tmp_path: Path) -> None:
    assert [smaller_pieces(one) for one in (0, 512, 256, 128, 64)] == [512, 256, 128, 64, None]
    run = prepare_run(TrainConfig(), tmp_path / "run")
    run.log.write_text(WORDS[0])
    assert was_ended_by_watchdog(run, None)
    assert was_ended_by_watchdog(run, watchdog_failure(3))
    assert not was_ended_by_watchdog(run, event.Finished())
    assert not was_ended_by_watchdog(run, event.Failed(message="No room."))
    assert kept_pieces(run) == 512
    write_job(run.path, TrainJob(extend_to=90, outlives_parent=True))
    assert "at most 512 positions" in prepare_smaller(run)
    assert read_job(run.path) == TrainJob(extend_to=90, outlives_parent=True, most_positions=512)
    run.log.write_text("ended well")
    assert kept_pieces(run) == 512, "as it was trained so far"


def test_a_run_goes_on_by_itself_until_smaller_pieces_are_no_help(workers: list[FakeWorker]) -> None:
    session = RunSession()
    told: list[str] = []
    ended: list[WorkerOutcome] = []
    session.went_on.connect(told.append)
    session.ended.connect(ended.append)
    run = session.start(TrainConfig(model="/m", data="/d"))
    bounds = []
    for _ in range(4):
        with run.log.open("a") as log:
            log.write(WORDS[0] + "\n")
        workers[-1].end(None, -6)
        job = read_job(run.path)
        assert isinstance(job, TrainJob)
        bounds.append(job.most_positions)
        assert (session.state, job.resume, job.outlives_parent) == (RunState.PREPARING, True, True)
    assert bounds == [512, 256, 128, 64]
    assert (len(workers), len(told), ended) == (5, 4, [])
    workers[-1].end(watchdog_failure(), 1)
    assert (len(workers), len(ended), session.state) == (5, 1, RunState.FAILED)
    session.deleteLater()


def test_a_run_that_was_told_to_stop_stays_stopped(workers: list[FakeWorker]) -> None:
    session = RunSession()
    run = session.start(TrainConfig(model="/m", data="/d"))
    run.log.write_text(WORDS[0])
    session.stop()
    workers[-1].end(None, -6)
    assert (len(workers), session.state) == (1, RunState.CRASHED)
    session.deleteLater()


def test_the_drivers_limit_is_relaxed_where_that_is_chosen() -> None:
    assert gpu_environment(Settings(), "darwin") == {}
    assert gpu_environment(Settings(relax_gpu_limit=True), "linux") == {}
    assert gpu_environment(Settings(relax_gpu_limit=True), "darwin") == {GPU_VARIABLE: "1"}
    assert GPU_VARIABLE == "AGX_RELAX_CDM_CTXSTORE_TIMEOUT"
