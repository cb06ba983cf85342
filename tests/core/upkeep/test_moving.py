"""A folder is moved whole or not at all, and found by its old path afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from app.core.data.prepare import CancelledError
from app.core.problem import UnusableError
from app.core.run.folder import RunDir
from app.core.upkeep import moving
from app.core.upkeep.folder import folder_standing
from app.core.upkeep.moving import check_move, live_runs, move_folder, place_within


def never() -> bool:
    return False


def quiet(_done: int, _total: int) -> None:
    pass


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with two runs: files, an empty folder, a link to a file beside it and one that leads nowhere."""
    folder = tmp_path / "runs"
    for name in ("a", "b"):
        (folder / name / "adapters").mkdir(parents=True)
        (folder / name / "config.yaml").write_text(f"adapter_path: {folder}/{name}/adapters\n")
        (folder / name / "adapters" / "adapters.safetensors").write_bytes(os.urandom(70_000))
    (folder / "a" / "best").symlink_to("adapters", target_is_directory=True)
    (folder / "a" / "gone").symlink_to("/nowhere/at/all")
    (folder / "empty").mkdir()
    return folder


def tree(folder: Path) -> dict[str, bytes | str]:
    """What is in a folder: each file's bytes, each link's words, each folder."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        found[name] = (
            str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else "folder"
        )
    return found


@pytest.fixture(params=["same disk", "another disk"])
def disks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "another disk":
        monkeypatch.setattr(moving, "is_same_disk", lambda *_: False)
    return str(request.param)


def test_all_of_it_is_there_and_the_old_path_leads_to_it(runs: Path, tmp_path: Path, disks: str) -> None:
    there, before, told = tmp_path / "disk" / "my runs", tree(runs), []
    settled: list[dict[str, bytes | str]] = []
    check_move(runs, there, [])
    said = move_folder(runs, there, lambda: settled.append(tree(there)), lambda *done: told.append(done), never)
    assert said == ""
    assert tree(there) == before == settled[0]
    assert runs.resolve() == there.resolve()
    assert (runs / "a" / "config.yaml").read_text() == f"adapter_path: {runs}/a/adapters\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "runs"]
    if disks == "another disk":
        assert told[-1][0] == told[-1][1] > 140_000
    check_move(there, runs, [])  # and back, where only the link is
    move_folder(there, runs, lambda: None, quiet, never)
    assert tree(runs) == before
    assert not runs.is_symlink()


@pytest.mark.parametrize("at", [1, 2])
def test_stopped_in_the_middle_nothing_has_happened(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(moving, "is_same_disk", lambda *_: False)
    before, asked = tree(runs), iter(range(100))
    with pytest.raises(CancelledError):
        move_folder(runs, tmp_path / "new", lambda: pytest.fail("settled"), quiet, lambda: next(asked) >= at)
    assert tree(runs) == before
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


@pytest.mark.parametrize("fault", ["full disk", "changed"])
def test_what_fails_while_it_is_copied_leaves_everything(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(moving, "is_same_disk", lambda *_: False)
    before = tree(runs)

    def fail(_descriptor: int) -> None:
        if fault == "full disk":
            raise OSError(28, "No space left on device")
        (runs / "b" / "events.jsonl").write_text("a run began\n")

    monkeypatch.setattr(moving, "flush_to_disk", fail)
    with pytest.raises((OSError, UnusableError), match=r"No space left|changed while it was copied"):
        move_folder(runs, tmp_path / "new", lambda: pytest.fail("settled"), quiet, never)
    (runs / "b" / "events.jsonl").unlink(missing_ok=True)
    assert tree(runs) == before
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_what_a_killed_move_left_is_in_nobodys_way(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "is_same_disk", lambda *_: False)
    (tmp_path / ".new-moving" / "half").mkdir(parents=True)
    before = tree(runs)
    move_folder(runs, tmp_path / "new", lambda: None, quiet, never)
    assert tree(tmp_path / "new") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "runs"]


def test_a_disk_without_links_is_told(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    said = move_folder(runs, tmp_path / "new", lambda: None, quiet, never)
    assert "keeps no links" in said
    assert not runs.exists()


def test_a_folder_with_more_in_it_takes_them_as_one_of_its_own(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "disk" / "photos").mkdir(parents=True)
    assert place_within(runs, tmp_path / "disk") == tmp_path / "disk" / "runs"
    assert place_within(runs, tmp_path / "disk" / "photos") == tmp_path / "disk" / "photos"
    assert place_within(runs, tmp_path / "new") == tmp_path / "new"
    assert place_within(runs, runs) == runs  # which is refused


def test_a_refusal_leaves_the_link_of_an_earlier_move(runs: Path, tmp_path: Path) -> None:
    move_folder(runs, tmp_path / "new", lambda: None, quiet, never)
    with pytest.raises(UnusableError):
        check_move(tmp_path / "new", runs, ["a"])
    check_move(tmp_path / "new", runs, [])
    assert runs.is_symlink()


REFUSED: dict[str, tuple[Callable[[Path], tuple[Path, Path]], str]] = {
    "there": (lambda runs: (runs, runs), "there already"),
    "inside": (lambda runs: (runs, runs / "a" / "deeper"), "lies in the other"),
    "around": (lambda runs: (runs / "a", runs), "lies in the other"),
    "nothing": (lambda runs: (runs.parent / "none", runs.parent / "new"), "nothing to move"),
    "filled": (lambda runs: (runs / "a", runs / "b"), "not empty"),
    "file": (lambda runs: (runs, runs.parent / "file"), "is a file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_in_words(runs: Path, name: str) -> None:
    (runs.parent / "file").write_text("")
    places, said = REFUSED[name]
    with pytest.raises(UnusableError, match=said):
        check_move(*places(runs), [])


def test_a_disk_that_is_too_full_is_refused_first(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "is_same_disk", lambda *_: False)
    monkeypatch.setattr("app.core.upkeep.folder.free_bytes", lambda _folder: 1000)
    with pytest.raises(UnusableError, match=r"too full: 64\.2? ?\d* MB are lacking|are lacking"):
        check_move(runs, tmp_path / "new", [])


def test_nothing_is_moved_while_a_run_trains(runs: Path, tmp_path: Path) -> None:
    assert live_runs(runs) == []
    with RunDir(runs / "a").lock():
        assert live_runs(runs) == ["a"]
        with pytest.raises(UnusableError, match=r"1 run is training: a\."):
            check_move(runs, tmp_path / "new", live_runs(runs))


def test_a_folder_is_tried_before_it_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder_standing(str(tmp_path / "new" / "deeper")).problem == ""
    assert not (tmp_path / "new").exists()
    assert "are free" in folder_standing(str(tmp_path)).sentence()
    assert "whole path" in folder_standing("runs").problem
    (tmp_path / "file").write_text("")
    assert "is a file" in folder_standing(str(tmp_path / "file")).problem
    assert "no folder in it" in folder_standing(str(tmp_path / "file" / "runs")).problem

    def refuse(**_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert "cannot be written: operation not permitted" in folder_standing(str(tmp_path)).problem
