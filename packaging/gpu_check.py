"""A check of Luthier on an NVIDIA GPU, for a machine without a network: some minutes, one table at the end.

    python packaging/gpu_check.py                    # where Luthier's packages and MLX for CUDA are installed
    python3 packaging/gpu_check.py --wheels FOLDER   # makes an environment of wheels that were brought along
    python packaging/gpu_check.py --device cpu       # the same on the CPU with tiny sizes: does the script work?

``python3 packaging/gpu_check.py --collect FOLDER --kind cuda12`` fetches the wheels on a machine with a network,
and the same system and Python. The check:

1. MLX computes on the device that was asked for.
2. The starter is trained there and on the CPU: each iteration's loss is the same within a tolerance.
3. A run that was stopped and resumed ends with the very weights of one that was not.
4. Real tokens a second of Luthier and of stock mlx-lm on a random model (0.36 billion weights, bfloat16).

What there is no time left for (``--minutes``, 8) is told as not done, and no failure. Exit code 1: a part failed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

ITERATIONS, STOP_AT = 40, 20
# A GPU multiplies in another order, and in fewer bits (TF32): far more than that is a fault.
TOLERANCE = {"gpu": 0.02, "cpu": 1e-4}
# About 0.36 billion weights with the vocabulary below.
LARGE = (("hidden_size", 1024), ("layers", 24), ("intermediate_size", 4096), ("num_attention_heads", 16),
         ("num_key_value_heads", 8))  # fmt: skip
LARGE_VOCABULARY = 32_000


@dataclass(frozen=True)
class Finding:
    """A line of the table: ``ok`` None where it was not done."""

    name: str
    ok: bool | None
    said: str

    def line(self) -> str:
        mark = {True: "ok      ", False: "FAILED  ", None: "not done"}[self.ok]
        return f"{mark}  {self.name:22}  {self.said}"


def main() -> int:
    """Runs the check, or one child of it."""
    if sys.argv[1:2] == ["--child"]:
        child(json.loads(sys.argv[2]))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--minutes", type=float, default=8.0, help="no part begins that could end later")
    parser.add_argument("--wheels", type=Path, help="a folder of wheels: an environment is made of them")
    parser.add_argument("--kind", choices=("cuda12", "cuda13"), default="cuda12", help="which wheels")
    parser.add_argument("--collect", type=Path, help="only fetch the wheels into a folder")
    options = parser.parse_args()
    if options.collect:
        return collect(options.collect, options.kind)
    if options.wheels:
        return with_wheels(options.wheels, options.kind, options.device, options.minutes)
    return check(options.device, time.monotonic() + options.minutes * 60)


# -- wheels -----------------------------------------------------------------------------------------------------


def locks(kind: str, folder: Path) -> list[str]:
    """pip's words for what Luthier takes on such a GPU."""
    from dev import GPU_LOCKS, RUNTIME_LOCK, without_package

    usual = folder / "requirements.txt"
    usual.write_text(without_package(RUNTIME_LOCK.read_text(encoding="utf-8"), "mlx-cpu"), encoding="utf-8")
    return ["-r", str(usual), "-r", str(GPU_LOCKS[kind])]


def collect(folder: Path, kind: str) -> int:
    """Fetches the wheels, hash by hash."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    with tempfile.TemporaryDirectory() as made:
        return subprocess.call([*command, "-d", str(folder), *locks(kind, Path(made))])


def with_wheels(wheels: Path, kind: str, device: str, minutes: float) -> int:
    """Runs the check in an environment of its own."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="luthier-gpu-") as made:
        folder = Path(made)
        subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
        python = str(folder / "env" / "bin" / "python")
        command = [python, "-m", "pip", "install", "-q", "--no-deps", "--require-hashes", "--no-index"]
        subprocess.run([*command, "--find-links", str(wheels), *locks(kind, folder)], check=True)
        left = minutes - (time.monotonic() - began) / 60
        return subprocess.call([python, __file__, "--device", device, "--minutes", f"{left:.2f}"])


# -- the check --------------------------------------------------------------------------------------------------


def check(device: str, until: float) -> int:
    """All parts, one after the other; returns the exit code."""
    import mlx.core as mx

    found = [on_device(device, str(mx.default_device()), dict(mx.device_info()))]
    print(found[0].line(), flush=True)
    if not found[0].ok:
        return 1
    with tempfile.TemporaryDirectory(prefix="luthier-gpu-") as made:
        folder = Path(made)
        parts: list[tuple[str, float, Callable[[], Finding]]] = [
            ("losses as on the CPU", 150.0, lambda: same_losses(folder, device)),
            ("resume is exact", 60.0, lambda: exact_resume(folder, device)),
            ("tokens a second", 150.0, lambda: speed(folder, device)),
        ]
        for name, takes_s, part in parts:
            found.append(done(name, takes_s, part, until))
            print(found[-1].line(), flush=True)
    return 1 if any(finding.ok is False for finding in found) else 0


def on_device(device: str, default: str, info: dict[str, Any]) -> Finding:
    """Whether MLX computes where it should."""
    name = str(info.get("device_name") or info.get("architecture") or "?")
    return Finding("device", f"({device}," in default.replace(" ", ""), f"{default} · {name}")


