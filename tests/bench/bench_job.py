"""What a short job costs before and after its work: a worker's whole process against one that only loads the model.

    python tests/bench/bench_job.py [--repeats 5] [--against TREE]

Jobs of the starter: a question of one token, held-out losses, an inspection that is kept, a run of one iteration
with all before and after it (MLX compiles nothing, which is not what is measured here). The baseline is a process
that imports mlx-lm and loads the same model. All take turns; figures are medians of processor time,
with one BLAS thread. With ``--against`` another checkout does the same jobs.
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
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from app.core.config.train_config import TrainConfig
from app.core.protocol.job import JOB_FILE, RUN_CONFIG, EvaluateJob, GenerateJob, InspectJob, Job, TrainJob
from app.core.protocol.program import worker_environment
from app.core.setup.config_file import save_config
from app.core.system import starter

LOADED = "import sys, mlx_lm; mlx_lm.load(sys.argv[1])"
ASKED = {"command": "ask", "request": 1, "question": {"prompt": "Who built it?", "max_tokens": 1}}


def jobs() -> dict[str, tuple[Job, str]]:
    """Each job, and what it is told."""
    model = str(starter.model_dir())
    data = starter.examples_dir() / "test.jsonl"
    return {
        "generate": (GenerateJob(model=model), json.dumps(ASKED) + "\n"),
        "evaluate": (EvaluateJob(model=model, data=data, config={"mask_prompt": True}), ""),
        "inspect": (InspectJob(model=model), ""),
        "train": (TrainJob(), ""),
    }


def write(folder: Path, job: Job) -> None:
    """A job's folder, with the setup of a run; without the protocol's version, so that older checkouts read it."""
    folder.mkdir()
    (folder / JOB_FILE).write_text(json.dumps(job.model_dump(mode="json", exclude={"protocol"})))
    values: dict[str, Any] = {"model": str(starter.model_dir()), "data": str(starter.examples_dir())}
    if job.task == "train":
        save_config(TrainConfig().with_values(values | {"iters": 1, "epochs": None}), folder / RUN_CONFIG)


def seconds(command: list[str], environment: dict[str, str], said: str) -> float:
    """Processor seconds of a command that hears ``said``; the end of its input comes with its own end."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(said.encode())
    process.stdin.flush()
    for line in process.stdout:
        if b'"done": true' in line or b'"finished"' in line:
            break
    process.stdin.close()
    process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measures, prints a line a job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--against", type=Path, help="another checkout")
    arguments = parser.parse_args()
    trees = {"luthier": ROOT} | ({"against": arguments.against.resolve()} if arguments.against else {})
    found: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        environment = worker_environment() | {"OPENBLAS_NUM_THREADS": "1", "MLX_DISABLE_COMPILE": "1"}
        environment["LUTHIER_HOME"] = str(Path(folder) / "home")
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as installed: nothing is compiled at each start
        for turn in range(arguments.repeats + 1):
            spent = seconds([sys.executable, "-c", LOADED, str(starter.model_dir())], environment, "")
            found.setdefault(("stock", "load"), []).append(spent)
            for side, tree in trees.items():
                for name, (job, said) in jobs().items():
                    place = Path(folder) / f"{side}-{name}-{turn}-{time.time_ns()}"
                    write(place, job)
                    command = [sys.executable, str(tree / "app" / "__main__.py"), "--worker", str(place)]
                    spent = seconds(command, environment | {"PYTHONPATH": str(tree)}, said)
                    found.setdefault((side, name), []).append(spent)
    stock = found["stock", "load"][1:]  # the first of each reads what lies on the disk
    print(f"mlx-lm imported, the model loaded: {statistics.median(stock):.2f} s")
    for (side, name), times in found.items():
        if side != "stock":
            ratio = statistics.median(a / b for a, b in zip(times[1:], stock, strict=True))
            print(f"{side:8} {name:9} {statistics.median(times[1:]):.2f} s, {ratio:.2f} ×")


if __name__ == "__main__":
    main()
