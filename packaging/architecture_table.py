"""The architecture table: for every architecture, what Luthier says would be trained and what mlx-lm then trains.

``python packaging/architecture_table.py`` prints it (``--json`` as JSON lines, ``--names a,b`` only some). Each
side builds the model lazily for itself: Luthier inspects the config and calculates, mlx-lm converts the model with
the keys that Luthier wrote and is then counted. The exit code is 1 if any line differs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from tests.worker.architectures import all_names, config_of

PRESETS = ("full", "attention", "mlp", "minimal", "linear")
CUSTOM = "*proj*, dense, resid, wqkv, c_fc"  # a pattern list that names something in most architectures
CASES: tuple[dict[str, Any], ...] = (
    *({"targets": name} for name in PRESETS),
    {"targets": CUSTOM, "num_layers": 2},
    {"targets": "full", "num_layers": 3, "fine_tune_type": "dora"},
    {"targets": "full", "num_layers": 2, "fine_tune_type": "full"},
)
CHILDREN = 2


def rows_of(names: list[str]) -> Iterator[dict[str, Any]]:
    """One row for each architecture and case, both sides counted."""
    from app.core.config.train_config import TrainConfig
    from app.core.model.folder import read_config
    from app.core.target.selection import resolve
    from app.worker.model.inspection import inspect_built

    with tempfile.TemporaryDirectory() as place:
        for name in names:
            folder = Path(place) / name.replace(" ", "-")
            folder.mkdir()
            (folder / "config.json").write_text(json.dumps(config_of(name)), encoding="utf-8")
            inspection = inspect_built(folder, read_config(folder))
            for case in CASES:
                config = TrainConfig().with_values(case | {"lora_parameters.rank": 3})
                selection = resolve(inspection, config)
                theirs = _mlx_lm_trains(folder, selection.kind, selection.keys, selection.num_layers)
                yield {
                    "architecture": name,
                    "targets": f"{config.fine_tune_type} {config.targets} {config.num_layers}",
                    "modules": selection.adapted_modules,
                    "parameters": selection.trainable_parameters,
                    "total": inspection.total_parameters,
                    "mlx_lm_modules": theirs[0] if theirs[0] is not None else selection.adapted_modules,
                    "mlx_lm_parameters": theirs[1],
                    "same_paths": theirs[2] is None or theirs[2] == sorted(selection.paths),
                    "problems": [problem.message for problem in selection.problems],
                }


def _mlx_lm_trains(
    folder: Path, kind: str, keys: tuple[str, ...], num_layers: int
) -> tuple[int | None, int, list[str] | None]:
    """Adapted modules, trainable parameters and adapted paths after mlx-lm's own preparation of a fresh model."""
    from mlx.utils import tree_flatten
    from mlx_lm.tuner.utils import linear_to_lora_layers

    from app.worker.model.build import build_model

    model, _ = build_model(folder)
    model.freeze()
    if kind == "full":
        for layer in model.layers[-max(num_layers, 0) :]:
            layer.unfreeze()
        return None, _size(tree_flatten(model.trainable_parameters())), None
    parameters = {"rank": 3, "scale": 1.0, "dropout": 0.0, "keys": set(keys)}
    linear_to_lora_layers(model, num_layers, parameters, use_dora=kind == "dora")
    paths = sorted(path for path, module in model.named_modules() if "lora_a" in module)
    return len(paths), _size(tree_flatten(model.trainable_parameters())), paths


def _size(arrays: list[tuple[str, Any]]) -> int:
    return sum(array.size for _, array in arrays)


def is_equal(row: dict[str, Any]) -> bool:
    """Whether both sides agree."""
    same = row["modules"] == row["mlx_lm_modules"] and row["parameters"] == row["mlx_lm_parameters"]
    return bool(same and row["same_paths"])


def measure(names: list[str]) -> list[dict[str, Any]]:
    """All rows, by a few child processes: mlx-lm's model modules are too many, and too odd, for one process."""
    parts = [names[index::CHILDREN] for index in range(CHILDREN)]
    children = [
        subprocess.Popen(
            [sys.executable, __file__, "--json", "--here", "--names", ",".join(part)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for part in parts if part
    ]  # fmt: skip
    rows = []
    for child in children:
        out, said = child.communicate()
        rows += [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        if child.returncode != 0:
            raise RuntimeError(said)
    return sorted(rows, key=lambda row: names.index(row["architecture"]))


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--names", default="", help="architectures, separated by commas; all if left out")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = [name for name in arguments.names.split(",") if name] or all_names()
    rows = list(rows_of(names)) if arguments.here else measure(names)
    for row in rows:
        print(json.dumps(row) if arguments.json else _line(row))
    if not arguments.json:
        wrong = [row for row in rows if not is_equal(row)]
        print(f"{len({row['architecture'] for row in rows})} models, {len(rows)} cases, {len(wrong)} differ")
    return 0 if arguments.here or all(map(is_equal, rows)) else 1


def _line(row: dict[str, Any]) -> str:
    mark = "=" if is_equal(row) else "≠"
    ours, theirs = (f"{row[a]:>5,} {row[b]:>10,}" for a, b in _SIDES)
    return f"{row['architecture']:<22}{row['targets']:<42}{ours}  {mark} {theirs}"


_SIDES = (("modules", "parameters"), ("mlx_lm_modules", "mlx_lm_parameters"))

if __name__ == "__main__":
    sys.exit(main())
