"""The catalog and what a person writes about runs: every run is listed, and none is read twice without need."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.run.catalog import RunCatalog
from app.core.run.folder import RunDir, prepare_run
from app.core.run.note import RunNote, load_note, parse_note, parse_tags, save_note
from app.core.run.reader import RunReader
from app.core.run.summary import curve_of, summarize


def started(iterations: int = 100, iteration: int = 0) -> event.Started:
    return event.Started(
        iteration=iteration, iterations=iterations, iterations_per_epoch=10, train_examples=10, valid_examples=2,
        trainable_parameters=640, total_parameters=1000,
    )  # fmt: skip


def report(iteration: int, loss: float) -> event.TrainReported:
    return event.TrainReported(
        iteration=iteration, train_loss=loss, losses=[loss] * 10, learning_rate=1e-4, iterations_per_second=5,
        tokens_per_second=123, trained_tokens=iteration * 9, elapsed_s=iteration / 5, peak_memory_gb=1.5,
    )  # fmt: skip


def write(run: RunDir, *found: event.Event, mode: str = "w") -> None:
    with run.events.open(mode) as file:
        file.writelines(f"{one.to_line()}\n" for one in found)


def make_run(path: Path, *found: event.Event, **values: Any) -> RunDir:
    run = prepare_run(TrainConfig().with_values(values), path)
    write(run, *(found or (event.Hello(task="train"), started(), report(10, 2.0), event.Finished())))
    return run


@pytest.fixture
def catalog(tmp_path: Path) -> RunCatalog:
    (tmp_path / "runs").mkdir()
    return RunCatalog(tmp_path / "runs", tmp_path / "index.jsonl")


def again(catalog: RunCatalog) -> RunCatalog:
    """As after a restart."""
    return RunCatalog(catalog.parent, catalog._index)


def test_every_run_is_listed_newest_first_and_so_are_those_of_a_sweep(catalog: RunCatalog) -> None:
    for name, time in (("b", 20.0), ("a", 30.0), ("sweep/c", 10.0)):
        make_run(catalog.parent / name, event.Hello(task="train", time=time), event.Finished())
    (catalog.parent / "no run").mkdir()
    (catalog.parent / "file").write_text("")
    assert [one.run.name for one in catalog.refresh()] == ["a", "b", "c"]


def test_no_folder_is_no_run(tmp_path: Path) -> None:
    assert RunCatalog(tmp_path / "nowhere", tmp_path / "i").refresh() == []


def test_a_second_start_reads_no_events(catalog: RunCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(catalog.parent / "a", event.Hello(task="train"), started(), report(10, math.nan), event.Finished(),
             adapter_name="first")  # fmt: skip
    before = catalog.refresh()
    monkeypatch.setattr(RunReader, "read", lambda *_: pytest.fail("the events were read again"))
    after = again(catalog).refresh()
    assert math.isnan(after[0].last_train_loss or 0.0)
    assert [(one.name, one.iteration, one.size_bytes, one.curve) for one in after] == [
        (one.name, one.iteration, one.size_bytes, one.curve) for one in before
    ]


def test_what_changed_is_read_anew_and_what_is_gone_is_forgotten(catalog: RunCatalog) -> None:
    first, second = make_run(catalog.parent / "a"), make_run(catalog.parent / "b")
    catalog.refresh()
    write(first, started(200), report(20, 1.0), event.Finished(), mode="a")
    shutil.rmtree(second.path)
    [one] = again(catalog).refresh()
    assert (one.run.name, one.iteration, one.iterations) == ("a", 20, 200)
    assert [one.run.name for one in again(catalog).refresh()] == ["a"]


@pytest.mark.parametrize("text", ["", "no json", '[0, "elsewhere"]\n', "{}\n[1,2,3]"])
def test_a_broken_index_is_made_again(catalog: RunCatalog, text: str) -> None:
    make_run(catalog.parent / "a")
    catalog._index.write_text(text)
    assert [one.state for one in catalog.refresh()] == ["finished"]
    assert len(again(catalog).refresh()) == 1


@pytest.mark.parametrize("odd", [0, None, "a", [], ["a"], {"a": 1}])
def test_a_broken_line_of_the_index_hides_no_run(catalog: RunCatalog, odd: object) -> None:
    make_run(catalog.parent / "a")
    make_run(catalog.parent / "b")
    catalog.refresh()
    head, first, second = catalog._index.read_text().splitlines()
    whole = json.loads(second)
    for place in range(len(whole)):
        broken = [odd if at == place else part for at, part in enumerate(whole)]
        catalog._index.write_text("\n".join([head, json.dumps(broken), first]))
        assert [one.state for one in again(catalog).refresh()] == ["finished"] * 2
    for place in range(len(whole[2])):
        broken = [*whole[:2], [odd if at == place else part for at, part in enumerate(whole[2])]]
        catalog._index.write_text("\n".join([head, json.dumps(broken), first]))
        again(catalog).refresh()


def test_an_index_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    make_run(tmp_path / "runs" / "a")
    assert len(RunCatalog(tmp_path / "runs", tmp_path / "file" / "index").refresh()) == 1


def test_a_scan_gives_way_inside_a_long_run(catalog: RunCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.core.run.catalog.SCAN_SLICE_S", 0.0)  # how fast the machine reads decides nothing
    run = make_run(catalog.parent / "long", event.Hello(task="train"), started(10**6))
    write(run, *(report(10 * (i + 1), 1.0) for i in range(3000)), mode="a")
    steps = list(catalog.scan())
    assert len([step for step in steps if step.total == 1]) > 3
    assert catalog.summaries()[0].iteration == 30_000


def test_a_run_that_lives_is_running_and_read_on_from_where_it_was(catalog: RunCatalog) -> None:
    run = make_run(catalog.parent / "a", event.Hello(task="train"), started(), report(10, 2.0))
    assert catalog.refresh()[0].state == "crashed"
    code = (
        "import sys, filelock\nlock = filelock.FileLock(sys.argv[1])\nlock.acquire()\nprint(1, flush=True)\ninput()"
    )
    command = [sys.executable, "-c", code, str(run.path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert catalog.refresh()[0].state == "running"
        write(run, report(20, 1.5), event.Paused(iteration=20), mode="a")
        [one] = catalog.refresh()
        assert (one.state, one.iteration, one.is_live) == ("paused", 20, True)
        reader = catalog._readers[str(run.path)]
        write(run, event.Resumed(iteration=20), report(30, 1.0), mode="a")
        assert catalog.refresh()[0].iteration == 30
        assert catalog._readers[str(run.path)] is reader
        holder.communicate(b"\n")
    assert catalog.refresh()[0].state == "crashed"


def test_a_broken_config_or_folder_hides_no_run(catalog: RunCatalog) -> None:
    run = make_run(catalog.parent / "a")
    run.config.write_text("a: [")
    run.events.unlink()
    run.events.mkdir()
    [one] = catalog.refresh()
    assert "cannot be read" in one.message
    assert one.name == "a"


ODD_LINES = [
    b'{"type":"train_reported","iteration":3,"train_loss":"abc","losses":["a"]}\n',
    b"[" * 9000 + b"\n",
    b'{"type":"train_reported","iteration":1' + b"0" * 40 + b',"train_loss":1,"learning_rate":1,"trained_tokens":1,'
    b'"iterations_per_second":1,"tokens_per_second":1}\n',
    b'{"type":"train_reported","iteration":4,"train_loss":NaN,"losses":[1e999],"learning_rate":-Infinity}\n',
    b"\xff\xfe\x00\n",
    b'{"type":"started","iterations":-5,"iterations_per_epoch":0,"train_examples":0,"valid_examples":0}\n',
    b'{"type":"validated","iteration":2,"val_loss":null}\n',
    b'{"type":["hello"]}\nnull\n7\n{}\n',
]


@pytest.mark.parametrize("line", ODD_LINES, ids=range(len(ODD_LINES)))
def test_one_odd_line_hides_no_run(catalog: RunCatalog, line: bytes) -> None:
    make_run(catalog.parent / "good")
    odd = make_run(catalog.parent / "odd")
    with odd.events.open("ab") as file:
        file.write(line)
    found = {one.name: one for one in catalog.refresh()}
    assert len(catalog.summaries()) == 2
    assert {one.run.name for one in found.values()} >= {"odd"} or len(found) == 1
    again = RunCatalog(catalog.parent, catalog._index)
    assert [one.run.name for one in again.refresh()] == [one.run.name for one in catalog.summaries()]


def test_a_folder_whose_name_is_no_text_is_listed(catalog: RunCatalog) -> None:
    make_run(catalog.parent / "good")
    make_run(catalog.parent / "cafe").path.rename(catalog.parent / os.fsdecode(b"caf\xe9"))
    assert {one.run.name for one in catalog.refresh()} == {"good", "caf\udce9"}
    again = RunCatalog(catalog.parent, catalog._index)
    assert {one.run.name for one in again.refresh()} == {"good", "caf\udce9"}


def test_a_summary_shows_what_was_asked_for_and_counts_the_folder(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", model="org/model", data="/data/own.jsonl", targets="keys", iters=7,
                   **{"lora_parameters.keys": ("q_proj", "v_proj")})  # fmt: skip
    text = run.config.read_text().replace("/data/own.jsonl", str(run.data)).replace("org/model", "/cache/abc123")
    run.config.write_text(text)
    one = summarize(run)
    assert (one.base, one.data, one.targets) == ("org/model", "/data/own.jsonl", "q, v")
    assert one.size_bytes == sum(file.stat().st_size for file in run.path.iterdir())
    assert one.as_dict()["path"] == str(run.path)


@pytest.mark.parametrize(
    ("values", "method"),
    [({}, "lora"), ({"fine_tune_type": "full"}, "full"), ({"train_mode": "dpo"}, "dpo lora"),
     ({"train_mode": "grpo", "grpo_loss_type": "dr_grpo"}, "dr_grpo lora"),
     ({"train_mode": "cpo", "dpo_cpo_loss_type": "simpo"}, "simpo lora"),
     ({"train_mode": "grpo", "importance_sampling_level": "sequence"}, "gspo lora")],
)  # fmt: skip
def test_the_method_names_the_objective_too(tmp_path: Path, values: dict[str, Any], method: str) -> None:
    assert summarize(make_run(tmp_path / "a", **values)).method == method


def test_a_method_that_this_version_does_not_have_is_shown_by_its_mode(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")
    run.config.write_text(f"{run.config.read_text()}\ntrain_mode: sppo\n")
    assert summarize(run).method == "sppo lora"


def test_a_resumed_run_forgets_validations_of_weights_that_are_gone(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "a", event.Hello(task="train"), started(), event.Validated(iteration=10, val_loss=2.0),
        event.Validated(iteration=20, val_loss=1.0), started(iteration=10),
        event.Validated(iteration=20, val_loss=1.5),
    )  # fmt: skip
    assert summarize(run).best_val_loss == 1.5


def test_the_small_curve_has_few_points_and_no_gaps(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", started(), *(report(10 * i, 3.0 - i / 50) for i in range(1, 101)))
    reader = RunReader(run)
    reader.read()
    curve = curve_of(reader.history)
    assert len(curve) == 40
    assert list(curve) == sorted(curve, reverse=True)
    lost = make_run(tmp_path / "b", started(), report(10, math.nan))
    reader = RunReader(lost)
    reader.read()
    assert curve_of(reader.history) == ()


def test_a_file_that_was_replaced_is_read_from_its_start(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", event.Hello(task="train"), started(), report(10, 1.0), report(20, 1.0))
    reader = RunReader(run)
    reader.read()
    with run.events.open("a") as file:
        file.write('{"type": "finished"')
    assert reader.read()
    assert reader.recorded == "running", "half a line is no event yet"
    write(run, started(), report(10, 2.0))
    reader.read()
    assert (reader.history.iteration, reader.recorded) == (10, "running")


# -- notes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "note",
    [
        RunNote(),
        RunNote("a name: with colon", ("one", "two words"), "text\n\n- list\n"),
        RunNote(text="only text"),
        RunNote(text="---\nthis is text\n---\nand this"),
        RunNote("ü 🎻", (), "", {"author": "me"}),
    ],
)
def test_a_note_comes_back_as_it_was_written(tmp_path: Path, note: RunNote) -> None:
    run = RunDir(tmp_path)
    save_note(run, note)
    assert load_note(run) == note
    assert run.notes.exists() != note.is_empty


@pytest.mark.parametrize("text", ["just words", "---\nno end", "---\n[a, b]\n---\nx", "---\na: [\n---\nx", ""])
def test_what_is_no_head_is_text(text: str) -> None:
    assert parse_note(text) == RunNote(text=text)


def test_tags_are_cleaned_and_kept_once() -> None:
    assert parse_tags(" a,  #b , A,, two  words") == ("a", "b", "two words")
    assert parse_note("---\ntags: solo\n---\n").tags == ("solo",)
    assert parse_note("---\ntags: [1, x]\nname: 7\n---\n") == RunNote("7", ("1", "x"), "")


def test_a_written_note_is_in_the_catalog_at_once(catalog: RunCatalog) -> None:
    run = make_run(catalog.parent / "a", adapter_name="own")
    catalog.refresh()
    note = RunNote("better", ("x",), "why")
    save_note(run, note)
    catalog.set_note(run, note)
    assert [(one.name, one.tags, one.note) for one in catalog.summaries()] == [("better", ("x",), "why")]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("app.core.run.catalog.summary_of", lambda *_: pytest.fail("it is known already"))
        catalog.refresh()
    stamp = run.notes.stat().st_mtime_ns
    os.utime(run.notes, ns=(stamp, stamp))
    catalog.refresh()
    assert [one.name for one in again(catalog).refresh()] == ["better"]
    catalog.set_note(run, RunNote())
    assert catalog.summaries()[0].name == "own"
    catalog.forget(run)
    assert catalog.summaries() == []
    assert catalog.total_bytes() == 0
