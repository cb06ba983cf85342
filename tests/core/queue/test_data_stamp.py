"""Data that is changed between queueing and training is known, whatever form it has."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from app.core.config.train_config import TrainConfig
from app.core.queue.data_stamp import data_stamp
from app.core.queue.queue import RunQueue, make_entry
from app.core.queue.sweep import SweepResult, differ_in_data, entries, expand, parse_axis
from app.core.source.archive import outer_file
from app.core.source.data_file import find_files
from app.core.source.exported_chat import is_slack_export
from app.core.source.finding import Findings

ROW = '{"prompt": "a", "completion": "b"}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two files of rows, one in an archive, and what is no data."""
    for name in ("train.jsonl", "more.jsonl"):
        (tmp_path / "data" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_text(ROW)
    with zipfile.ZipFile(tmp_path / "rows.zip", "w") as archive:
        archive.writestr("rows.jsonl", ROW)
    (tmp_path / "held.jsonl").write_text(ROW)
    return tmp_path


def later(path: Path) -> None:
    """The same bytes, written a second later."""
    state = path.stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1_000_000_000))


def longer(path: Path) -> None:
    """One row more, in the same moment."""
    state = path.stat()
    path.write_text(path.read_text() + ROW)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.parametrize(
    "data, changed, change",
    [
        ("data", "data/train.jsonl", later),
        ("data", "data/train.jsonl", longer),
        ("data/train.jsonl", "data/train.jsonl", Path.unlink),
        ("data/train.jsonl", "held.jsonl", later),
        ("rows.zip", "rows.zip", later),
        ("gone.jsonl", "gone.jsonl", Path.touch),
        ("data", "data/train", Path.mkdir),
        ("data/more.jsonl", "data/train.jsonl", later),
        ("data", "data/LICENSE", Path.touch),
    ],
)
def test_the_stamp_changes_with_the_files_that_are_trained_on(
    data: str, changed: str, change: Callable[[Path], object], folder: Path
) -> None:
    config = TrainConfig(model="/m", data=str(folder / data), test_data=str(folder / "held.jsonl"))
    before = data_stamp(config)
    assert data_stamp(config) == before
    change(folder / changed)
    other = (data, changed) in {
        ("data", "data/train"), ("data/more.jsonl", "data/train.jsonl"), ("data", "data/LICENSE"),
    }  # fmt: skip
    assert (data_stamp(config) == before) is other


def slack_export(folder: Path) -> Path:
    """What Slack exports: people, and a folder of days for each channel. Returns a day."""
    (folder / "slack" / "general").mkdir(parents=True)
    (folder / "slack" / "users.json").write_text(json.dumps([{"id": "U1", "name": "ada"}]))
    day = folder / "slack" / "general" / "2024-01-01.json"
    day.write_text(json.dumps([{"type": "message", "user": "U1", "text": "hi", "ts": "1.0"}]))
    return day


@pytest.mark.parametrize("change", [later, longer, Path.unlink])
def test_a_chat_that_is_read_as_a_folder_is_known_by_its_days(
    change: Callable[[Path], object], folder: Path
) -> None:
    day = slack_export(folder)
    config = TrainConfig(data=str(folder / "slack"))
    assert is_slack_export(folder / "slack")
    before = data_stamp(config)
    change(day)
    assert data_stamp(config) != before


@pytest.mark.parametrize("name", ["big.tar.gz", "archives", "rows.zip"])
def test_no_archive_is_opened_for_it(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "archives").mkdir()
    for path in (folder / "big.tar.gz", folder / "archives" / "part.tar.gz"):
        with tarfile.open(path, "w:gz") as archive:
            archive.add(folder / "held.jsonl", "train.jsonl")
    changed = folder / name / "part.tar.gz" if name == "archives" else folder / name
    config = TrainConfig(data=str(folder / name))
    assert {outer_file(file) for file, _ in find_files(folder / name, Findings())} == {changed}
    for opener in ("app.core.source.archive.tarfile.open", "app.core.source.archive.zipfile.ZipFile"):
        monkeypatch.setattr(opener, None)
    before = data_stamp(config)
    later(changed)
    assert data_stamp(config) != before


def test_the_same_files_in_another_role_are_other_data(folder: Path) -> None:
    one, two = str(folder / "data" / "train.jsonl"), str(folder / "held.jsonl")
    assert data_stamp(TrainConfig(data=one, valid_data=two)) != data_stamp(TrainConfig(data=two, valid_data=one))
    assert data_stamp(TrainConfig(data=one, valid_data=two)) != data_stamp(TrainConfig(data=one, test_data=two))


