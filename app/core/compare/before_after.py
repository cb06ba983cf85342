"""Before and after: the base's and the tuned model's answer to one held-out question, kept in the run's folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.core.compare.candidate import Candidate, run_candidates
from app.core.json_text import parsed_json
from app.core.model.adapter_file import ADAPTER_FILE
from app.core.run.folder import RunDir
from app.core.system.atomic_file import write_text

if TYPE_CHECKING:
    from app.core.run.history import RunHistory

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


def spoken_before_after(history: RunHistory) -> BeforeAfter | None:
    """The same of answers that the run itself gave at its evaluations, before the first iteration and with the
    weights that it kept; None unless there are both. A prompt that is answered otherwise by then comes first."""
    if len(history.spoken) < 2 or 0 not in history.spoken:
        return None
    kept = history.best.iteration if history.best is not None else -1
    at = kept if kept in history.spoken else max(history.spoken)
    pairs = list(zip(history.spoken[0].samples, history.spoken[at].samples, strict=False))
    if not pairs or at == 0:
        return None
    found = [_of_samples(before, after, place) for place, (before, after) in enumerate(pairs)]
    return next((one for one in found if one.before.strip() != one.after.strip()), found[-1])


def _of_samples(before: dict[str, Any], after: dict[str, Any], passed: int) -> BeforeAfter:
    said, then = (f"{one.get('completion', '')}{' …' if one.get('cut') else ''}" for one in (before, after))
    return BeforeAfter(str(before.get("prompt", "")), "", said, then, weights="", stamp=0, passed=passed)


def weights_stamp(adapter: Path) -> int:
    """When an adapter (a folder, or a checkpoint's file) was written, in ns; 0 if it cannot be told."""
    try:
        file = adapter if adapter.is_file() else adapter / ADAPTER_FILE
        return file.stat().st_mtime_ns
    except (OSError, ValueError):  # also of what is no name of a file
        return 0


def save_before_after(run: RunDir, found: BeforeAfter) -> None:
    """Keeps it. Raises `OSError` if the run's folder cannot be written."""
    write_text(run.path / BEFORE_AFTER_FILE, json.dumps(asdict(found), indent=1, ensure_ascii=True) + "\n")


def load_before_after(run: RunDir) -> BeforeAfter | None:
    """What was kept, if it is of the weights that stand there now."""
    try:
        tree = parsed_json((run.path / BEFORE_AFTER_FILE).read_text(encoding="utf-8"))
        found = BeforeAfter(**tree)
    except (OSError, ValueError, TypeError):
        return None
    if not all(isinstance(value, int if name in _NUMBERS else str) for name, value in asdict(found).items()):
        return None
    return found if weights_stamp(run.path / found.weights) == found.stamp != 0 else None
