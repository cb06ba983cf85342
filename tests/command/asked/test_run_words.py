"""``train``, ``resume``, ``attach`` and ``runs`` for people: what they say of a run, and ask of its worker."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from app.command import train
from app.command.live import attach
from app.command.run import _facts, _row
from app.core.config.train_config import TrainConfig
from app.core.live.watchdog import SMALLEST_PIECE, watchdog_failure
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.command import Command, Park, Pause, Resume, Save, Stop
from app.core.protocol.event import Event
from app.core.protocol.job import TrainJob, read_job, write_job
from app.core.replica.hostfile import RUN_HOSTS, hosts_here, read_hostfile
from app.core.run.folder import RUN_REMOTE, RunDir, prepare_run
from app.core.run.note import RunNote, save_note
from app.core.run.summary import summarize
from tests.command.conftest import Luthier
from tests.terminal import typing


@pytest.fixture
def run(home: Path) -> RunDir:
    return prepare_run(TrainConfig(model="/m", data="/d"), home / "data" / "runs" / "my run")


@pytest.fixture
def works(monkeypatch: pytest.MonkeyPatch) -> list[list[Event]]:
    """What each worker of a run says, one list after the other; it does nothing else."""
    waiting: list[list[Event]] = []

    def work(_run: RunDir, show: Callable[[Event], None]) -> Event | None:
        said = waiting.pop(0)
        for one in said:
            show(one)
        return said[-1] if said else None

    monkeypatch.setattr(train, "work", work)
    return waiting


# -- train and resume --------------------------------------------------------------------------------------------


def next_steps(run: RunDir) -> str:
    return (
        f"\nThe adapter is in {run.adapters}\n\n"
        f"Ask it      luthier generate --model /m --adapter-path '{run.adapters}' --prompt 'Hello'\n"
        f"Look at it  luthier '{run.path}'\n"
    )


def test_how_a_run_ended_is_told_with_what_can_be_done_next(
    run: RunDir, works: list[list[Event]], capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*said: Event) -> tuple[str, str]:
        works.append(list(said))
        assert train.follow(run, as_json=False) == (said[-1] if said else None)
        found = capsys.readouterr()
        return found.out, found.err

    room = "It waits for room."
    resumed = f"{room}\n  Go on with: luthier resume '{run.path}'\n"
    assert told(event.Finished(reason="paused", iteration=5, elapsed_s=3, message=room)) == (
        "Paused at iteration 5 after 3\u00a0s\n", resumed,
    )  # fmt: skip
    assert told() == ("", "Nothing was trained.\n")
    failed = event.Failed(message="It is full.", hint="Make room.", unusable=True)
    assert told(failed) == ("", "error: It is full.\n  Make room.\n")
    failed = event.Failed(message="It is full. Make room.", hint="Make room.")
    assert told(failed) == ("", f"error: It is full. Make room.\n  The log is {run.log}\n")
    (run.adapters).mkdir()
    (run.adapters / "adapters.safetensors").touch()
    ended = "Finished at iteration 5 after 3\u00a0s\n"
    assert told(event.Finished(iteration=5, elapsed_s=3)) == (f"{ended}{next_steps(run)}", "")
    stopped = "Stopped and saved at iteration 5 after 3\u00a0s\n"
    assert told(event.Finished(reason="stopped", iteration=5, elapsed_s=3)) == (
        f"{stopped}{next_steps(run)}Go on       luthier resume '{run.path}'\n", "",
    )  # fmt: skip
    assert told(event.Finished(reason="stopped", iteration=0, message="Before.")) == (
        "Before.\n", "Nothing was trained.\n",
    )  # fmt: skip


def test_a_run_that_the_watchdog_ended_goes_on_with_smaller_pieces(
    run: RunDir, works: list[list[Event]], capsys: pytest.CaptureFixture[str]
) -> None:
    write_job(run.path, TrainJob())
    works += [[watchdog_failure()], [event.Finished()]]
    assert isinstance(train.follow(run, as_json=True), event.Finished)
    job = read_job(run.path)
    assert isinstance(job, TrainJob)
    assert (job.resume, job.most_positions > 0) == (True, True)
    said = capsys.readouterr()
    assert [json.loads(line)["type"] for line in said.out.splitlines()] == ["failed", "finished"]
    assert said.err.startswith("warning: macOS ended the GPU's work")


def test_a_run_that_cannot_be_resumed_smaller_is_not_tried_for_ever(run: RunDir, works: list[list[Event]]) -> None:
    write_job(run.path, TrainJob(most_positions=SMALLEST_PIECE))
    works += [[watchdog_failure()]]
    assert isinstance(train.follow(run, as_json=True), event.Failed)
    assert read_job(run.path) == TrainJob(most_positions=SMALLEST_PIECE)


def test_where_the_replicas_of_a_run_are_is_kept_in_its_folder(run: RunDir, tmp_path: Path) -> None:
    (tmp_path / "hosts.json").write_text(
        '[{"ssh": "localhost", "ips": ["10.0.0.1"]}, {"ssh": "b", "ips": ["10.0.0.2"]}]'
    )
    assert train.chosen_hosts(None, None) is None
    assert train.chosen_hosts(None, 1) is None
    assert train.chosen_hosts(None, 2) == hosts_here(2)
    chosen = train.chosen_hosts(tmp_path / "hosts.json", None)
    assert chosen == read_hostfile(tmp_path / "hosts.json")
    with pytest.raises(UnusableError, match="Give --hosts or --replicas"):
        train.chosen_hosts(tmp_path / "hosts.json", 2)
    with pytest.raises(UnusableError, match="cannot be shared by 2 replicas"):
        train.put_hosts(run, chosen)
    run = prepare_run(TrainConfig(model="/m", data="/d", batch_size=2), tmp_path / "run")
    train.put_hosts(run, chosen)
    assert read_hostfile(run.path / RUN_HOSTS) == chosen
    train.put_hosts(run, None)
    train.put_hosts(run, None)
    assert not (run.path / RUN_HOSTS).exists()
    prepared = TrainConfig(model="/m", data="/d", train_mode="grpo")
    with pytest.raises(UnusableError):
        train.check_replicas(prepared, chosen)
    train.check_replicas(prepared, None)


def test_a_resume_asks_for_what_was_chosen(
    luthier: Luthier, run: RunDir, works: list[list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.core.live.watchdog.kept_pieces", lambda _: 96)
    works += [[event.Finished(iteration=5)], [event.Finished(iteration=5, reason="paused")]]
    luthier("resume", run.path, "--as-before", "--json")
    assert read_job(run.path) == TrainJob(resume=True, as_before=True, most_positions=96)
    (run.path / RUN_HOSTS).touch()
    luthier("resume", "my run", "--replicas", 1, "--json", code=1)
    assert read_job(run.path) == TrainJob(resume=True, most_positions=96)
    assert not (run.path / RUN_HOSTS).exists()
    said = luthier("resume", run.path, "--extend-by", 5, code=2).stderr
    assert said == (
        f"error: my run has no saved state to go on from.\n  `luthier train '{run.config}'` starts it again.\n"
    )
    (run.state / "saved").mkdir(parents=True)
    run.events.write_text("".join(f"{one.to_line()}\n" for one in (
        event.Started(iterations=9, iterations_per_epoch=9, train_examples=9, valid_examples=0),
        event.Finished(iteration=9),
    )))  # fmt: skip
    works += [[event.Finished(iteration=14)]]
    summary = replace(summarize(run), iteration=9)
    monkeypatch.setattr("app.core.run.summary.summarize", lambda _: summary)
    luthier("resume", run.path, "--extend-by", 5, "--as-before", "--json")
    assert read_job(run.path) == TrainJob(extend_to=14, as_before=True, most_positions=96)
    assert luthier("resume", run.path).stdout == "my run is complete; there is nothing left to train.\n"
    assert json.loads(luthier("resume", run.path, "--json").stdout)["iteration"] == 9
    assert (
        luthier("resume", "my rum", code=2).stderr == "error: There is no run “my rum”.\n  Did you mean my run?\n"
    )


def test_what_is_not_where_the_config_says_is_told_all_at_once(tmp_path: Path) -> None:
    config = TrainConfig(model=str(tmp_path), valid_data="/gone/valid", test_data=str(tmp_path))
    file = tmp_path / "my.yaml"
    with pytest.raises(UnusableError) as found:
        train.check_paths(config, file)
    told = [(one.path, one.message, one.file) for one in found.value.problems]
    assert told[-2:] == [
        ("valid_data", "`valid_data`: /gone/valid does not exist.", str(file)),
        ("data", "`data`: No training data is given.", str(file)),
    ]
    assert [path for path, *_ in told[:-2]] in ([], ["model"])


# -- attach ------------------------------------------------------------------------------------------------------

STARTED = event.Started(iterations=9, iterations_per_epoch=9, train_examples=9, valid_examples=0)


def reported(iteration: int) -> event.TrainReported:
    return event.TrainReported(
        iteration=iteration, train_loss=1.0, learning_rate=1.0, iterations_per_second=1.0, tokens_per_second=1.0,
        trained_tokens=1,
    )  # fmt: skip


def test_where_a_run_is_by_now_is_told_by_the_last_of_each_kind() -> None:
    latest = attach._Latest()
    hello, validated = event.Hello(task="train"), event.Validated(iteration=2, val_loss=1.0)
    third, paused = reported(3), event.Paused(iteration=3)
    for said in (
        event.Hello(task="train"), STARTED, reported(1), validated, event.Paused(iteration=1), hello, STARTED,
        event.Progressed(phase="Loading"), reported(2), validated, third, paused,
    ):  # fmt: skip
        latest.take(said)
    assert latest.is_paused
    assert latest.events() == [hello, STARTED, validated, third, paused]
    latest.take(event.Resumed(iteration=3))
    assert not latest.is_paused
    assert [said.type for said in latest.events()] == ["hello", "started", "validated", "train_reported"]


def test_a_key_is_told_to_the_run(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[object] = []
    hears = [True]

    def tell(_run: RunDir, command: object) -> bool:
        told.append(command)
        return hears[0]

    monkeypatch.setattr("app.core.live.door.tell_run", tell)
    for key, paused in (("p", False), ("p", True), ("s", False), ("", False), ("x", True)):
        attach._obey(run, key, paused)
    assert told == [Pause(), Resume(), Stop()]
    with pytest.raises(KeyboardInterrupt):
        attach._obey(run, "d", False)
    hears[0] = False
    attach._obey(run, "s", False)
    assert capsys.readouterr().err == ""
    with run.lock():
        attach._obey(run, "s", False)
    assert capsys.readouterr().err == (
        "my run is trained by a process that hears nobody else: pause or stop it there.\n"
    )


def test_what_attach_says_of_runs_that_it_cannot_show(
    luthier: Luthier, run: RunDir, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert luthier("attach", code=2).stderr == "error: run: No run trains now.\n  `luthier runs list` has all.\n"
    for option in ("--pause", "--continue", "--park", "--save", "--stop"):
        assert luthier("attach", "my run", option, code=1).stderr == (
            "error: Nobody trains my run now. `luthier resume 'my run'` goes on with it.\n"
        )
    ended = "error: my run ended without saying why, or never began. `luthier resume 'my run'` goes on with it.\n"
    assert luthier("attach", "my run", code=1).stderr == ended
    run.events.write_text(f"{event.Failed(message='It is full.', hint='Make room.').to_line()}\n")
    assert luthier("attach", "my run", code=1).stderr == "error: It is full. Make room.\n"
    assert luthier("attach", "my run", "--json", code=1).stderr == ""
    two = RunDir(home / "data" / "runs" / "two")
    monkeypatch.setattr("app.core.live.training_list.training_runs", lambda: [two, run])
    said = luthier("attach", code=2).stderr
    assert said == "error: run: Several runs train.\n  Name one: two, my run.\n"
    sent: list[Command] = []
    monkeypatch.setattr("app.core.live.door.tell_run", lambda _, command: not sent.append(command))  # type: ignore[func-returns-value]
    asked = {"pause": Pause(), "continue": Resume(), "park": Park(), "stop": Stop()}
    for option, command in asked.items():
        sent.clear()
        said = luthier("attach", "my run", f"--{option}", "--save").stderr
        orders = [Save(), command] if option == "stop" else [command, Save()]
        assert sent == orders
        assert said.splitlines() == [f"my run was told: {type(one).__name__.lower()}." for one in orders]
    both = luthier("attach", "my run", "--pause", "--stop", code=2).stderr
    assert both.startswith("error: run: --pause and --stop cannot be asked together.")
    (run.path / RUN_REMOTE).write_text('{"place": "ssh", "host": "far"}')
    assert luthier("attach", "my run", code=2).stderr == (
        "error: run: my run trains on another machine.\n  `luthier remote watch 'my run'` shows it.\n"
    )


# -- runs --------------------------------------------------------------------------------------------------------


def test_the_facts_of_a_run(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    created = datetime(2026, 11, 30, 8, 5, 9)
    summary = replace(
        summarize(run), state="failed", message="It is full.", created=created.timestamp(), base="hub/named",
        iteration=1200, iterations=2400, elapsed_s=65.0, trainable_parameters=1_234_567, last_train_loss=0.5,
        best_val_loss=1.25, learned=0.5, forgot=0.25, peak_memory_gb=2.5, tokens_per_second=1234.4, method="dora",
    )  # fmt: skip
    monkeypatch.setattr("app.command.run._size", lambda _: 2000)
    facts = {
        "run": str(run.path), "state": "failed: It is full.", "started": "2026-11-30 08:05:09",
        "base model": "hub/named", "iterations": "1,200 of 2,400", "trained for": "1\u00a0min 5\u00a0s",
        "parameters": "1,234,567", "training loss": "0.500", "validation loss": "1.250 at best",
        "trade": "learned 0.500, forgot 0.250 (nats a token)", "peak memory": "2.5\u00a0GB", "on disk": "2\u00a0kB",
    }  # fmt: skip
    assert _facts(summary, run) == list(facts.items())
    rewarded = replace(summary, rewarded=True, message="", last_train_loss=None, forgot=None, base="")
    names = [name for name, _ in _facts(rewarded, run)]
    assert names == [
        "run", "state", "started", "iterations", "trained for", "parameters", "mean reward", "peak memory",
        "on disk",
    ]  # fmt: skip
    assert dict(_facts(rewarded, run))["mean reward"] == "−1.250 at best"
    assert "mean reward" not in dict(_facts(replace(rewarded, best_val_loss=None), run))
    assert _row(summary) == ["my run", "failed", "named", "dora", "1,200 of 2,400", "1.250", "1,234"]
    save_note(run, RunNote("good"))
    assert _row(replace(rewarded, tokens_per_second=0.0)) == [
        "good (my run)", "failed", "", "dora", "1,200 of 2,400", "−1.250 reward", "–",
    ]  # fmt: skip
    assert _row(replace(summary, best_val_loss=None))[5] == "–"


def test_what_was_learned_and_forgotten_is_compared_where_one_run_measured_it(
    luthier: Luthier, run: RunDir
) -> None:
    other = prepare_run(TrainConfig(model="/m", data="/d"), run.path.with_name("other"))
    measured = event.NeutralMeasured(iteration=5, neutral_loss=2.0, base_loss=1.75, forgot=0.25, learned=0.5)
    run.events.write_text("".join(f"{said.to_line()}\n" for said in (
        event.Hello(task="train"), event.Validated(iteration=5, val_loss=1.25, best=True),
        event.CheckpointSaved(iteration=5, path="checkpoints/5", kind="best"), measured,
        event.Finished(iteration=5, learned=0.5, forgot=0.25),
    )))  # fmt: skip
    assert luthier("runs", "compare", run.path, other.path).stdout == (
        "                      my run  other\n"
        "Best validation loss   1.250      –\n"
        "Learned                0.500      –\n"
        "Forgot                 0.250      –\n"
        "The configs are the same.\n"
    )
    head, first, second = luthier("runs", "list").stdout.splitlines()
    assert head.split("  ")[0] == "run"
    assert head.split()[1:] == ["state", "base", "method", "iterations", "validation", "loss", "tokens/s"]
    assert {line.split("  ")[0]: line.split()[-4:] for line in (first, second)} == {
        "my run": ["of", "1,000", "1.250", "–"], "other": ["of", "1,000", "–", "–"],
    }  # fmt: skip
    (run.path / "folder" / "deep").mkdir(parents=True)
    tree = json.loads(luthier("runs", "show", run.path, "--json").stdout)
    assert tree["validations"] == [{"iteration": 5, "val_loss": 1.25}]
    assert tree["forgetting"] == [{"iteration": 5, "learned": 0.5, "forgot": 0.25}]
    assert tree["checkpoints"] == [{"iteration": 5, "path": "checkpoints/5", "kind": "best"}]
    assert tree["size_bytes"] == sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file())
    said = luthier("runs", "report", "my run", "--out", "report.md").stdout
    assert said == "Saved as report.md.\n"
    assert json.loads(luthier("runs", "note", "my run", "-", "--json", stdin="Why.\n").stdout) == {
        "path": str(run.path), "name": "", "tags": [], "note": "Why.\n",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "goes"), [("n\n", False), ("\n", False), ("yes!\n", False), ("Y\n", True), ("yes\n", True)]
)
def test_only_a_yes_deletes(typed: str, goes: bool, run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    from app.command.main import run_command

    other = prepare_run(TrainConfig(model="/m", data="/d"), run.path.with_name("other"))
    with typing(typed):
        assert run_command(["runs", "delete", str(run.path), str(other.path)]) == (0 if goes else 1)
    said = capsys.readouterr()
    asked = said.err.splitlines()
    assert [line.partition("  ")[0] for line in asked[:2]] == [str(run.path), str(other.path)]
    assert asked[2] == "Delete for ever? [y/N] "
    assert asked[3:] == ([] if goes else ["error: Nothing was deleted."])
    assert (run.path.exists(), other.path.exists(), said.out.startswith("Deleted 2; ")) == (
        not goes,
        not goes,
        goes,
    )


def test_what_is_not_to_be_deleted_is_told(luthier: Luthier, run: RunDir) -> None:
    assert luthier("runs", "delete", run.path, code=2).stderr == (
        "error: Nobody is there to be asked.\n  Give --yes to delete without asking.\n"
    )
    with run.lock():
        assert luthier("runs", "delete", f"{run.path}/", "--yes", code=2).stderr == (
            "error: my run is being trained.\n  Stop it first.\n"
        )
    (run.path / RUN_REMOTE).write_text('{"place": "ssh", "host": "far"}')
    assert luthier("runs", "delete", "my run", "nothing", "--yes", code=2).stderr == (
        "error: my run is on another machine.\n"
        "  `luthier remote fetch my run` brings it here, `luthier remote stop` ends it.\n"
        "error: There is no run “nothing”.\n  `luthier runs list` shows all of them.\n"
    )
    assert run.path.exists()


def test_a_run_that_another_process_trains_is_shown_as_it_goes_on(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it did so far in a few lines; then all that comes, and a key is told with what it means by then."""
    lives = [True, True, True, False]
    obeyed: list[tuple[str, bool]] = []
    keys = iter("pp")
    coming: list[list[Event]] = [
        [event.Resumed(iteration=3), reported(4)],
        [],
        [event.Finished(iteration=4, elapsed_s=3.0)],
    ]

    def write(said: list[Event]) -> None:
        with run.events.open("a") as file:
            file.write("".join(f"{one.to_line()}\n" for one in said))

    class Pressed(attach._Keyboard):
        def pressed(self) -> str:
            write(coming.pop(0))
            return next(keys, "")

    monkeypatch.setattr(attach._Life, "goes_on", lambda _: lives.pop(0))
    monkeypatch.setattr(attach, "_Keyboard", Pressed)
    monkeypatch.setattr(attach, "_obey", lambda _run, key, paused: obeyed.append((key, paused)))
    write([event.Hello(task="train", device="M9"), STARTED, reported(1), reported(3), event.Paused(iteration=3)])
    last = attach._show(run)
    assert isinstance(last, event.TrainReported)
    assert (last.iteration, obeyed) == (4, [("p", True), ("p", False)])
    shown = [line.partition(" · ")[0] for line in capsys.readouterr().out.splitlines()]
    assert shown == [
        "M9", "Training 0 of 0 parameters (0.00 %)", "iteration 3 of 9", "Paused at iteration 3.",
        "iteration 4 of 9",
    ]  # fmt: skip
    write([event.Finished(iteration=4, elapsed_s=3.0)])
    lives[:] = [False]
    last = attach._show(run)
    assert isinstance(last, event.Finished)
    assert capsys.readouterr().out.endswith("Finished at iteration 4 after 3\u00a0s\n")


def test_who_sees_a_run_end_lets_it_go_on_where_nobody_else_does(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told, awaits = ["It goes on."], [False, True, False, False]
    monkeypatch.setattr("app.core.live.supervisor.awaits_worker", lambda _: awaits.pop(0))
    monkeypatch.setattr("app.core.live.supervisor.go_on_alone", lambda _: told.pop(0) if told else "")
    life = attach._Life(run)
    assert not life.goes_on(), "it was not seen to train"
    assert [life.goes_on() for _ in range(3)] == [True, True, False]
    assert capsys.readouterr().err == "warning: It goes on.\n"
    with run.lock():
        assert life.goes_on()
