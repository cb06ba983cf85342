"""What was measured of a run is kept behind what was measured before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app.core.run.benchmark import keep_benchmark


def measured(time: str) -> dict[str, Any]:
    return {"time": time, "columns": []}


def test_a_measurement_is_kept_behind_those_of_before(tmp_path: Path) -> None:
    for time in ("2026-11-01", "2026-11-02", "2026-11-03"):
        keep_benchmark(tmp_path, measured(time))
    kept = json.loads((tmp_path / "benchmarks.json").read_text())
    assert kept == [measured("2026-11-01"), measured("2026-11-02"), measured("2026-11-03")]


def test_what_cannot_be_understood_stays_and_what_cannot_be_read_is_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "benchmarks.json"
    file.write_text('[{"by": "a later version"}]')
    keep_benchmark(tmp_path, measured("2026-11-04"))
    assert json.loads(file.read_text()) == [{"by": "a later version"}, measured("2026-11-04")]
    file.write_text("[{")
    keep_benchmark(tmp_path, measured("2026-11-05"))
    assert json.loads(file.read_text()) == [measured("2026-11-05")]
