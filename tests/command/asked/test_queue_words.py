"""``luthier queue`` for people: what is added, what it is doing, and how it ended; no worker trains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.core.protocol.event import Event, Failed, Finished, Validated
from app.core.protocol.job import TrainJob, read_job
from app.core.queue.queue import QueueEntry, RunQueue
from app.core.run.folder import RunDir
from tests.command.conftest import Luthier


@pytest.fixture(autouse=True)
def uninspected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep is not held against its model, which would take a worker."""
    monkeypatch.setattr("app.command.worker.inspected", lambda _: None)


@pytest.fixture
def added(luthier: Luthier, place: Path) -> list[QueueEntry]:
    """Two setups that wait."""
    for name in ("one", "two"):
        luthier("queue", "add", place / "config.yaml", "--set", f"adapter_name={name}")
    return RunQueue().read().waiting


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> dict[str, Event]:
    """How the runs end, by their entry's name; each is trained at once, and has been validated."""
    found: dict[str, Event] = {}

    def follow(run: RunDir, *, as_json: bool) -> Event:  # noqa: ARG001
        run.events.write_text(f"{Validated(iteration=4, val_loss=1.25, best=True).to_line()}\n")
        return found[run.name.rpartition("_")[2].removesuffix("-2")]

    monkeypatch.setattr("app.command.train.follow", follow)
    return found


def test_what_was_added_is_told_with_its_number(luthier: Luthier, place: Path) -> None:
    said = luthier("queue", "add", place / "config.yaml", "--set", "adapter_name=one").stdout
    (one,) = RunQueue().read().entries
    assert said == f"{one.id}  one\n1 waiting. `luthier queue run` trains what waits.\n"
    said = luthier("queue", "sweep", place / "config.yaml", "--vary", "seed=1,2", "--set", "adapter_name=s").stdout
    first, second = RunQueue().read().entries[1:]
    assert said == (
        f"{first.id}  s_seed1\n{second.id}  s_seed2\n3 waiting. `luthier queue run` trains what waits.\n"
    )
    assert (first.sweep, first.sweep_name) == (second.sweep, "s over Seed")


