"""A candidate: what can be compared; the base model itself, or an adapter of a run or a folder put on it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from app.core.language import tr
from app.core.model.adapter_base import same_weights, sampled_pieces
from app.core.model.adapter_file import ADAPTER_CONFIG, ADAPTER_FILE, PEFT_FILE, has_adapter_file
from app.core.run.folder import RunDir
from app.core.run.note import given_name, own_name

RUN_NAME = re.compile(r"^(\d{4}-\d\d-\d\d)_(\d\d)-(\d\d)-\d\d_(.+)$")
NUMBERED = re.compile(rf"^(\d+)_{re.escape(ADAPTER_FILE)}$")
LEAST_COLUMNS, MOST_COLUMNS = 2, 4  # candidates that are compared at once


@dataclass(frozen=True, slots=True)
class Candidate:
    """``adapter`` is None for the base; else an adapter's folder, or a checkpoint file in such a folder.

    ``run`` is the folder of the run that made it; None for the base and for adapters from elsewhere. ``strength``
    is how much of the adapter is put on the base. The label is only what it is called: a run that gets another name
    is the same candidate.
    """

    label: str = field(compare=False)
    adapter: Path | None = None
    run: Path | None = None
    strength: float = 1.0

    @property
    def title(self) -> str:
        """The label, with the strength where it is not 1."""
        return self.label if self.strength == 1 else f"{self.label} × {self.strength:g}"

    @property
    def identity(self) -> str | None:
        """What tells it from others on the same base: the adapter and its strength; None for the base."""
        if self.adapter is None or self.strength == 1:
            return None if self.adapter is None else str(self.adapter)
        return f"{self.adapter} × {self.strength:g}"

    @property
    def is_base(self) -> bool:
        return self.adapter is None


BASE = Candidate(tr("Base model"))


def run_candidates(run: Path) -> list[Candidate]:
    """The adapters of a run that are on disk: what it kept, best, then numbered checkpoints, the newest first."""
    found, title = RunDir(run), title_of(run)
    candidates = []
    if has_adapter_file(found.adapters):
        candidates.append(Candidate(title, found.adapters, run))
    if has_adapter_file(found.best):
        candidates.append(Candidate(tr("{title} · best", title=title), found.best, run))
    return candidates + [
        Candidate(tr("{title} · iteration {iteration:,}", title=title, iteration=iteration), path, run)
        for iteration, path in sorted(_numbered(found), reverse=True)
    ]


def _numbered(run: RunDir) -> list[tuple[int, Path]]:
    """The numbered checkpoints with their iterations."""
    files = run.adapters.glob(f"*_{ADAPTER_FILE}") if run.adapters.is_dir() else ()
    return [(int(name[1]), path) for path in files if (name := NUMBERED.match(path.name))]


def short_label(candidate: Candidate) -> str:
    """What weights of a run are called beside its name, by what is in them: ``Best``, ``Last, 480``, ``At 160``.

    The adapter that the run kept is ``Kept`` with the one of them that it holds, where it holds one: a run that
    ends keeps its best weights, one that is interrupted those of its last checkpoint.
    """
    assert candidate.run is not None
    assert candidate.adapter is not None
    run = RunDir(candidate.run)
    steps = _numbered(run)
    last = max(steps, default=None)
    if number := NUMBERED.match(candidate.adapter.name):
        is_last = last is not None and last[1] == candidate.adapter
        return (
            tr("Last, {number:,}", number=int(number[1])) if is_last else tr("At {number:,}", number=int(number[1]))
        )
    if candidate.adapter == run.best:
        return tr("Best")
    kept = run.adapters / ADAPTER_FILE
    if same_weights(kept, run.best / ADAPTER_FILE):
        return tr("Kept: best")
    return tr("Kept: last") if last is not None and same_weights(kept, last[1]) else tr("Kept")


def weights_mark(candidate: Candidate | None) -> str:
    """A few letters by which an adapter's weights are told from others that lie in their place later, as far as
    sizes and some pieces tell; empty for the base, and where there are none."""
    if candidate is None or candidate.adapter is None:
        return ""
    file = _weights(candidate.adapter)
    try:
        state = file.stat()
        return _mark_of(file, state.st_mtime_ns, state.st_size)
    except OSError:
        return ""


@lru_cache(maxsize=64)
def _mark_of(file: Path, _changed: int, size: int) -> str:
    digest = hashlib.blake2b(str(size).encode(), digest_size=8)
    with file.open("rb") as weights:
        for piece in sampled_pieces(weights, size):
            digest.update(piece)
    return digest.hexdigest()


def first_other(candidates: list[Candidate], here: set[Path | None]) -> Candidate | None:
    """The first one whose weights are not those of an adapter that is ``here``, under another name: a run that has
    ended keeps a copy of its best. Where all are, the first of them; None without any."""
    files = [_weights(adapter) for adapter in here if adapter is not None]
    others = (
        one
        for one in candidates
        if one.adapter is not None and not any(same_weights(_weights(one.adapter), file) for file in files)
    )
    return next(others, candidates[0] if candidates else None)


def _weights(adapter: Path) -> Path:
    if adapter.is_file():
        return adapter
    return next((file for name in (ADAPTER_FILE, PEFT_FILE) if (file := adapter / name).is_file()), adapter)


def candidate_of(adapter: Path) -> Candidate:
    """The candidate that a path means: an adapter's folder, a checkpoint file, or the folder of a run."""
    if RunDir(adapter).config.is_file() and is_adapter(adapter / "adapters"):
        adapter = adapter / "adapters"
    home = next((folder for folder in adapter.parents if folder.name == "adapters"), adapter)
    run = home.parent if home.name == "adapters" and RunDir(home.parent).config.is_file() else None
    known = run_candidates(run) if run is not None else []
    for candidate in known:
        if candidate.adapter == adapter:
            return candidate
    if run is not None:
        return Candidate(title_of(run), adapter, run)
    title = adapter.parent.name if adapter.name == "adapters" else adapter.stem if adapter.suffix else adapter.name
    return Candidate(run_title(title), adapter, run)


def title_of(run: Path) -> str:
    """What a run is called: the name that a person gave it, else its adapter's name and its time."""
    found = RunDir(run)
    return given_name(found) or run_title(run.name, own_name(found))


def is_adapter(path: Path) -> bool:
    """Whether a folder looks like an adapter of mlx-lm or PEFT, or a file like a checkpoint in such a folder."""
    if path.is_file():
        return path.name.endswith(ADAPTER_FILE) and (path.parent / ADAPTER_CONFIG).is_file()
    return (path / ADAPTER_CONFIG).is_file() and has_adapter_file(path)


def run_title(name: str, own: str = "") -> str:
    """``friendly · 2026-11-21 14:05`` for a run's folder name; other names as they are.

    ``own`` is the run's name as it was before it became a folder's.
    """
    found = RUN_NAME.match(name)
    return f"{own or found[4]} · {found[1]} {found[2]}:{found[3]}" if found else name
