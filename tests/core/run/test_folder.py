"""Run folders: never shared, always readable, their state told from what is on disk."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import datetime, tzinfo
from pathlib import Path

import pytest

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.protocol.job import TrainJob, read_job
from app.core.run.catalog import find_run
from app.core.run.folder import RunDir, create_run, find_runs, prepare_run, run_folders, run_state
from app.core.run.summary import STATES, summarize
from app.core.setup.config_file import load_config, save_config
from tests import ROOT


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


def test_a_run_does_not_begin_where_its_weights_could_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="bytes that are no UTF-8"):
        create_run(TrainConfig(), tmp_path / "caf\udce9")
    with pytest.raises(OSError, match="bytes that are no UTF-8"):
        prepare_run(TrainConfig(), tmp_path / "run\udce9")
    assert [path.name for path in tmp_path.iterdir()] == ["caf\udce9"]


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


@pytest.mark.parametrize("what", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("place", ["mine", "new/deep/run"])
def test_a_run_that_could_not_be_written_leaves_its_place_as_it_was(
    what: BaseException, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_folder: object, _job: object) -> None:
        raise what

    (tmp_path / "mine").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr("app.core.run.folder.write_job", broken)
        with pytest.raises(type(what)):
            prepare_run(TrainConfig(), tmp_path / place)
    assert list(tmp_path.rglob("*")) == [tmp_path / "mine"]


def test_of_two_that_make_a_run_in_one_folder_at_once_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second comes when the first has looked and not written yet."""
    code = """
import sys
from pathlib import Path
from app.core.config.train_config import TrainConfig
from app.core.run.folder import prepare_run
prepare_run(TrainConfig(adapter_name="second"), Path(sys.argv[1]))
"""
    ended: list[subprocess.CompletedProcess[str]] = []

    def slow(config: TrainConfig, path: Path) -> None:
        if not ended:
            command = [sys.executable, "-c", code, str(tmp_path / "r")]
            ended.append(subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT))
        save_config(config, path)

    monkeypatch.setattr("app.core.run.folder.save_config", slow)
    run = prepare_run(TrainConfig(adapter_name="first"), tmp_path / "r")
    assert "already holds a run" in ended[0].stderr
    assert load_config(run.config).config.adapter_name == "first"


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
    found = summarize(run)
    assert "cannot be read" in found.message
    assert (found.method, found.targets, found.iterations) == ("", "", 0)  # what a default is says nothing of it


def test_runs_are_found_by_path_name_and_part(tmp_path: Path) -> None:
    for name in ("2026-01-01_a", "2026-01-02_b", "2026-01-01_sweep/2026-01-03_c"):
        prepare_run(TrainConfig(), tmp_path / name)
    assert [r.name for r in find_runs(tmp_path)] == ["2026-01-03_c", "2026-01-02_b", "2026-01-01_a"]
    for word in ("2026-01-01_a", "_a", str(tmp_path / "2026-01-01_a")):
        found = find_run(word, tmp_path)
        assert found is not None
        assert found.name == "2026-01-01_a"
    assert find_run("nothing", tmp_path) is None


def test_runs_are_looked_for_two_folders_deep_and_not_in_hidden_ones_or_in_runs(tmp_path: Path) -> None:
    for name in ("a", "sweep/b", "sweep/deep/c", ".hidden/d", "a/inside"):
        prepare_run(TrainConfig(), tmp_path / name)
    assert sorted(Path(path).name for path in run_folders(str(tmp_path))) == ["a", "b"]
    assert [Path(path).name for path in run_folders(str(tmp_path), 1)] == ["a"]
    assert list(run_folders(str(tmp_path / "nowhere"))) == []


