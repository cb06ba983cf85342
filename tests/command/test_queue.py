"""``luthier queue``: added, swept, ordered, paused, and worked through with a run that fails in the middle."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.core.protocol import event
from app.core.protocol.event import read_events
from app.core.queue.queue import RunQueue
from app.core.run.folder import prepare_run
from app.core.setup.config_file import load_config
from tests.command.conftest import PROGRAM, Luthier


@pytest.fixture
def config(place: Path, tmp_path: Path) -> Path:
    """A config of its own, quick to train, with data of its own."""
    shutil.copytree(place / "data", tmp_path / "data")
    tree = json.loads((place / "config.yaml").read_text())
    tree |= {"model": str(place / "model"), "data": str(tmp_path / "data"), "iters": 4, "steps_per_report": 2}
    (tmp_path / "quick.yaml").write_text(json.dumps(tree))
    return tmp_path / "quick.yaml"


def listed(luthier: Luthier) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(luthier("queue", "list", "--json").stdout)
    return found


def states(luthier: Luthier) -> list[tuple[str, str]]:
    return [(one["name"], one["state"]) for one in listed(luthier)["entries"]]


def test_entries_are_added_moved_removed_and_cleared(luthier: Luthier, config: Path) -> None:
    assert luthier("queue", "list").stdout == "The queue is empty.\n"
    for name in ("a", "b", "c"):
        changes = ("--set", f"adapter_name={name}", "--set", "lora_parameters.rank=2")
        said = json.loads(luthier("queue", "add", config, *changes, "--json").stdout)
    assert (said["waiting"], said["added"][0]["name"]) == (3, "c")
    assert "LoRA rank 2" in said["added"][0]["setup"]
    luthier("queue", "move", "c", "--to", 1)
    assert [name for name, _ in states(luthier)] == ["c", "a", "b"]
    luthier("queue", "remove", "a")
    assert "c" in luthier("queue", "list").stdout
    assert [name for name, _ in states(luthier)] == ["c", "b"]
    assert json.loads(luthier("queue", "clear", "--json").stdout)["entries"][0]["state"] == "waiting"
    luthier("queue", "pause")
    assert listed(luthier)["mode"] == "paused"
    assert "luthier queue run" in luthier("queue", "resume").stdout


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("add", "{config}", "--set", "lora_parameters.rank=9999"), "1 to 512"),
        (("add", "{config}", "--set", "lora_paramters.rank=8"), "lora_parameters.rank"),
        (("add", "{config}", "--set", "rank"), "KEY=VALUE"),
        (("add", "{config}", "--set", "data=/gone"), "/gone"),
        (
            ("sweep", "{config}", "--vary", "lora_parameters.rank=8,x", "--vary", "seed=y"),
            "“y” is not a whole number",
        ),
        (("sweep", "{config}", "--vary", "targets=full;nonsense"), "nonsense"),
        (("sweep", "{config}", "--vary", "beta=1,2"), "does nothing"),
        (("remove", "nobody"), "luthier queue list"),
        (("move", "nobody", "--to", "1"), "nobody"),
    ],
)
def test_unusable_arguments_are_named_and_queue_nothing(
    luthier: Luthier, config: Path, arguments: tuple[str, ...], words: str
) -> None:
    said = luthier("queue", *(word.format(config=config) for word in arguments), code=2).stderr
    assert words in said
    assert listed(luthier)["entries"] == []


def test_a_sweep_queues_every_combination_once_checked(luthier: Luthier, config: Path) -> None:
    varied = ("--vary", "lora_parameters.rank=2,4", "--vary", "targets=full;q_proj, v_proj")
    said = json.loads(luthier("queue", "sweep", config, *varied, "--json").stdout)
    assert [one["values"] for one in said["added"]] == [
        {"lora_parameters.rank": rank, "targets": targets}
        for rank in (2, 4)
        for targets in ("full", "q_proj, v_proj")
    ]
    assert len({one["name"] for one in said["added"]}) == 4
    assert len({one["sweep"] for one in said["added"]}) == 1


@pytest.mark.slow
def test_it_is_worked_through_and_a_failed_run_does_not_hold_up_the_next(
    luthier: Luthier, config: Path, tmp_path: Path
) -> None:
    shutil.copytree(tmp_path / "data", tmp_path / "vanishing")
    for name, data in (("one", "data"), ("two", "vanishing"), ("three", "data")):
        luthier("queue", "add", config, "--set", f"adapter_name={name}", "--set", f"data={tmp_path / data}")
    shutil.rmtree(tmp_path / "vanishing")
    with (tmp_path / "data" / "train.jsonl").open("a") as file:
        turns = [{"role": "user", "content": "Ebb?"}, {"role": "assistant", "content": "Low."}]
        file.write(json.dumps({"messages": turns}) + "\n")
    luthier("queue", "add", config, "--set", "adapter_name=four", "--set", f"data={tmp_path / 'data'}")
    done = luthier("queue", "run", "--json", code=1)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    entries = [(one["name"], one["state"]) for one in said if one["type"] == "queue_entry"]
    assert entries == [
        ("one", "running"), ("one", "done"), ("two", "running"), ("two", "failed"), ("three", "running"),
        ("three", "done"), ("four", "running"), ("four", "done"),
    ]  # fmt: skip
    assert sum(one["type"] == "finished" for one in said) == 3
    changed = "The files of the data were changed after this setup was queued."
    told, name = list[str](), ""
    for one in said:
        name = one["name"] if one["type"] == "queue_entry" else name
        told += [name] if one["type"] == "warned" and one["message"] == changed else []
    assert told == ["one", "two", "three"]
    found = listed(luthier)
    assert (found["mode"], found["worked"]) == ("idle", False)
    assert [one["state"] for one in found["entries"]] == ["done", "failed", "done", "done"]
    assert "vanishing" in found["entries"][1]["message"]
    assert "validation loss" in found["entries"][0]["message"]
    assert (Path(found["entries"][2]["run"]) / "adapters" / "adapters.safetensors").exists()
    assert "nothing waited" in luthier("queue", "run").stdout


def test_a_run_whose_worker_still_saves_is_waited_for_and_not_trained_twice(
    luthier: Luthier, config: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.command.queue.SAVING_S", 0.2)
    luthier("queue", "add", config)
    (key,) = [one["id"] for one in listed(luthier)["entries"]]
    run = prepare_run(load_config(config).config, home / "data" / "runs" / "cut-off")
    run.state.mkdir()
    (run.state / "saved").touch()
    RunQueue().update(key, run=str(run.path))
    with run.lock():
        done = luthier("queue", "run", "--json", code=1)
    assert "cut-off is being trained by another process" in done.stdout + done.stderr
    assert not run.events.exists()


@pytest.mark.slow
def test_ctrl_c_stops_the_run_and_pauses_the_queue(luthier: Luthier, config: Path) -> None:
    for name in ("long", "next"):
        luthier("queue", "add", config, "--set", f"adapter_name={name}", "--set", "iters=5000", "--set",
                "early_stopping.enabled=false")  # fmt: skip
    with subprocess.Popen([*PROGRAM, "queue", "run", "--json"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        stopped = False
        for line in process.stdout:
            if not stopped and json.loads(line)["type"] == "train_reported":
                os.kill(process.pid, signal.SIGINT)
                stopped = True
    assert process.returncode == 0
    found = listed(luthier)
    assert [one["state"] for one in found["entries"]] == ["stopped", "waiting"]
    assert (found["mode"], found["note"]) == ("paused", "Paused, because you stopped long.")


def test_a_queue_that_is_paused_with_its_run_says_why(
    luthier: Luthier, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody stopped it: the disk is full, and the run waits for room."""
    full = event.Finished(reason="paused", iteration=2, message="The disk is full. Make room.")
    monkeypatch.setattr("app.command.train.follow", lambda *_, **__: full)
    luthier("queue", "add", config, "--set", "adapter_name=long")
    assert luthier("queue", "run").stdout.endswith("The queue is paused: 1 waits to go on.\n")
    found = listed(luthier)
    assert (found["mode"], found["note"]) == ("paused", "Paused together with long.")
    assert [(one["state"], one["message"]) for one in found["entries"]] == [("waiting", full.message)]


