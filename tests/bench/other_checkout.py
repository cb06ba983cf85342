"""A benchmark run in processes of their own, in this checkout and in others, one after the other by turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


def measured(script: str, tree: Path, work: Path, *words: str) -> dict[str, Any]:
    """What ``script --child WORDS`` prints last, as JSON, with the code of ``tree`` and one BLAS thread."""
    environment = os.environ | {
        "LUTHIER_BENCH_TREE": str(tree), "PYTHONPATH": str(tree), "OPENBLAS_NUM_THREADS": "1",
        "LUTHIER_HOME": str(work / "home"),
    }  # fmt: skip
    command = [sys.executable, script, "--child", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} in {tree} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def by_turns(sides: Iterable[str], repeats: int) -> Iterator[str]:
    """The sides so many times, each second time in reverse: what drifts meets all alike."""
    forth = list(sides)
    for turn in range(repeats):
        yield from reversed(forth) if turn % 2 else forth
