"""A folder of runs or models moved to another place, wholly or not at all, and found by its old path afterwards."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from app.core.data.prepare import CancelledError
from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.quantity import bytes_text, plural
from app.core.run.folder import find_runs
from app.core.system.disk import flush_to_disk, free_bytes
from app.core.typed_path import typed_path
from app.core.upkeep.folder import folder_size, folder_standing

_CHUNK = 8 * 1024 * 1024
_ROOM = 64 * 1024 * 1024  # beside what is copied: a disk that is full to the last byte is of no use
_Entry = tuple[int, int]  # a file's size and time of change, in nanoseconds

MoveProgress = Callable[[int, int], None]  # bytes done, bytes in all


def check_move(source: Path, destination: Path, live: list[str]) -> None:
    """Raises `UnusableError` with the reason why a folder cannot be moved. ``live`` names the runs that train."""
    if live:
        said = tr(
            "{run_iss} training: {live}.", run_iss=plural(len(live), "run is", "runs are"), live=", ".join(live)
        )
        raise _refused(said, tr("Stop what trains, or wait for its end; then move."))
    if not source.is_dir():
        raise _refused(
            tr("There is nothing to move: {source} is not there.", source=source),
            tr("New ones go to the folder chosen."),
        )
    here, there = source.resolve(), _new_place(source, destination)
    if here == there:
        raise _refused(tr("They are there already."), tr("Choose another folder."))
    if here in there.parents or there in here.parents:
        raise _refused(
            tr("One of {here} and {there} lies in the other.", here=here, there=there),
            tr("Choose a folder beside it."),
        )
    standing = folder_standing(str(there))
    if standing.problem:
        raise _refused(standing.problem, tr("Choose another folder."))
    if there.exists() and not there.is_symlink() and any(there.iterdir()):
        raise _refused(
            tr("{there} is not empty.", there=there), tr("Choose a new folder, or an empty one: nothing is mixed.")
        )
    if not is_same_disk(here, there) and (need := folder_size(here) + _ROOM) > standing.free:
        lacking = bytes_text(need - standing.free)
        raise _refused(
            tr("The disk of {there} is too full: {lacking} are lacking.", there=there, lacking=lacking),
            tr("Make room there first."),
        )


def _new_place(source: Path, destination: Path) -> Path:
    """The destination without links on the way; one to the source, of an earlier move, is where they go back."""
    chosen = typed_path(destination)
    if chosen.is_symlink() and chosen.resolve() == source.resolve():
        return chosen.parent.resolve() / chosen.name
    return chosen.resolve()


def place_within(source: Path, chosen: Path) -> Path:
    """What a chosen folder stands for: itself where it is new or empty, else one in it by the source's name."""
    is_empty = not chosen.is_dir() or chosen.resolve() == source.resolve() or not any(chosen.iterdir())
    return chosen if is_empty else chosen / source.name


def live_runs(folder: Path) -> list[str]:
    """The names of the runs in a folder that a worker trains now."""
    return [run.name for run in find_runs(folder) if run.is_running()]


def move_folder(
    source: Path, destination: Path, settle: Callable[[], None], moved: MoveProgress, cancelled: Callable[[], bool]
) -> str:
    """Moves a checked folder and calls ``settle`` when it is whole at its new place; gives what is left to be said.

    On one disk its name changes, at once. To another it is copied beside the new place first, so that whoever kills
    this has the old folder as it was. The old path becomes a link to the new one: what names it goes on. Raises
    `CancelledError` when ``cancelled`` says so, `UnusableError` and `OSError` where it fails; then everything is
    where it was.
    """
    here, there = source.resolve(), _new_place(source, destination)
    there.parent.mkdir(parents=True, exist_ok=True)
    if there.is_symlink():
        there.unlink()  # what an earlier move left behind
    elif there.is_dir():
        there.rmdir()  # empty, as was checked
    old = None
    if is_same_disk(here, there.parent):
        here.rename(there)
    else:
        _copy_whole(here, there, moved, cancelled)
        old = here.with_name(f".{here.name}-moved")
        here.rename(old)
    linked = False
    with suppress(OSError):
        here.symlink_to(there, target_is_directory=True)
        linked = True
    settle()
    said = (
        ""
        if linked
        else tr("Configs that name {here} do not find it any more: that disk keeps no links.", here=here)
    )
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)
        if old.exists():
            said = tr("{said} What could not be removed of the old folder is in {old}.", said=said, old=old).strip()
    return said


def is_same_disk(one: Path, other: Path) -> bool:
    """Whether a folder can become the other by its name alone."""
    there = next(path for path in (other, *other.parents) if path.exists())
    return one.stat().st_dev == there.stat().st_dev


def _copy_whole(here: Path, there: Path, moved: MoveProgress, cancelled: Callable[[], bool]) -> None:
    unfinished = there.with_name(f".{there.name}-moving")
    shutil.rmtree(unfinished, ignore_errors=True)
    before = dict(_files(here))
    total, done = sum(size for size, _ in before.values()), 0
    try:
        for folder, folders, names in os.walk(here):
            at = unfinished / Path(folder).relative_to(here)
            at.mkdir(parents=True, exist_ok=True)
            for name in [*names, *(one for one in folders if (Path(folder) / one).is_symlink())]:
                for part in _copied(Path(folder) / name, at / name):
                    if cancelled():
                        raise CancelledError
                    done += part
                    moved(done, total)
        for folder, _, _ in os.walk(here, topdown=False):  # times of folders change while they are filled
            shutil.copystat(folder, unfinished / Path(folder).relative_to(here))
        if dict(_files(here)) != before or free_bytes(unfinished) <= 0:
            raise _refused(
                tr("Something in the folder changed while it was copied."), tr("Close what writes there.")
            )
        unfinished.rename(there)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _copied(source: Path, target: Path) -> Iterator[int]:
    """Copies a file, or a link as one; the bytes of each part as it is done."""
    if source.is_symlink():
        target.symlink_to(os.readlink(source))  # noqa: PTH115  # as it is written, also where it leads nowhere
        return
    with source.open("rb") as reading, target.open("wb") as writing:
        while part := reading.read(_CHUNK):
            writing.write(part)
            yield len(part)
        writing.flush()
        flush_to_disk(writing.fileno())
    shutil.copystat(source, target)


def _files(folder: Path) -> Iterator[tuple[str, _Entry]]:
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place) / name
            found = path.lstat()
            size = 0 if stat.S_ISLNK(found.st_mode) else found.st_size
            yield str(path.relative_to(folder)), (size, found.st_mtime_ns)


def _refused(said: str, hint: str) -> UnusableError:
    return UnusableError([Problem("", said, hint=hint)])
