"""The frozen app against the same from source: size, start, and how fast its worker trains.

    python tests/bench/bench_frozen.py dist/luthier/luthier [--repeats 5] [--iterations 300]

Source and frozen take turns. A start is from the call to the painted window of a first start, by the clock, and
what it cost of the processor. The training is the starter's, in a worker of each: tokens a second are the median of
its reports, and the ratio is that of the processor's time for the whole run, which other work on the machine hardly
changes. The first start of each, which fills the system's caches, does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from app.core.setup.config_file import load_config, save_config
from app.core.system.starter import demo_config

LIMIT = 0.95
SOURCE = [sys.executable, str(ROOT / "app" / "__main__.py")]


def start(command: list[str], home: Path) -> tuple[float, float]:
    """Seconds until the window is painted, by the clock and of the processor; raises if the selftest fails."""
    report = home / "report.json"
    environment = os.environ | {"PYTHONPYCACHEPREFIX": str(home / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.time()
    subprocess.run([*command, "--selftest", str(report)], check=True, env=environment)
    window = json.loads(report.read_text(encoding="utf-8"))["window"]
    return window["shown_at"] - began, window["cpu_s"]


def speed(command: list[str], config: Path, run: Path) -> tuple[float, float]:
    """Tokens a second of a run by the clock, and the seconds of the processor that all of it took."""
    words = [*command, "train", str(config), "--run-dir", str(run), "--json"]
    before = os.times()
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    after = os.times()
    took = after.children_user - before.children_user + after.children_system - before.children_system
    events = [json.loads(line) for line in done.stdout.splitlines()]
    reports = [event["tokens_per_second"] for event in events if event["type"] == "train_reported"]
    return statistics.median(reports[1:]), took


def megabytes(folder: Path) -> float:
    """Of all files, links not followed."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_symlink() or path.is_file()) / 1e6


def main() -> int:
    """Takes turns, prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path, help="the frozen app's executable")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=300)
    asked = parser.parse_args()
    both = {"source": SOURCE, "frozen": [str(asked.program.resolve())]}
    bundle = next((one for one in asked.program.resolve().parents if one.suffix == ".app"), None)
    print(f"size      {megabytes(bundle or asked.program.resolve().parent):.0f} MB")
    with tempfile.TemporaryDirectory() as place:
        os.environ["LUTHIER_HOME"] = place
        config = Path(place) / "config.yaml"
        changes = {"iters": asked.iterations, "epochs": None, "steps_per_report": 20, "neutral_tokens": 0}
        changes |= {"steps_per_eval": asked.iterations, "save_every": asked.iterations, "val_batches": 1}
        save_config(load_config(demo_config()).config.with_values(changes), config)
        starts: dict[str, list[tuple[float, float]]] = {name: [] for name in both}
        speeds: dict[str, list[tuple[float, float]]] = {name: [] for name in both}
        for turn in range(asked.repeats + 1):
            for name, command in both.items():
                starts[name].append(start(command, Path(place)))
                if turn:
                    speeds[name].append(speed(command, config, Path(place) / f"{name}-{turn}"))
    for name in both:
        clock, cpu = zip(*starts[name][1:], strict=True)
        took = f"{statistics.median(clock):.2f} s ({statistics.median(cpu):.2f} s of the processor)"
        tokens, spent = (statistics.median(column) for column in zip(*speeds[name], strict=True))
        print(f"{name:9} window after {took}, {tokens:.0f} tokens/s, {spent:.1f} s of the processor")
    turns = list(zip(speeds["source"], speeds["frozen"], strict=True))
    ratio = statistics.median(a[1] / b[1] for a, b in turns)
    print(f"frozen {ratio:.2f} × source, of the processor (at least {LIMIT})")
    print(f"by the clock {statistics.median(b[0] / a[0] for a, b in turns):.2f} ×")
    return 0 if ratio >= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
