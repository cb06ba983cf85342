"""``bench``: which cases are measured in which order, what is told meanwhile, and the files that are shared."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from app.command.output import FailedError
from app.command.stock import bench
from app.command.stock.alternation import ONE_THREAD, SPEED_SETTINGS, AbortedError, SpeedCase, TrainerRunner
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.job import EvaluateJob, MeasureJob
from app.core.stock.speed_table import Alternation, Measured
from tests.core.inspections import llama

TOOK = Measured((4.0, 1.0), (3.0, 1.0), 1.5, 1200)
LARGE = llama().model_copy(update={"has_chat_template": True})


class Runner(TrainerRunner):
    """Measures at once, and writes down what."""

    def alternate(
        self,
        case: SpeedCase,
        data: Path,
        seed: int = 0,
        epochs: int = 2,  # noqa: ARG002
        *,
        backwards: bool = False,
    ) -> Alternation:
        asked.append((case.name, data.name, seed, backwards))
        clock[0] += took[0]
        return Alternation({"luthier": TOOK}, 5.0, {"luthier": 3.0, "stock": 3.5})


asked: list[tuple[str, str, int, bool]] = []
clock, took = [0.0], [0.0]


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bench._Bench:
    asked.clear()
    clock[0], took[0] = 100.0, 10.0
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(bench._Bench, "_sample", lambda _self, _of, rows, seed: tmp_path / f"{rows}-{seed}")
    return bench._Bench("", None, 60.0, 1024, tmp_path, began=100.0, rows=16)


def alternated(one: bench._Bench, *names: str, left_out: list[str] | None = None) -> dict[str, list[Alternation]]:
    found: dict[str, list[Alternation]] = {}
    cases = [SpeedCase(name, 4) for name in names]
    runner = Runner(Path("/m"), one.folder)
    one._alternate(runner, LARGE, cases, found, left_out if left_out is not None else [])
    return found


def test_cases_alternate_as_long_as_there_is_time(measured: bench._Bench) -> None:
    left_out: list[str] = []
    found = alternated(measured, "a", "b", left_out=left_out)
    assert asked == [
        ("a", "16-0", 0, False), ("b", "16-0", 0, False), ("a", "16-1", 1, True), ("b", "16-1", 1, True),
        ("a", "16-2", 2, False), ("b", "16-2", 2, False),
    ]  # fmt: skip
    assert ({name: len(of) for name, of in found.items()}, left_out, measured.tokens) == (
        {"a": 3, "b": 3},
        [],
        1200,
    )


def test_what_there_is_no_time_for_is_told_once(measured: bench._Bench) -> None:
    took[0] = 35.0
    left_out = ["At c stock mlx-lm failed."]
    alternated(measured, "a", "c", "b", left_out=left_out)
    assert [name for name, *_ in asked] == ["a"]
    assert left_out[1:] == ["There was no time for b; --minutes gives more."]
    asked.clear()
    took[0], clock[0] = 0.0, 100.0
    alternated(measured, "a")
    assert len(asked) == bench.MOST_ALTERNATIONS


def test_the_most_telling_cases_come_first(measured: bench._Bench) -> None:
    def cases(**facts: Any) -> list[tuple[str, int, bool, int]]:
        found = measured._cases(LARGE.model_copy(update=facts))
        return [(one.name, one.batch_size, one.masked, len(one.against)) for one in found]

    plain = [("batch 4", 4, False, 2), ("batch 8", 8, False, 2), ("batch 1", 1, False, 1)]
    assert cases(has_chat_template=False) == plain
    assert cases() == [plain[0], ("batch 4, answers alone trained", 4, True, 1), *plain[1:]]
    assert [measured._length(LARGE.model_copy(update={"max_length": n})) for n in (0, 512, 4096)] == [
        1024,
        512,
        1024,
    ]
    assert measured._settings(LARGE) == {
        "max_seq_length": 512, "learning_rate": 1e-4, "lora_parameters": {"rank": 8, "scale": 4.0, "dropout": 0.0},
    }  # fmt: skip


def test_what_does_not_fit_is_left_out_and_what_takes_too_long_is_said(
    measured: bench._Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from app.core.stock.speed_plan import Pilot

    monkeypatch.setattr(bench._Bench, "_pilot", lambda *_: Pilot(TOOK, 20.0, 16))
    monkeypatch.setattr(
        "app.core.stock.speed_plan.too_large", lambda _inspection, batch, *_: "Batches of 8." if batch == 8 else ""
    )
    runner = Runner(Path("/m"), measured.folder, hello=event.Hello(task="measure", working_set_gb=8.0))
    left_out: list[str] = []
    took[0] = 70.0
    measured._measure(runner, LARGE, {}, left_out)
    assert [name for name, *_ in asked] == ["batch 4"]
    assert left_out == [
        "Batches of 8.", "There was no time for batch 4, answers alone trained; --minutes gives more.",
        "There was no time for batch 1; --minutes gives more.",
        "It took 1\u00a0min 10\u00a0s instead of 1\u00a0min: this is the smallest table there is.",
    ]  # fmt: skip
    assert capsys.readouterr().err == (
        "warning: The smallest table takes about 1\u00a0min 20\u00a0s on this machine, more than --minutes gives.\n"
    )
    measured._progress("batch 4")
    assert capsys.readouterr().err == "1\u00a0min 10\u00a0s of about 1\u00a0min · batch 4\n"
    monkeypatch.setattr("app.core.stock.speed_plan.too_large", lambda *_: "It is large.")
    with pytest.raises(FailedError) as told:
        measured._measure(runner, LARGE, {}, [])
    assert str(told.value) == "Stock mlx-lm would not fit into this machine's memory. It is large."


def test_the_files_to_share_have_one_name(tmp_path: Path) -> None:
    assert bench.share_files(None) == ()
    root = tmp_path.resolve()
    for name in ("table", "table.json", "table.MD"):
        assert bench.share_files(tmp_path / name) == (root / "table.json", root / "table.md")
    assert bench.share_files(tmp_path / "table.v2")[0] == root / "table.v2.json"
    (tmp_path / "folder").mkdir()
    with pytest.raises(UnusableError) as told:
        bench.share_files(tmp_path / "folder")
    assert [(one.message, one.hint) for one in told.value.problems] == [
        (
            f"{root / 'folder'} is a folder, and a name for the files is needed.",
            f"Such as {root / 'folder' / 'bench'}.",
        )
    ]
    (tmp_path / "table.md").touch()
    for name, said in (
        ("table", [(f"{root / 'table.md'} is there already.", "Give another name.")]),
        ("no/table", [(f"The folder {root / 'no'} does not exist.", "Make it first.")]),
    ):
        with pytest.raises(UnusableError) as told:
            bench.share_files(tmp_path / name)
        assert [(one.message, one.hint) for one in told.value.problems] == said


def test_each_trainer_is_measured_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[Any] = []
    told: list[str] = []
    failed: list[tuple[str, str, str]] = []
    found = {"epoch_cpu_s": [4.0], "epoch_s": [3.0], "peak_memory_gb": 1.5, "tokens": 1200}

    def result(_runner: TrainerRunner, folder: Path, job: Any) -> dict[str, Any]:
        jobs.append(job)
        if isinstance(job, EvaluateJob):
            assert folder.name.startswith("losses-")
            return {"columns": [{"loss": 5.0 - n} for n in range(len(job.adapters))]}
        if job.trainer == "stock_sorted":
            raise FailedError("No.")
        return found

    monkeypatch.setattr(TrainerRunner, "_result", result)
    monkeypatch.setattr(Measured, "of", lambda tree: TOOK if tree is found else None)
    case = SpeedCase("batch 4", 4, masked=True, against=("stock", "stock_sorted"))
    runner = TrainerRunner(
        tmp_path / "m", tmp_path / "work", {"max_seq_length": 99}, told.append,
        lambda case, trainer, why: failed.append((case.name, trainer, why)),
    )  # fmt: skip
    made = runner.alternate(case, tmp_path / "data", 3, 1, backwards=True)
    assert [job.trainer for job in jobs[:-1]] == ["stock_sorted", "stock", "luthier"]
    assert jobs[0] == MeasureJob(trainer="stock_sorted", epochs=1)
    assert failed == [("batch 4", "stock_sorted", "No.")]
    assert told[-1] == "batch 4: validation losses"
    assert jobs[-1].data == tmp_path / "data" / "valid.jsonl"
    assert jobs[-1].config == {"mask_prompt": True, "neutral_tokens": 0, "max_seq_length": 99}
    assert (made.base_loss, made.losses, set(made.measured)) == (
        5.0, {"stock": 4.0, "luthier": 3.0}, {"stock", "luthier"},
    )  # fmt: skip
    config = runner._config(case, tmp_path / "data", 3, 1)
    assert (config.batch_size, config.mask_prompt, config.epochs, config.seed, config.max_seq_length) == (
        4,
        True,
        1,
        3,
        99,
    )
    assert (config.model, config.data, config.adapter_name) == (
        str(tmp_path / "m"),
        str(tmp_path / "data"),
        "speed",
    )
    assert config.batching == "bucket"
    runner.failed = None
    with pytest.raises(FailedError):
        runner.alternate(case, tmp_path / "data")
    assert (SPEED_SETTINGS["mask_prompt"], SPEED_SETTINGS["neutral_tokens"]) == (False, 0)


def test_a_worker_that_measures_has_one_thread_and_a_home_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import contextmanager
    from types import SimpleNamespace

    asked: list[dict[str, str]] = []
    says: list[event.Event] = [event.Hello(task="measure", pid=7), event.Warned(message="x")]
    interrupt = SimpleNamespace(pressed=0)

    @contextmanager
    def client(folder: Path, more: dict[str, str]) -> Any:
        assert json.loads((folder / "job.json").read_text())["task"] == "measure"
        asked.append(more)

        @contextmanager
        def stopped() -> Any:
            yield interrupt

        yield SimpleNamespace(events=lambda: iter(says), stopped_by_interrupt=stopped)

    monkeypatch.setattr("app.command.stock.alternation.WorkerClient", client)
    runner = TrainerRunner(tmp_path / "m", tmp_path)
    with pytest.raises(AbortedError):
        runner._result(tmp_path / "one", MeasureJob())
    assert runner.hello == says[0]
    says.append(event.Result(name="measure", data={"a": 1}))
    assert runner._result(tmp_path / "two", MeasureJob()) == {"a": 1}
    interrupt.pressed = 1
    with pytest.raises(AbortedError):
        runner._result(tmp_path / "three", MeasureJob())
    own = {"LUTHIER_HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "temporary")}
    assert asked == [ONE_THREAD | own] * 3
    assert set(ONE_THREAD.values()) == {"1"}
    assert (tmp_path / "temporary").is_dir()
