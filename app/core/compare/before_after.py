"""Before and after: the base's and the tuned model's answer to one held-out question, kept in the run's folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from app.core.compare.candidate import Candidate, run_candidates
from app.core.model.adapter_file import ADAPTER_FILE
from app.core.run.folder import RunDir
from app.core.system.atomic_file import write_text

BEFORE_AFTER_FILE = "before_after.json"
_NUMBERS = ("stamp", "passed")


@dataclass(frozen=True, slots=True)
class BeforeAfter:
    """The answers to ``prompt``, behind ``system`` if there is one.

    ``weights`` is the adapter that answered after, relative to the run, and ``stamp`` when it was written (ns):
    a run that trains on has others by then. ``passed`` questions before it were answered alike.
    """

    prompt: str
    system: str
    before: str
    after: str
    weights: str
    stamp: int
    passed: int = 0


def tuned_candidate(run: RunDir) -> Candidate | None:
    """What a run came to: the adapter that stands at its end; None while there is none."""
    found = run_candidates(run.path)
    return found[0] if found and found[0].adapter == run.adapters else None


def weights_stamp(adapter: Path) -> int:
    """When an adapter (a folder, or a checkpoint's file) was written, in ns; 0 if it cannot be told."""
    file = adapter if adapter.is_file() else adapter / ADAPTER_FILE
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def save_before_after(run: RunDir, found: BeforeAfter) -> None:
    """Keeps it. Raises `OSError` if the run's folder cannot be written."""
    write_text(run.path / BEFORE_AFTER_FILE, json.dumps(asdict(found), indent=1, ensure_ascii=True) + "\n")


def load_before_after(run: RunDir) -> BeforeAfter | None:
    """What was kept, if it is of the weights that stand there now."""
    try:
        tree = json.loads((run.path / BEFORE_AFTER_FILE).read_text(encoding="utf-8"))
        found = BeforeAfter(**tree)
    except (OSError, ValueError, TypeError):
        return None
    if not all(isinstance(value, int if name in _NUMBERS else str) for name, value in asdict(found).items()):
        return None
    return found if weights_stamp(run.path / found.weights) == found.stamp != 0 else None
