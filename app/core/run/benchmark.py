"""Benchmarks of a run: what lm-eval's tasks measured of its adapter and of the base, kept in the run's folder."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from app.core.installation import package_hint
from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.problem import Problem
from app.core.run.folder import RunDir
from app.core.system.atomic_file import write_text

BENCHMARK_FILE = "benchmarks.json"  # in a run's folder: what was measured, the oldest first
HARNESS = "lm_eval"


class _Figure(BaseModel):
    value: float | None
    stderr: float | None


class _Column(BaseModel):
    adapter: str | None
    strength: float
    results: dict[str, dict[str, _Figure]]


class _Measured(BaseModel):
    """What a measurement must hold to be shown, whatever else does not fit."""

    columns: list[_Column]
    time: str
    harness: str
    limit: float | None = None
    shots: int | None = None


@dataclass(frozen=True, slots=True)
class BenchmarkFigure:
    """One metric of one task for each column: the value and its standard error, None where there is none."""

    task: str
    metric: str
    values: tuple[tuple[float | None, float | None], ...]

    def texts(self) -> tuple[str, ...]:
        """``0.5120 ± 0.0141`` for each column."""
        return tuple(_text(value, error) for value, error in self.values)


def _text(value: float | None, error: float | None) -> str:
    if value is None:
        return "–"
    digits = 4 if abs(value) < 10 else 2
    return f"{value:,.{digits}f}" + (tr(" ± {error}", error=f"{error:,.{digits}f}") if error is not None else "")


def benchmark_figures(columns: Sequence[Mapping[str, Any]]) -> list[BenchmarkFigure]:
    """The rows of a table: every metric of every task that any column has, in their order."""
    keys = dict.fromkeys(
        (task, metric) for column in columns for task, metrics in column["results"].items() for metric in metrics
    )
    return [
        BenchmarkFigure(
            task, metric, tuple(_value(column["results"].get(task, {}).get(metric)) for column in columns)
        )
        for task, metric in keys
    ]


def _value(found: Mapping[str, Any] | None) -> tuple[float | None, float | None]:
    return (None, None) if found is None else (found["value"], found["stderr"])


def column_name(column: Mapping[str, Any]) -> str:
    """What a column is called: the base, or the adapter's folder with its strength where that is not 1."""
    if column["adapter"] is None:
        return tr("base model")
    place = Path(column["adapter"])
    name = place.parent.name if place.name == "adapters" else place.stem if place.suffix else place.name
    return name if column["strength"] == 1 else f"{name} × {column['strength']:g}"


def harness_problem(field: str = "tasks") -> Problem | None:
    """Why lm-eval cannot be asked; None if it is installed."""
    if importlib.util.find_spec(HARNESS) is not None:
        return None
    hint = package_hint("lm-eval", "'lm_eval>=0.4.13,<0.5'")
    return Problem(field, tr("lm-eval is not installed, which has these tasks."), hint=hint)


def load_benchmarks(run: RunDir) -> list[dict[str, Any]]:
    """What was measured of a run so far; empty if nothing was, or the file cannot be read. What is no measurement
    in it is left out."""
    return [one for one in _kept(run) if _is_measured(one)]


def _kept(run: RunDir) -> list[Any]:
    try:
        found = parsed_json((run.path / BENCHMARK_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return found if isinstance(found, list) else []


def _is_measured(one: Any) -> bool:
    try:
        _Measured.model_validate(one, strict=True)
    except ValidationError:
        return False
    return True


def keep_benchmark(run: Path, measured: Mapping[str, Any]) -> None:
    """Puts a measurement behind those of before."""
    folder = RunDir(run)
    write_text(folder.path / BENCHMARK_FILE, json.dumps([*_kept(folder), dict(measured)], indent=1))
