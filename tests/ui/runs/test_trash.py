"""What goes to the Trash and comes back: of each run it is said why it stayed, or what can be undone."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtGui import QUndoStack

from app.core.run.folder import RunDir
from app.ui.message.bar import Notice
from app.ui.runs.trash import RunTrash, Trashed, take_back


class Bin:
    """A Trash in a folder, and what was said."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.steps = folder / "Trash" / "files", QUndoStack()
        self.folder.mkdir(parents=True)
        (folder / "Trash" / "info").mkdir()
        self.trash = RunTrash(self.steps, move=self.move)
        self.notices: list[Notice] = []
        self.warned: list[str] = []
        self.deleted: list[list[RunDir]] = []
        self.back: list[list[Path]] = []
        self.trash.noticed.connect(self.notices.append)
        self.trash.warned.connect(self.warned.append)
        self.trash.deleted.connect(self.deleted.append)
        self.trash.brought_back.connect(self.back.append)

    def move(self, path: Path) -> Trashed | None:
        if path.name == "refused":
            return None
        place = self.folder / path.name
        path.rename(place)
        (self.folder.parent / "info" / f"{path.name}.trashinfo").write_text("[Trash Info]\n")
        return Trashed(path, None if path.name == "somewhere" else place)

    def act(self, one: Notice) -> None:
        assert one.act is not None
        one.act()


@pytest.fixture
def bin_(qapp: object, tmp_path: Path) -> Bin:
    assert qapp is not None
    return Bin(tmp_path / "bin")


def made(folder: Path, *names: str) -> list[RunDir]:
    for name in names:
        (folder / name).mkdir()
    return [RunDir(folder / name) for name in names]


def test_what_was_moved_is_told_and_undone_once(bin_: Bin, tmp_path: Path) -> None:
    runs = made(tmp_path, "a", "b")
    bin_.trash.delete(runs)
    assert bin_.deleted == [runs]
    [notice] = bin_.notices
    assert (notice.text, notice.kind, notice.action) == ("2 runs moved to the Trash.", "info", "Undo")
    assert notice.holds is not None
    assert notice.holds()
    bin_.act(notice)
    assert bin_.back == [[one.path for one in runs]]
    assert all(one.path.is_dir() for one in runs)
    assert list((bin_.folder.parent / "info").iterdir()) == []
    assert (notice.holds(), bin_.steps.canUndo(), bin_.steps.canRedo()) == (False, False, True)
    bin_.steps.redo()
    assert [one.text for one in bin_.notices] == ["2 runs moved to the Trash."] * 2
    assert not runs[0].path.exists()


def test_a_message_takes_back_its_own_runs_when_others_went_after_them(bin_: Bin, tmp_path: Path) -> None:
    first, second = made(tmp_path, "a", "b")
    bin_.trash.delete([first])
    bin_.trash.delete([second])
    bin_.act(bin_.notices[0])
    assert (first.path.is_dir(), second.path.exists()) == (True, False)
    assert (bin_.back, bin_.warned) == ([[first.path]], [])
    bin_.steps.undo()
    assert bin_.back == [[first.path], [second.path]]
    bin_.steps.undo()  # of what somebody has taken back already
    assert (len(bin_.back), bin_.warned) == (2, [])


def test_what_stays_is_told_with_what_can_be_done(
    bin_: Bin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, remote, trained, refused = made(tmp_path, "a", "remote", "trained", "refused")
    monkeypatch.setattr(RunDir, "is_running", lambda self: self == trained)
    monkeypatch.setattr(RunDir, "is_elsewhere", lambda self: self == remote)
    bin_.trash.delete([gone, remote, trained, refused])
    assert bin_.deleted == [[gone]]
    assert [one.text for one in bin_.notices] == ["1 run moved to the Trash."]
    assert bin_.warned == [
        "remote is on another machine, which would be lost sight of. Bring it here first.\n"
        "trained is being trained. Stop it first.\n"
        f"refused could not be moved to the Trash. Delete {refused.path} by hand."
    ]
    bin_.steps.undo()
    bin_.steps.redo()
    assert (len(bin_.warned), gone.path.exists()) == (1, False), "only what was moved is moved again"
    bin_.notices.pop()
    bin_.deleted.pop()
    bin_.trash.delete([remote])
    assert (len(bin_.deleted), len(bin_.notices), bin_.steps.index()) == (1, 1, 1)


def test_a_system_that_does_not_say_where_it_is_offers_no_way_back(bin_: Bin, tmp_path: Path) -> None:
    runs = made(tmp_path, "a", "somewhere")
    bin_.trash.delete(runs)
    assert bin_.notices == [Notice("2 runs moved to the Trash.")]
    assert not bin_.steps.canUndo()


def test_a_run_is_taken_back_only_to_where_nothing_stands(
    bin_: Bin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [run] = made(tmp_path, "a")
    found = bin_.move(run.path)
    assert found is not None
    assert found.can_be_taken_back
    run.path.mkdir()
    assert (found.can_be_taken_back, take_back(found)) == (False, False)
    run.path.rmdir()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", lambda _self, _to: (_ for _ in ()).throw(OSError))
        assert not take_back(found), "the system refuses"
    assert not run.path.exists()
    assert take_back(found)
    assert run.path.is_dir()
    assert not take_back(Trashed(run.path))
    bin_.trash.bring_back([found, Trashed(tmp_path / "b")])
    assert bin_.back == []
    assert bin_.warned == ["a, b could not be taken out of the Trash."]