def done(name: str, takes_s: float, part: Callable[[], Finding], until: float) -> Finding:
    """A part, if there is time for it."""
    left = until - time.monotonic()
    if left < takes_s / 3:
        return Finding(name, None, f"{max(left, 0):.0f} s are left, and it takes up to {takes_s:.0f} s")
    began = time.monotonic()
    try:
        found = part()
    except (subprocess.CalledProcessError, SystemExit) as error:
        said = getattr(error, "stderr", "") or str(error)
        return Finding(name, False, " ".join(str(said).split())[-300:])
    return Finding(found.name, found.ok, f"{found.said} ({time.monotonic() - began:.0f} s)")


def same_losses(folder: Path, device: str) -> Finding:
    """The starter's losses on the device against those on the CPU."""
    there, here = (losses(trained(folder / name, name, ITERATIONS)) for name in (device, "cpu-again"))
    worst = max(abs(one - other) for one, other in zip(there, here, strict=True))
    said = f"{len(there)} iterations, {there[0]:.3f} to {there[-1]:.3f}, at most {worst:.2g} apart"
    return Finding("losses as on the CPU", worst <= TOLERANCE[device] and there[-1] < there[0], said)


def exact_resume(folder: Path, device: str) -> Finding:
    """Stopped and resumed, against what was not: the same files."""
    whole = trained(folder / "whole", device, ITERATIONS)
    cut = trained(folder / "cut", device, ITERATIONS, stop_at=STOP_AT)
    trained(cut, device, ITERATIONS, resume=True)
    same = (whole / "adapters/adapters.safetensors").read_bytes() == (
        cut / "adapters/adapters.safetensors"
    ).read_bytes()
    apart = sum(one != other for one, other in zip(losses(whole), losses(cut), strict=False))
    said = (
        f"stopped at {STOP_AT} of {ITERATIONS}: the weights are {'the same to the last bit' if same else 'others'}"
    )
    return Finding("resume is exact", same and not apart, said)


def speed(folder: Path, device: str) -> Finding:
    """Luthier against stock mlx-lm on random weights, one alternation."""
    from tests.bench.bench_train import Case, compare

    case = Case("check", "Dolly", 8, examples=16, shorter=4)
    if device == "gpu":
        case = Case("check", "Dolly", 8, LARGE_VOCABULARY, examples=64, sizes=LARGE, half=True)
    (row,) = compare(case, folder / "speed", 1, device == "cpu", 2)
    ours = row.other_tokens_per_second * row.speed_by_clock
    said = f"{ours:,.0f} of ours, {row.other_tokens_per_second:,.0f} of stock's: {row.speed_by_clock:.2f} ×"
    return Finding("tokens a second", True, f"{said}; {row.memory:.2f} × the memory ({row.other_peak_gb:.1f} GB)")


# -- one training, in a process of its own ----------------------------------------------------------------------


def trained(run: Path, device: str, iterations: int, *, stop_at: int = 0, resume: bool = False) -> Path:
    """Trains the starter in ``run``; ``device`` cpu-again is the CPU also where MLX has a GPU."""
    from app.core.protocol.program import worker_environment

    asked = {"run": str(run), "device": device, "iterations": iterations, "stop_at": stop_at, "resume": resume}
    environment = worker_environment() | {"LUTHIER_HOME": str(run.parent / "home")}
    command = [sys.executable, __file__, "--child", json.dumps(asked)]
    subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return run


def child(asked: dict[str, Any]) -> None:
    """The training itself, as the worker runs it."""
    import io
    import queue

    import mlx.core as mx

    from app.core.protocol.command import Command, Stop
    from app.core.protocol.event import Event, TrainReported
    from app.core.protocol.job import TrainJob
    from app.core.run.folder import RunDir, prepare_run
    from app.core.setup.config_file import load_config
    from app.core.system.starter import demo_config
    from app.worker.process.channel import Channel
    from app.worker.train.train import train

    if asked["device"] == "cpu-again":
        mx.set_default_device(mx.cpu)
    run = RunDir(Path(asked["run"]))
    if not asked["resume"]:
        config = load_config(demo_config()).config
        last = asked["iterations"]
        values = {
            "epochs": None, "iters": last, "steps_per_report": 1, "steps_per_eval": last, "val_batches": 1,
             "save_every": 1_000_000, "neutral_tokens": 0, "final_adapter": "last",
        }  # fmt: skip
        run = prepare_run(config.with_values(values), run.path)
    commands: queue.Queue[Command] = queue.Queue()

    class Stopping(Channel):
        def emit(self, event: Event) -> None:
            super().emit(event)
            if isinstance(event, TrainReported) and event.iteration == asked["stop_at"]:
                commands.put(Stop())

    channel = Stopping(io.StringIO(), commands)
    channel.record_to(run.events)
    train(channel, run.path, TrainJob(resume=asked["resume"]))


def losses(run: Path) -> list[float]:
    """The loss of each iteration of a run."""
    from app.core.protocol.event import TrainReported, read_events

    reports = {said.iteration: said.losses for said in read_events(run / "events.jsonl")
               if isinstance(said, TrainReported)}  # fmt: skip
    return [loss for _, each in sorted(reports.items()) for loss in each]


if __name__ == "__main__":
    sys.exit(main())
