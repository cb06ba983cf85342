"""Run folders: never shared, always readable, their state told from what is on disk."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.run.catalog import find_run
from app.core.run.folder import RunDir, create_run, find_runs, prepare_run, run_state
from app.core.run.summary import summarize
from app.core.setup.config_file import load_config


def record(run: RunDir, *events: event.Event) -> None:
    run.events.write_text("".join(e.to_line() + "\n" for e in events))


def test_two_runs_of_one_name_get_two_folders(tmp_path: Path) -> None:
    config = TrainConfig().with_value("adapter_name", "my adapter/../x")
    first, second = create_run(config, tmp_path), create_run(config, tmp_path)
    assert first.path != second.path
    assert first.path.parent == second.path.parent == tmp_path
    assert load_config(first.config).config.adapter_path == str(first.adapters)


def test_a_folder_that_holds_a_run_is_refused(tmp_path: Path) -> None:
    prepare_run(TrainConfig(), tmp_path / "r")
    with pytest.raises(FileExistsError, match="already holds a run"):
        prepare_run(TrainConfig(), tmp_path / "r")


@pytest.mark.parametrize("what", [OSError("disk full"), KeyboardInterrupt()])
def test_a_run_that_could_not_be_written_leaves_its_name_free(
    what: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_config: object, path: Path) -> None:
        (path.parent / "config.yaml.half").write_text("")
        raise what

    with monkeypatch.context() as patch:
        patch.setattr("app.core.run.folder.save_config", broken)
        with pytest.raises(type(what)):
            create_run(TrainConfig(), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], "new"),
        ([event.Hello(task="train"), event.Finished()], "finished"),
        ([event.Hello(task="train"), event.Finished(reason="stopped")], "stopped"),
        ([event.Hello(task="train"), event.Failed(message="no")], "failed"),
        ([event.Hello(task="train")], "crashed"),
        ([event.Finished(reason="stopped"), event.Hello(task="train")], "crashed"),
        ([event.Hello(task="train"), event.Paused(iteration=3)], "crashed"),
        ([event.Hello(task="train"), event.Finished(reason="paused", iteration=3)], "paused"),
        ([event.Finished(reason="paused", iteration=3), event.Hello(task="train")], "crashed"),
    ],
)
def test_the_state_of_a_run_nobody_holds(tmp_path: Path, events: list[event.Event], state: str) -> None:
    run = prepare_run(TrainConfig(), tmp_path / "r")
    assert run_state(run, events) == state


def test_a_run_held_by_a_living_process_is_running_and_then_not(tmp_path: Path) -> None:
    run = prepare_run(TrainConfig(), tmp_path / "r")
    code = (
        "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print('held', flush=True); "
    )
    code += "input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(run.path / ".lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    hello = event.Hello(task="train")
    started = event.Started(iterations=9, iterations_per_epoch=3, train_examples=3, valid_examples=0)
    assert run_state(run, []) == run_state(run, [hello]) == "preparing"
    assert run_state(run, [hello, started]) == "running"
    assert run_state(run, [hello, started, event.Finished(reason="early_stopping")]) == "early_stopping"
    # Resumed: another worker first reads the model and the data.
    assert run_state(run, [hello, started, event.Finished(reason="stopped"), hello]) == "preparing"
    assert run_state(run, [event.Hello(task="train"), event.Paused(iteration=3)]) == "paused"
    holder.kill()
    holder.communicate()
    assert run_state(run, [event.Hello(task="train")]) == "crashed"


def test_a_summary_takes_the_best_validation_and_the_last_report(tmp_path: Path) -> None:
    run = prepare_run(TrainConfig().with_value("model", "base"), tmp_path / "r")
    report = event.TrainReported(
        iteration=50, train_loss=1.25, learning_rate=1e-4, iterations_per_second=1, tokens_per_second=9,
        trained_tokens=1,
    )  # fmt: skip
    record(
        run,
        event.Started(iterations=60, iterations_per_epoch=20, train_examples=20, valid_examples=2),
        event.Validated(iteration=20, val_loss=1.5),
        event.Validated(iteration=40, val_loss=1.75),
        report,
        event.Finished(),
    )
    found = summarize(run)
    assert (found.base, found.state, found.best_val_loss, found.last_train_loss) == ("base", "finished", 1.5, 1.25)
    assert (found.iteration, found.iterations) == (50, 60)


def test_a_run_with_a_broken_config_is_listed_all_the_same(tmp_path: Path) -> None:
    run = prepare_run(TrainConfig(), tmp_path / "r")
    run.config.write_text("a: [")
    assert "cannot be read" in summarize(run).message


def test_runs_are_found_by_path_name_and_part(tmp_path: Path) -> None:
    for name in ("2026-01-01_a", "2026-01-02_b", "2026-01-01_sweep/2026-01-03_c"):
        prepare_run(TrainConfig(), tmp_path / name)
    assert [r.name for r in find_runs(tmp_path)] == ["2026-01-03_c", "2026-01-02_b", "2026-01-01_a"]
    for word in ("2026-01-01_a", "_a", str(tmp_path / "2026-01-01_a")):
        found = find_run(word, tmp_path)
        assert found is not None
        assert found.name == "2026-01-01_a"
    assert find_run("nothing", tmp_path) is None