def test_an_archive_that_is_none_is_known_by_its_file(folder: Path) -> None:
    broken = folder / "broken.zip"
    broken.write_bytes(b"PK\3\4 and no more")
    before = data_stamp(TrainConfig(data=str(broken)))
    later(broken)
    assert data_stamp(TrainConfig(data=str(broken))) != before


def queued(folder: Path) -> RunQueue:
    queue = RunQueue(folder / "queue")
    queue.add([make_entry(TrainConfig(model="/m", data=str(folder / "data" / "train.jsonl")))])
    return queue


def test_an_entry_knows_whether_its_data_is_what_was_queued(folder: Path) -> None:
    queue = queued(folder)
    queue.add([make_entry(TrainConfig(model="/m", data=str(folder / "data" / "train.jsonl"), adapter_name="b"))])
    first = queue.claim()
    assert first is not None
    assert not first.entry.has_other_data
    longer(folder / "data" / "train.jsonl")
    second = queue.claim()
    assert second is not None
    assert second.entry.has_other_data
    assert [one.has_other_data for one in queue.read().entries] == [False, True]
    queue.settle(second.entry.id, "done", "Best validation loss 1.250\nand more")
    assert [one.outcome for one in queue.read().entries] == [
        "", "Best validation loss 1.250 · the data was changed since it was queued"
    ]  # fmt: skip


def test_what_begins_anew_is_queued_with_the_data_as_it_is_and_what_goes_on_is_not(folder: Path) -> None:
    queue = queued(folder)
    claim = queue.claim()
    assert claim is not None
    longer(folder / "data" / "train.jsonl")
    queue.settle(claim.entry.id, "failed")
    again = queue.again([claim.entry.id]).entries[0]
    assert again.data == data_stamp(again.load()) != claim.entry.data
    queue.update(claim.entry.id, state="stopped", run=claim.entry.run)
    later(folder / "data" / "train.jsonl")
    assert queue.again([claim.entry.id]).entries[0].data == again.data


def test_an_entry_of_an_older_version_is_not_judged(folder: Path) -> None:
    queue = RunQueue(folder / "queue")
    entry = make_entry(TrainConfig(model="/m", data=str(folder / "data")), data="")
    queue.add([entry])
    claim = queue.claim()
    assert claim is not None
    assert not claim.entry.has_other_data


def test_an_entry_that_cannot_be_read_any_more_waits_without_a_stamp(folder: Path) -> None:
    queue = queued(folder)
    key = queue.read().entries[0].id
    queue.update(key, config="model: [", state="failed")
    assert queue.again([key]).entries[0].data == ""


def test_the_variants_of_a_sweep_are_compared_by_what_they_were_trained_on(folder: Path) -> None:
    base = TrainConfig(model="/m", data=str(folder / "data"))
    made = entries(expand(base, [parse_axis("lora_parameters.rank", "2, 4, 8")]), "over rank")
    assert {one.data for one in made} == {data_stamp(base)}

    def results(*stamps: str) -> list[SweepResult]:
        return [
            SweepResult(one.model_copy(update={"trained_data": stamp}), None)
            for one, stamp in zip(made, stamps, strict=True)
        ]

    assert not differ_in_data(results("", "", ""))
    assert not differ_in_data(results("a", "", "a"))
    assert differ_in_data(results("a", "b", ""))


def test_a_link_is_known_by_what_it_leads_to(folder: Path) -> None:
    linked = folder / "linked"
    linked.mkdir()
    (linked / "train.jsonl").symlink_to(folder / "data" / "train.jsonl")
    before = data_stamp(TrainConfig(data=str(linked)))
    longer(folder / "data" / "train.jsonl")
    assert data_stamp(TrainConfig(data=str(linked))) != before
    shutil.rmtree(folder / "data")
    assert data_stamp(TrainConfig(data=str(linked))) != before


@pytest.mark.parametrize(
    "name", ["~nobody-of-this-name/x", "a" * 5000, f"org/{'x' * 300}", "a\0b", "\ud800", "/root/\udcff"]
)
def test_a_name_that_no_file_can_have_has_a_stamp_too(name: str) -> None:
    assert data_stamp(TrainConfig(data=name)) == data_stamp(TrainConfig(data=name))
    assert data_stamp(TrainConfig(data=name)) != data_stamp(TrainConfig(data="other"))
