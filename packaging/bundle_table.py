"""Held-out losses of the same bundle, trained by MLX here and by torch as elsewhere: a table, and the means.

    python packaging/bundle_table.py [--seeds N] [--iterations N] [--own-start]

It needs the extra `torch`. Each seed is one run of the starter in either program, from the same first values of the
adapter; both are then measured here, by `luthier evaluate`, on rows that neither has seen. With ``--own-start``
each draws its own first values: how far apart runs of two seeds are, too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from app.core.config.train_config import TrainConfig
from app.core.setup.config_file import load_config, save_config
from app.core.system.resource import resource
from app.core.target.preset import PRESETS

PROGRAM = [sys.executable, str(ROOT / "app" / "__main__.py")]


def luthier(*arguments: object) -> str:
    """What the program prints; raises where it fails."""
    done = subprocess.run([*PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"luthier {arguments[0]}: {done.stderr or done.stdout}")
    return done.stdout


def setup_of(seed: int, iterations: int) -> TrainConfig:
    """The starter's demo with a seed of its own."""
    config = load_config(resource("starter", "demo.yaml")).config
    values: dict[str, Any] = {
        "seed": seed, "iters": iterations, "epochs": None, "targets": next(iter(PRESETS)), "neutral_tokens": 0,
        "lora_parameters.keys": None,
    }  # fmt: skip
    return config.with_values(values)


def pair(folder: Path, config: TrainConfig, *, own_start: bool) -> tuple[float, float, float]:
    """Held-out losses, nats a token, of the base and of the adapters of MLX and torch."""
    folder.mkdir()
    file = folder / "config.yaml"
    save_config(config, file)
    luthier("train", file, "--run-dir", folder / "here", "--json")
    drawn = ["--no-same-start"] if own_start else []
    luthier("bundle", file, "--out", folder / "bundle", "--with-model", "--json", *drawn)
    command = [sys.executable, str(folder / "bundle" / "train.py"), "--run", str(folder / "there")]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"train.py: {done.stderr[-2000:]}")
    adapters = [part for name in ("here", "there") for part in ("--adapter-path", folder / name / "adapters")]
    data = resource("starter", "data") / "test.jsonl"
    told = json.loads(
        luthier("evaluate", "--model", config.model, *adapters, "--data", data, "--mask-prompt", "--json")
    )
    base, here, there = (float(one["loss"]) for one in told["columns"])
    return base, here, there


def main() -> int:
    """Prints the table; exit code 1 if the means are more than 1 % apart."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--iterations", type=int, default=480)
    asked.add_argument("--own-start", action="store_true")
    options = asked.parse_args()
    rows = []
    print("| seed | base | MLX | torch | torch ÷ MLX |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="luthier-bundle-table-") as temporary:
        for seed in range(options.seeds):
            place = Path(temporary) / str(seed)
            base, here, there = pair(place, setup_of(seed, options.iterations), own_start=options.own_start)
            rows.append((here, there))
            print(f"| {seed} | {base:.4f} | {here:.4f} | {there:.4f} | {there / here:.4f} |", flush=True)
    here, there = (sum(column) / len(rows) for column in zip(*rows, strict=True))
    print(f"| mean | | {here:.4f} | {there:.4f} | {there / here:.4f} |")
    return 0 if abs(there / here - 1) <= 0.01 else 1


if __name__ == "__main__":
    sys.exit(main())
