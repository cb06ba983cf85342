"""Bundling in a test's own process, and the bundle's own script run by another."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.protocol.event import Event, read_events
from app.core.protocol.job import BundleJob
from app.worker.bundle.task import bundle
from tests.worker.training import Answer, Collector


def run_bundle(
    folder: Path, config: TrainConfig, answer: Answer = lambda _: None, **job: Any
) -> tuple[Path, list[Event]]:
    """Bundles into ``folder/bundle``: that place, and everything that was said."""
    folder.mkdir(parents=True, exist_ok=True)
    out = job.pop("out", folder / "bundle")
    collector = Collector(folder / "bundle_events.jsonl", answer)
    values = {"with_model": True} | job
    bundle(collector, folder, BundleJob(config=config.model_dump(mode="json"), out=out, **values))
    return out, collector.events


def bundled(folder: Path, config: TrainConfig, **job: Any) -> Path:
    """The bundle of a config, which is complete."""
    out, events = run_bundle(folder, config, **job)
    assert isinstance(events[-1], event.Finished)
    assert events[-1].reason == "completed"
    return out


def recipe_in(out: Path) -> dict[str, Any]:
    """What the script is told."""
    found: dict[str, Any] = json.loads((out / "recipe.json").read_text(encoding="utf-8"))
    return found


def lines_in(path: Path) -> list[Any]:
    """The values of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def train_there(out: Path, run: Path, processes: int = 1) -> list[Event]:
    """Runs the bundle's script as another machine would, in so many processes: without Luthier on its path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    if processes > 1:
        environment["ACCELERATE_USE_CPU"] = "1"
    several = ["-m", "torch.distributed.run", "--nproc_per_node", str(processes), "--"] if processes > 1 else []
    command = [sys.executable, *several, str(out / "train.py"), "--run", str(run)]
    done = subprocess.run(command, cwd=out, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-1000:]
    return read_events(run / "events.jsonl")


def script_of(out: Path) -> Any:
    """The bundle's script as a module, for runs in this process."""
    name = f"bundle_script_{abs(hash(str(out)))}"
    spec = importlib.util.spec_from_file_location(name, out / "train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def train_here(out: Path, run: Path, stop_at: int = 0) -> list[Event]:
    """Runs the bundle's script in this process, which has torch already; a signal stops it at an iteration."""
    script = script_of(out)
    say = script.Events.say

    def heard(events: Any, kind: str, /, **values: Any) -> None:
        say(events, kind, **values)
        if stop_at and kind == "validated" and values["iteration"] == stop_at:
            signal.raise_signal(signal.SIGTERM)

    script.Events.say = heard
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert script.main(["--run", str(run)]) == 0, (run / "events.jsonl").read_text()[-2000:]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return read_events(run / "events.jsonl")