def test_a_run_that_was_ended_by_hand_is_done_without_a_worker(luthier: Luthier, config: Path, home: Path) -> None:
    luthier("queue", "add", config, "--set", "adapter_name=mine")
    run = prepare_run(load_config(config).config, home / "data" / "runs" / "mine")
    said = (event.Validated(iteration=4, val_loss=1.25, best=True), event.Finished(reason="completed", iteration=4))
    run.events.write_text("".join(one.to_line().rstrip() + "\n" for one in said))
    RunQueue().update(RunQueue().read().entries[0].id, run=str(run.path))
    assert luthier("queue", "run").stdout == (
        "\nmine done · Best validation loss 1.250\n\nThe queue is at its end: 1 done.\n"
    )
    assert [one.type for one in read_events(run.events)] == ["validated", "finished"]


def test_an_entry_that_cannot_even_begin_is_told_and_counts_as_failed(luthier: Luthier, config: Path) -> None:
    luthier("queue", "add", config, "--set", "adapter_name=broken")
    queue = RunQueue()
    broken = queue.read().entries[0]
    queue.update(broken.id, config="lora_parameters: {rank: no}")
    said = luthier("queue", "run", code=1).stdout
    assert "broken failed · " in said
    assert said.endswith("The queue is at its end: 1 failed.\n")
    queue.again([broken.id])
    lines = [json.loads(line) for line in luthier("queue", "run", "--json", code=1).stdout.splitlines()]
    assert [(one["type"], one["id"], one["state"]) for one in lines] == [("queue_entry", broken.id, "failed")]


def test_a_path_that_is_typed_is_meant_from_where_it_is_typed(
    luthier: Luthier, config: Path, tmp_path: Path
) -> None:
    shutil.copytree(tmp_path / "data", tmp_path / "rows")
    (tmp_path / "else").mkdir()
    config = config.rename(tmp_path / "else" / "quick.yaml")
    luthier("queue", "add", config, "--set", "data=rows")
    assert RunQueue().read().entries[0].load().data == str(tmp_path / "rows")
