"""A folder that is moved in a thread: what is told meanwhile and at its end, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.core.upkeep import moving
from app.ui.settings import mover
from app.ui.settings.mover import FolderMover

Told = list[tuple[object, ...]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three files of 600 bytes, on another disk than where they go."""
    monkeypatch.setattr(moving, "is_same_disk", lambda *_: False)
    found = tmp_path / "runs"
    found.mkdir()
    for name in "abc":
        (found / name).write_bytes(b"x" * 600)
    return found


@pytest.fixture
def worker(qapp: object) -> Iterator[FolderMover]:
    assert qapp
    found = FolderMover()
    yield found
    found.shutdown()


def moved(qtbot: QtBot, worker: FolderMover, source: Path, destination: Path) -> tuple[Told, Told]:
    """What was told of the progress, and of the end."""
    progress: Told = []
    end: Told = []
    worker.progressed.connect(lambda *told: progress.append(told))
    worker.ended.connect(lambda *told: end.append(told))
    worker.move(source, destination, lambda: None)
    qtbot.waitUntil(lambda: bool(end))
    return progress, end


@pytest.mark.parametrize(
    ("step_bytes", "told"), [(1200, [1200, 1800]), (1201, [1800]), (600, [600, 1200, 1800]), (5000, [1800])]
)
def test_progress_is_told_after_each_step_and_at_the_end(
    qtbot: QtBot,
    worker: FolderMover,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step_bytes: int,
    told: list[int],
) -> None:
    monkeypatch.setattr(mover, "STEP_BYTES", step_bytes)
    progress, end = moved(qtbot, worker, folder, tmp_path / "there")
    assert progress == [(done, 1800) for done in told]
    assert end == [(True, f"Moved to {tmp_path}/there.")]
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == ["a", "b", "c"]


@pytest.mark.parametrize("fault", ["full disk", "changed"])
def test_what_was_not_moved_says_why(
    qtbot: QtBot, worker: FolderMover, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def fail(_descriptor: int) -> None:
        if fault == "full disk":
            raise OSError(28, "No space left on device")
        (folder / "a").write_bytes(b"other")

    monkeypatch.setattr(moving, "flush_to_disk", fail)
    _, [(is_moved, said)] = moved(qtbot, worker, folder, tmp_path / "there")
    assert not is_moved
    assert (
        said
        == {
            "full disk": "Nothing was moved: No space left on device. Everything is where it was.",
            "changed": "Something in the folder changed while it was copied. Close what writes there.",
        }[fault]
    )
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
