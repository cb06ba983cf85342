"""The estimate against real steps, and the probe that calibrates it (long form: `tests/bench/bench_memory.py`)."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from app.core.config.train_config import TrainConfig
from app.core.protocol.event import Finished, Result
from app.core.protocol.job import ProbeJob
from app.core.run.folder import prepare_run
from app.core.setup.config_file import save_config
from app.core.setup.memory import calibrate, estimate
from app.core.setup.memory_term import StepSize as StepSize
from app.core.setup.step_plan import StepPlan
from app.core.target.selection import resolve
from app.worker.model.head import find_head
from app.worker.model.inspect import inspect_model
from app.worker.model.loading import load_model, make_trainable, trainable
from app.worker.objective.supervised import supervised
from app.worker.train.optimizer import build_optimizer
from app.worker.train.probe import probe
from app.worker.train.step import Step
from tests import ROOT
from tests.worker.tiny_model import write_model
from tests.worker.training import Collector, config_for

SIZES: dict[str, Any] = {"layers": 6, "hidden_size": 64, "intermediate_size": 192, "vocabulary": 1024}


ALONE = """
import sys
from pathlib import Path
from app.core.setup.config_file import load_config
from tests.worker.train.test_memory_estimate import StepSize, measured
model, config, *size = sys.argv[1:]
print(measured(Path(model), load_config(Path(config)).config, StepSize(*map(int, size))))
"""


def measured_alone(model: Path, config: TrainConfig, size: StepSize, folder: Path) -> int:
    """`measured` in a process of its own: what earlier tests left behind would count, or be freed meanwhile."""
    file = folder / "config.yaml"
    save_config(config, file)
    numbers = (str(size.rows), str(size.width), str(size.targets), str(size.shared))
    command = [sys.executable, "-c", ALONE, str(model), str(file), *numbers]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


def measured(model_path: Path, config: TrainConfig, size: StepSize) -> int:
    """MLX's peak over three real steps, the model's weights included."""
    model, _ = load_model(model_path)
    make_trainable(model, config)
    optimizer = build_optimizer(config)
    model.train()
    step = Step(model, optimizer, supervised(find_head(model)))
    fallback = trainable(model) if config.fine_tune_type != "full" else None  # as training holds on to them
    tokens = mx.random.randint(0, 256, (size.rows, size.width))
    targets = mx.random.randint(0, 256, (size.positions,))
    arrays = {"inputs": tokens, "targets": targets, "weights": mx.ones((size.positions,))}
    if size.shared:
        arrays["prefix"] = mx.random.randint(0, 256, (1, size.shared))
    mx.eval(arrays, model.parameters())
    mx.clear_cache()
    mx.reset_peak_memory()
    for _ in range(3):
        mx.eval(step([arrays], update=True).loss)
    mx.synchronize()
    del fallback
    return mx.get_peak_memory()


@pytest.mark.parametrize(
    ("model_type", "kind", "batch", "width"),
    [("qwen2", "lora", 2, 64), ("qwen2", "lora", 1, 160), ("llama", "full", 2, 64), ("llama", "lora", 4, 96)],
)
def test_unprobed_estimate_is_within_20_percent(
    tmp_path: Path, model_type: str, kind: str, batch: int, width: int
) -> None:
    model = write_model(tmp_path / "model", model_type, **SIZES)
    values = {"batch_size": batch, "max_seq_length": width + 1, "fine_tune_type": kind}
    config = config_for(model, tmp_path, **values)
    inspection = inspect_model(model)
    selection = resolve(inspection, config)
    exact = config.with_values({"num_layers": selection.num_layers, "lora_parameters.keys": selection.keys})
    peak = measured_alone(model, exact, StepSize(batch, width, batch * width), tmp_path)
    assert estimate(inspection, config, selection, compiled=False).total == pytest.approx(peak, rel=0.2)


def test_rows_behind_a_prefix_are_estimated_within_20_percent(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", **SIZES)
    size = StepSize(6, 32, 352, 160)
    config = config_for(model, tmp_path, batch_size=1, max_seq_length=1024)
    inspection = inspect_model(model)
    selection = resolve(inspection, config)
    exact = config.with_values({"num_layers": selection.num_layers, "lora_parameters.keys": selection.keys})
    peak = measured_alone(model, exact, size, tmp_path)
    steps = StepPlan(config, ((size, 1),), 1)
    assert estimate(inspection, config, selection, steps=steps, compiled=False).total == pytest.approx(
        peak, rel=0.2
    )


def test_probe_runs_the_longest_batch_and_calibrates(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", **SIZES)
    lines = [json.dumps({"text": "a" * length}) for length in (20, 40, 150, 30, 60, 25)]
    (tmp_path / "data.jsonl").write_text("\n".join(lines), encoding="utf-8")
    config = config_for(model, tmp_path / "data.jsonl", batch_size=1, valid_fraction=0.0, test_fraction=0.0)
    job = prepare_run(config, tmp_path / "probe")
    gc.collect()
    mx.clear_cache()
    mx.reset_peak_memory()
    channel = Collector(tmp_path / "events.jsonl")
    probe(channel, job.path, ProbeJob())
    (result,) = channel.of(Result)
    assert channel.of(Finished)
    data = result.data
    assert (data["rows"], data["width"] >= 149, data["step_s"] > 0) == (1, True, True)
    assert list(job.adapters.glob("*")) == []

    inspection = inspect_model(model)
    selection = resolve(inspection, config)
    steps = StepPlan.counted(config, data["steps"], data["step_batches"])
    calibration = calibrate(inspection, config, selection, data["peak_bytes"], steps)
    total = estimate(inspection, config, selection, calibration=calibration).total
    assert total == pytest.approx(data["peak_bytes"], rel=0.01)
