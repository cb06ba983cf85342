"""What a worker is asked to do: `job.json` in the folder that it works in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LOG_TAIL_LINES = 40


def write_job(folder: Path, task: str, **arguments: Any) -> None:
    """Writes ``job.json``: what the worker is to do."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"task": task, **arguments}, ensure_ascii=False, indent=1)
    (folder / "job.json").write_text(text, encoding="utf-8")