def test_the_end_of_a_log_is_read_whatever_its_bytes(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert run.log_tail() == ""
    run.log.write_bytes("".join(f"line {number} é\n" for number in range(50)).encode() + b"odd \xff byte\n")
    assert run.log_tail(2) == "line 49 é\nodd \ufffd byte"
    assert run.log_tail().splitlines()[0] == "line 11 é"


def test_what_an_untrained_run_may_have_written_is_named(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert {path.name for path in run.written} == {
        "config.yaml", "setup.yaml", "job.json", "events.jsonl", "log.txt", "adapters", "state", "data", ".lock",
        "commands.jsonl", ".supervisor", "neutral.json", "tracked",
    }  # fmt: skip
    assert {path.parent for path in run.written} == {tmp_path}
    assert run.setup_or_config == run.config
    run.setup.touch()
    assert run.setup_or_config == run.setup


ELSEWHERE = [("{}", True), ('{"closed": false}', True), ('{"closed": true}', False), ("[]", False), ("{", False)]


@pytest.mark.parametrize(("text", "is_elsewhere"), ELSEWHERE)
def test_a_run_is_elsewhere_until_all_of_it_is_here(text: str, is_elsewhere: bool, tmp_path: Path) -> None:
    run = prepare_run(TrainConfig(), tmp_path / "r")
    assert not run.is_elsewhere()
    assert run_state(run, []) == "new"
    run.remote.write_text(text)
    assert run.is_elsewhere() is is_elsewhere
    hello = event.Hello(task="train")
    states = ("elsewhere", "elsewhere") if is_elsewhere else ("crashed", "crashed")  # it was started there
    assert (run_state(run, []), run_state(run, [hello])) == states
    assert run_state(run, [event.Finished()]) == "finished"


def test_runs_of_one_second_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Noon(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Noon:
            return cls(2026, 11, 30, 12, 0, 5, tzinfo=tz)

    monkeypatch.setattr("app.core.run.folder.datetime", Noon)
    monkeypatch.setattr("app.core.run.folder.unique_name", lambda name, _: name)
    names = [create_run(TrainConfig(adapter_name="a b"), tmp_path).name for _ in range(3)]
    assert names == ["2026-11-30_12-00-05_a-b", "2026-11-30_12-00-05_a-b-2", "2026-11-30_12-00-05_a-b-3"]
    run = RunDir(tmp_path / names[0])
    assert load_config(run.setup).config.adapter_path == ""
    assert read_job(run.path) == TrainJob()


def test_what_a_summary_says_of_itself(tmp_path: Path) -> None:
    run = prepare_run(TrainConfig(), tmp_path / "r")
    plain = summarize(run)
    assert (plain.best_figure, plain.best_label) == (None, "Best validation loss")
    best = replace(plain, best_val_loss=-0.5, rewarded=True)
    assert (best.best_figure, best.best_label) == (0.5, "Best mean reward")
    assert (replace(best, best_val_loss=None).best_figure, replace(best, rewarded=False).best_figure) == (
        None,
        -0.5,
    )
    assert [state for state in STATES if replace(plain, state=state).is_live] == [
        "preparing", "running", "paused", "elsewhere",
    ]  # fmt: skip
    assert not replace(plain, state="paused", recorded="parked").is_live
    run.state.mkdir()
    assert not replace(plain, state="stopped").can_resume, "there is nothing to go on from"
    (run.state / "1").touch()
    assert [state for state in STATES if replace(plain, state=state).can_resume] == ["stopped", "failed", "crashed"]
    assert replace(plain, state="paused", recorded="parked").can_resume
    tree = replace(plain, tags=("a",)).as_dict()
    assert tree["path"] == str(run.path)
    assert tree["tags"] == ["a"]
    assert not {"run", "recorded", "curve"} & tree.keys()


def test_what_is_written_about_a_run_that_is_hardly_one(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.config.write_text("[1, 2]")
    assert summarize(run).message == "The config cannot be read: it is no list of keys and values."
    assert summarize(run).name == tmp_path.name
    run.config.write_text(
        "targets: keys\nlora_parameters: {keys: [self_attn.q_proj, mlp.up_proj, x.q_proj]}\niters: many\nmodel:\n"
    )
    found = summarize(run)
    assert (found.targets, found.iterations, found.base, found.method) == ("q, up", 0, "", "lora")
    record(run, event.Hello(task="train", time=-1.0), event.Failed(message="It is full.", time=5.0))
    found = summarize(run)
    assert (found.created, found.message, found.state) == (run.path.stat().st_mtime, "It is full.", "failed")
    record(run, event.Hello(task="train", time=5.0))
    assert summarize(run).created == 5.0
