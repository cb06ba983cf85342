"""Held-out losses of the same bundle, trained by MLX here and by torch as elsewhere: a table, and the means.

    python packaging/bundle_table.py [--seeds N] [--iterations N] [--scale S] [--own-start] [--nudge]

It needs the extra `torch`. Each seed is one run of the starter in either program, from the same first values of the
adapter; both are then measured here, by `luthier evaluate`, on rows that neither has seen. With ``--own-start``
each draws its own first values: how far apart runs of two seeds are, too. With ``--nudge`` torch trains a second
time, its first values moved by a millionth of themselves: how far apart two runs of one program are that differ in
nothing but rounding, which is what the ratio of the two programs is to be held against.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
from safetensors.numpy import load_file, save_file

from app.core.bundle.manifest import read_manifest, seal
from app.core.config.train_config import TrainConfig
from app.core.resource import resource
from app.core.setup.config_file import load_config, save_config
from app.core.target.preset import PRESETS

NUDGE = 1e-6
PROGRAM = [sys.executable, str(ROOT / "app" / "__main__.py")]


def luthier(*arguments: object) -> str:
    """What the program prints; raises where it fails."""
    done = subprocess.run([*PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"luthier {arguments[0]}: {done.stderr or done.stdout}")
    return done.stdout


def setup_of(seed: int, iterations: int, scale: float | None = None) -> TrainConfig:
    """The starter's demo with a seed of its own, and another scale if there is one."""
    config = load_config(resource("starter", "demo.yaml")).config
    values: dict[str, Any] = {
        "seed": seed, "iters": iterations, "epochs": None, "targets": next(iter(PRESETS)), "neutral_tokens": 0,
        "lora_parameters.keys": None,
    }  # fmt: skip
    if scale is not None:
        values["lora_parameters.scale"] = scale
    return config.with_values(values)


def nudged(bundle: Path, out: Path) -> None:
    """A copy of a bundle whose adapter begins a millionth away."""
    shutil.copytree(bundle, out)
    for file in out.glob("start/*.safetensors"):
        random = np.random.default_rng(0)
        moved = {
            name: (array * (1 + NUDGE * random.standard_normal(array.shape))).astype(array.dtype)
            for name, array in load_file(file).items()
        }
        save_file(moved, file, {"format": "pt"})
    seal(out, read_manifest(bundle).versions)


def train_elsewhere(bundle: Path, run: Path) -> None:
    """Trains a bundle by its own script."""
    command = [sys.executable, str(bundle / "train.py"), "--run", str(run)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"train.py: {done.stderr[-2000:]}")


def losses(folder: Path, config: TrainConfig, *, own_start: bool, nudge: bool) -> list[float]:
    """Held-out losses, nats a token, of the base and of the adapters of MLX, torch and torch once more."""
    folder.mkdir()
    file = folder / "config.yaml"
    save_config(config, file)
    luthier("train", file, "--run-dir", folder / "here", "--json")
    drawn = ["--no-same-start"] if own_start else []
    luthier("bundle", file, "--out", folder / "bundle", "--with-model", "--json", *drawn)
    names = ["here", "there"]
    train_elsewhere(folder / "bundle", folder / "there")
    if nudge:
        nudged(folder / "bundle", folder / "moved")
        train_elsewhere(folder / "moved", folder / "again")
        names.append("again")
    adapters = [part for name in names for part in ("--adapter-path", folder / name / "adapters")]
    data = resource("starter", "data") / "test.jsonl"
    told = json.loads(
        luthier("evaluate", "--model", config.model, *adapters, "--data", data, "--mask-prompt", "--json")
    )
    return [float(one["loss"]) for one in told["columns"]]


def main() -> int:
    """Prints the table; exit code 1 if the means are more than 1 % apart."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--iterations", type=int, default=480)
    asked.add_argument("--scale", type=float)
    asked.add_argument("--own-start", action="store_true")
    asked.add_argument("--nudge", action="store_true")
    options = asked.parse_args()
    if options.own_start and options.nudge:
        asked.error("--nudge moves the first values that both begin with; --own-start leaves none")
    rows = []
    print("| seed | base | MLX | torch | torch nudged | torch ÷ MLX | torch nudged ÷ torch |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="luthier-bundle-table-") as temporary:
        for seed in range(options.seeds):
            config = setup_of(seed, options.iterations, options.scale)
            found = losses(Path(temporary) / str(seed), config, own_start=options.own_start, nudge=options.nudge)
            rows.append(found[1:])
            print(line(str(seed), f"{found[0]:.4f}", found[1:]), flush=True)
    means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    print(line("mean", "", means))
    return 0 if abs(means[1] / means[0] - 1) <= 0.01 else 1


def line(name: str, base: str, found: Sequence[float]) -> str:
    """A row of the table; what was not measured is left empty."""
    here, there, *again = found
    floor = [f"{again[0]:.4f}", f"{again[0] / there:.4f}"] if again else ["", ""]
    return f"| {name} | {base} | {here:.4f} | {there:.4f} | {floor[0]} | {there / here:.4f} | {floor[1]} |"


if __name__ == "__main__":
    sys.exit(main())