def test_the_list_says_who_works_through_it(
    luthier: Luthier, added: list[QueueEntry], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = added
    setup = f"LoRA rank 4, full · {place.name} · {place.name}"
    head = "id        state    name  setup\n"
    rows = [f"{entry.id}  waiting  {entry.name}   {setup}\n" for entry in added]
    starts = "`luthier queue run` trains what waits."
    queue = RunQueue()
    assert luthier("queue", "list").stdout == f"{head}{''.join(rows)}Not running · 2 waiting. {starts}\n"
    assert luthier("queue", "pause").stdout == f"Paused · 2 waiting. {starts}\n"
    assert json.loads(luthier("queue", "list", "--json").stdout)["note"] == "Paused on the command line."
    assert luthier("queue", "resume").stdout == f"Nobody works through it now · 2 waiting. {starts}\n"
    assert json.loads(luthier("queue", "pause", "--json").stdout) == {"mode": "paused", "worked": False}
    assert queue.take()
    assert luthier("queue", "pause").stdout == "Pauses after the run in progress · 2 waiting\n"
    assert luthier("queue", "resume").stdout == "Running · 2 waiting\n"
    with monkeypatch.context() as patched:
        patched.setattr(RunQueue, "take", lambda *_, **__: False)
        assert luthier("queue", "run", code=1).stderr == (
            "error: Another Luthier is working through the queue. `luthier queue pause` pauses it.\n"
        )
    queue.give_back()
    assert luthier("queue", "move", "two", "--to", 1).stdout == (
        f"{two.id}  waiting  two\n{one.id}  waiting  one\n"
    )
    assert luthier("queue", "move", "two", "--to", 2).stdout.startswith(one.id)
    queue.settle(one.id, "failed", "No room.\nThe end of its log")
    lines = luthier("queue", "list").stdout.splitlines()
    assert lines[1:] == [f"{one.id}  failed   one   {setup}  No room.", rows[1].rstrip("\n"), lines[-1]]
    assert luthier("queue", "remove", one.id).stdout == f"{two.id}  waiting  two\n"
    assert luthier("queue", "remove", two.id).stdout == ""


def test_what_was_cleared_of_a_sweep_is_listed_where_it_is_asked_for(luthier: Luthier, place: Path) -> None:
    luthier("queue", "sweep", place / "config.yaml", "--vary", "seed=1,2")
    queue = RunQueue()
    first, second = queue.read().entries
    queue.settle(first.id, "done")
    assert luthier("queue", "clear").stdout == f"{second.id}  waiting  {second.name}\n"
    for words, shown in (((), [second.id]), (("--all",), [first.id, second.id])):
        tree = json.loads(luthier("queue", "list", *words, "--json").stdout)
        assert [one["id"] for one in tree["entries"]] == shown
    assert "config" not in tree["entries"][0]


def test_it_is_worked_through_and_told_entry_by_entry(
    luthier: Luthier, added: list[QueueEntry], ending: dict[str, Event]
) -> None:
    ending |= {"one": Finished(), "two": Failed(message="No room.", hint="Make some.")}
    done = luthier("queue", "run", code=1)
    first, second = RunQueue().read().entries
    assert done.stdout == (
        f"\none begins · {first.run}\n\ntwo begins · {second.run}\n\nThe queue is at its end: 1 done, 1 failed.\n"
    )
    assert [(one.state, one.message) for one in (first, second)] == [
        ("done", "Best validation loss 1.250"), ("failed", "No room. Make some."),
    ]  # fmt: skip
    assert [one.id for one in added] == [first.id, second.id]
    assert luthier("queue", "run").stdout == "\nThe queue is at its end: nothing waited.\n"
    assert (RunQueue().read().mode, RunQueue().is_worked()) == ("idle", False)


@pytest.mark.usefixtures("added")
def test_a_stop_pauses_it_and_the_run_goes_on_later(luthier: Luthier, ending: dict[str, Event]) -> None:
    ending |= {"one": Finished(reason="paused"), "two": Finished()}
    assert luthier("queue", "run").stdout.endswith("\nThe queue is paused: 1 waits to go on.\n")
    state = RunQueue().read()
    assert (state.mode, state.note) == ("paused", "Paused together with one.")
    run = RunDir(Path(state.entries[0].run))
    (run.state / "saved").mkdir(parents=True)
    ending["one"] = Finished(reason="stopped")
    said = [json.loads(line) for line in luthier("queue", "run", "--json").stdout.splitlines()]
    assert [(one["type"], one["name"], one["state"], one["message"]) for one in said] == [
        ("queue_entry", "one", "running", ""), ("queue_entry", "one", "stopped", "Stopped by you."),
    ]  # fmt: skip
    assert {"time", "id", "run", "setup", "values"} <= said[0].keys()
    assert read_job(run.path) == TrainJob(resume=True)
    RunQueue().again([said[0]["id"]])
    RunQueue().move([said[0]["id"]], 0)
    ending["one"] = Finished()
    assert luthier("queue", "run").stdout.startswith(f"\none goes on · {run.path}\n\ntwo begins · ")


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> list[RunDir]:
    """The runs that train meanwhile."""
    found: list[RunDir] = []
    monkeypatch.setattr("app.core.live.training_list.training_runs", lambda: found)
    return found


@pytest.mark.usefixtures("added")
def test_its_own_run_that_still_trains_is_no_other(
    luthier: Luthier, ending: dict[str, Event], beside: list[RunDir], tmp_path: Path
) -> None:
    ending |= {"one": Finished(), "two": Finished()}
    beside.append(RunDir(tmp_path / "other"))
    said = luthier("queue", "run", code=1).stderr
    assert said.startswith("error: Paused: other is training already. Two at once share the GPU")
    assert said.endswith(" `luthier queue run --beside` trains beside it.\n")
    state = RunQueue().read()
    assert (state.mode, state.note) == ("paused", said.removeprefix("error: ").partition(" `luthier")[0])
    RunQueue().update(state.entries[0].id, state="done", run=str(tmp_path / "other"))
    assert luthier("queue", "run").returncode == 0
    RunQueue().again([one.id for one in RunQueue().read().entries])
    beside.append(RunDir(tmp_path / "another"))
    assert luthier("queue", "run", "--beside").returncode == 0


FAULTS = [
    (("add", "{config}", "--set", "rank"), "error: --set takes KEY=VALUE, not 'rank'.\n"),
    (("add", "{config}", "--set", " =8"), "error: --set takes KEY=VALUE, not ' =8'.\n"),
    (("add", "{config}", "--set", "seed=["), "error: seed: '[' cannot be read.\n"),
    (
        ("add", "{config}", "--set", "lora_paramters.rank=8", "--set", "zzz=1"),
        "error: lora_paramters.rank: There is no config key “lora_paramters.rank”.\n  Did you mean"
        " lora_parameters.rank or lora_parameters.keys or lora_parameters.scale?\n"
        "error: zzz: There is no config key “zzz”.\n",
    ),
    (
        ("sweep", "{config}", "--vary", "seed", "--vary", "seed=1"),
        "error: --vary takes KEY=VALUE, not 'seed'.\n",
    ),
    (("remove", "tow"), "error: There is no entry “tow”.\n  Did you mean two?\n"),
    (("remove", "zzz"), "error: There is no entry “zzz”.\n  `luthier queue list` shows all.\n"),
]  # fmt: skip


@pytest.mark.usefixtures("added")
@pytest.mark.parametrize(("words", "said"), FAULTS)
def test_what_cannot_be_is_told_in_whole(words: tuple[str, ...], said: str, luthier: Luthier, place: Path) -> None:
    config = place / "config.yaml"
    assert luthier("queue", *(word.format(config=config) for word in words), code=2).stderr == said


def test_entries_are_known_by_name_or_number(luthier: Luthier, added: list[QueueEntry], place: Path) -> None:
    luthier("queue", "add", place / "config.yaml", "--set", "adapter_name=two")
    one, two = added
    third = RunQueue().read().entries[2]
    assert luthier("queue", "remove", "two", code=2).stderr == (
        f"error: Several entries are called “two”.\n  Name one by its id: {two.id}, {third.id}.\n"
    )
    RunQueue().settle(one.id, "done")
    RunQueue().settle(two.id, "running")
    assert luthier("queue", "move", "one", two.id, "--to", 1, code=2).stderr == (
        f"error: one does not wait: it cannot be moved.\nerror: {two.id} does not wait: it cannot be moved.\n"
    )
    assert luthier("queue", "remove", two.id, "one", code=2).stderr == (
        f"error: {two.id} is being trained.\n  Stop it first.\n"
    )
    assert len(RunQueue().read().entries) == 3
    assert luthier("queue", "list").stdout.endswith(
        "Not running · 1 waiting. `luthier queue run` trains what waits.\n"
    )
