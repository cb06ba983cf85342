"""Both trainers measured in real processes: stock is mlx-lm's own, to the last bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from app.core.protocol import event
from app.core.protocol.client import WorkerClient
from app.core.protocol.command import Stop
from app.core.protocol.event import Event
from app.core.protocol.job import MeasureJob, write_job
from app.core.run.folder import RunDir, prepare_run
from app.core.setup.config_file import load_config, save_config
from app.worker.process import main
from app.worker.process.channel import Channel
from app.worker.process.kernel import KERNEL_TASKS
from app.worker.stock import trainer
from app.worker.stock.trainer import EpochMarks, train_stock
from tests.worker.tiny_model import write_data, write_model
from tests.worker.training import Collector, config_for, saved_arrays

ROWS, BATCH = 16, 4
SETTINGS: dict[str, Any] = {
    "iters": 8, "epochs": None, "steps_per_report": 1, "steps_per_eval": 10**6, "save_every": 10**6,
    "val_batches": 1, "schedule": "constant", "warmup": 0, "final_adapter": "last",
    "early_stopping": {"enabled": False},
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("place")
    write_model(root / "model")
    write_data(root / "data", train=ROWS)
    return root


def run_in(place: Path, folder: Path, job: MeasureJob) -> RunDir:
    run = prepare_run(config_for(place / "model", place / "data", **SETTINGS), folder)
    write_job(run.path, job)
    return run


def events_of(run: RunDir, stop_at: type[Event] | None = None) -> list[Event]:
    found = []
    with WorkerClient(run.path) as worker:
        for said in worker.events():
            found.append(said)
            if stop_at is not None and isinstance(said, stop_at):
                worker.send(Stop())
    return found


def result_of(events: list[Event]) -> dict[str, Any]:
    (found,) = (said.data for said in events if isinstance(said, event.Result))
    return found


def test_stock_is_what_mlx_lm_does_by_itself(place: Path, tmp_path: Path) -> None:
    run = run_in(place, tmp_path / "run", MeasureJob(trainer="stock", epochs=2))
    found = result_of(events_of(run))
    assert len(found["wall_s"]) == len(found["processor_s"]) == 2
    assert all(seconds > 0 for seconds in (*found["wall_s"], *found["processor_s"]))
    config = tmp_path / "config.yaml"
    save_config(load_config(run.config).config.with_values({"val_batches": 0, "iters": 8}), config)
    command = [sys.executable, "-m", "mlx_lm", "lora", "-c", str(config), "--adapter-path", str(tmp_path / "own")]
    subprocess.run(command, check=True, capture_output=True)
    theirs, ours = (saved_arrays(folder / "adapters.safetensors") for folder in (tmp_path / "own", run.adapters))
    assert set(ours) == set(theirs)
    assert all(mx.array_equal(ours[name], theirs[name]) for name in ours)


def test_luthier_is_measured_as_it_trains_and_says_its_end_once(place: Path, tmp_path: Path) -> None:
    run = run_in(place, tmp_path / "run", MeasureJob(trainer="luthier", epochs=2))
    events = events_of(run)
    found = result_of(events)
    lengths = [len(line) for line in _texts(place / "data" / "train.jsonl")]
    assert found["tokens"] == sum(lengths)
    assert len(found["wall_s"]) == 2
    assert found["peak_gb"] > 0
    assert sum(isinstance(said, event.Finished) for said in events) == 1
    assert sum(isinstance(said, event.TrainReported) for said in events) == 8
    assert (run.adapters / "adapters.safetensors").is_file()


def _texts(file: Path) -> list[list[int]]:
    """Inputs of each row: its bytes, and three of the four marks round two turns."""
    import json

    rows = [json.loads(line)["messages"] for line in file.read_text().splitlines()]
    return [[0] * (sum(len(turn["content"]) for turn in row) + 3) for row in rows]


@pytest.mark.parametrize(
    ("trainer_name", "at"), [("stock", event.Progressed), ("luthier", event.Started)], ids=["stock", "luthier"]
)
def test_either_ends_when_it_is_told_to(place: Path, tmp_path: Path, trainer_name: Any, at: type[Event]) -> None:
    run = run_in(place, tmp_path / "run", MeasureJob(trainer=trainer_name, epochs=100_000))
    if trainer_name == "luthier":
        save_config(load_config(run.config).config.with_values({"iters": 400_000}), run.config)
    *_, last = events = events_of(run, at)
    assert isinstance(last, event.Finished)
    assert last.reason == "stopped"
    assert not any(isinstance(said, event.Result) for said in events)


@pytest.mark.parametrize("name", ["stock", "luthier"])
def test_only_luthier_has_its_own_kernels(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stock is measured as it comes, and Luthier as its runs train."""
    write_job(tmp_path, MeasureJob(trainer=name))  # type: ignore[arg-type]
    asked: list[str] = []
    monkeypatch.setattr(main, "compile_for_this_processor", asked.append)
    monkeypatch.setattr(main, "keep_module_list", lambda: None)
    monkeypatch.setattr(main, "end_when_orphaned", lambda _task: None)
    monkeypatch.setattr(Channel, "claim", lambda: Collector(tmp_path / "said.jsonl"))
    monkeypatch.setattr(main, "_run", lambda *_: 0)
    assert main.run_worker(tmp_path) == 0
    assert asked == [{"stock": "measure", "luthier": "train"}[name]]
    assert "measure" not in KERNEL_TASKS


def test_a_training_that_ends_early_is_no_measurement(place: Path, tmp_path: Path) -> None:
    run = run_in(place, tmp_path / "run", MeasureJob(trainer="luthier", epochs=3))
    *_, last = events_of(run)
    assert isinstance(last, event.Failed)
    assert "before its 3 epochs were over" in last.message


def test_repaired_it_sorts_by_tokens(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batches that reach mlx-lm's loss hold rows of neighbouring lengths, each row once."""
    from mlx_lm.tuner import datasets
    from mlx_lm.tuner import trainer as theirs

    run = run_in(place, tmp_path / "run", MeasureJob())
    config = config_for(place / "model", place / "data", **SETTINGS)
    save_config(config.with_value("num_layers", 2), run.config)
    seen: list[list[int]] = []
    plain = theirs.iterate_batches

    def watched(*arguments: Any, **more: Any) -> Any:
        for batch, lengths in plain(*arguments, **more):
            seen.append(lengths[:, 1].tolist())
            yield batch, lengths

    monkeypatch.setattr(datasets.CacheDataset, "itemlen", datasets.CacheDataset.itemlen)  # put back afterwards
    monkeypatch.setattr(theirs.train, "__defaults__", (*theirs.train.__defaults__[:3], watched, None))
    train_stock(run, config, 1, by_length=True)
    lengths = sorted(len(row) + 1 for row in _texts(place / "data" / "train.jsonl"))
    assert sorted(map(sorted, seen)) == [lengths[at : at + BATCH] for at in range(0, ROWS, BATCH)]


def test_epochs_are_summed_from_reports_and_what_lies_between_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 1.0, 3.0, 10.0, 14.0, 15.0])
    monkeypatch.setattr(trainer, "clocks", lambda: (wall := next(times), wall / 2))
    marks = EpochMarks(4)  # at 0
    marks.add(2)  # 1 s
    marks.add(2)  # 2 s more: an epoch
    marks.skip()  # seven seconds of something else
    marks.add(3)
    marks.add(1)
    assert (marks.wall_s, marks.processor_s) == ([3.0, 5.0], [1.5, 2.5])
