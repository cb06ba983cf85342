"""The memory estimate of the methods against MLX's peak in real runs: pairs, sampled answers, a judge."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.method.table import METHODS
from app.core.setup import memory_method
from app.core.setup.config_file import save_config
from app.core.setup.memory import MemoryEstimate, estimate
from app.core.setup.memory_method import sampling
from app.core.setup.memory_term import step_of
from app.core.setup.step_plan import StepPlan
from app.core.system.reward_trust import content_hash
from app.core.target.selection import resolve
from app.worker.model.inspect import inspect_model
from app.worker.rollout.judge import QUESTION, SYSTEM_PROMPT
from tests import ROOT
from tests.worker.tiny_model import write_model
from tests.worker.training import config_for

SIZES: dict[str, Any] = {"layers": 6, "hidden_size": 64, "intermediate_size": 192, "vocabulary": 1024}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a larger judge, and rows that are all as long as they may be (tokens are bytes)."""
    folder = tmp_path_factory.mktemp("inputs")
    write_model(folder / "model", **SIZES)
    write_model(folder / "judge", "llama", layers=2, hidden_size=256, intermediate_size=512)
    for name, row in (
        ("labelled", {"prompt": "p" * 20, "completion": "a" * 70}),
        ("pairs", {"prompt": "p" * 20, "chosen": "a" * 70, "rejected": "b" * 70}),
        ("prompts", {"prompt": "p" * 55, "answer": "a"}),
    ):
        (folder / name).mkdir()
        rows: list[dict[str, str | bool]] = [
            {**row, "prompt": f"{number:02d}{row['prompt']}"} for number in range(8)
        ]
        if name == "labelled":
            rows = [row | {"label": number % 2 == 0} for number, row in enumerate(rows)]
        (folder / name / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "rewards.py").write_text(
        "def letters(prompts, completions, answer, types=None):\n"
        "    return [sum(c.isalpha() for c in text) / max(len(text), 1) for text in completions]\n"
    )
    return folder


def method_config(inputs: Path, name: str, **values: Any) -> TrainConfig:
    method = METHODS[name]
    defaults = dict(method.settings) | {
        "batch_size": 2, "iters": 2, "max_seq_length": 97, "max_completion_length": 36, "val_batches": 0,
        "valid_fraction": 0.0, "test_fraction": 0.0, "steps_per_report": 1, "lora_parameters": {"rank": 8},
        "reward_functions": ["letters"], "reward_functions_file": str(inputs / "rewards.py"),
        "group_size": 4, "final_adapter": "last", "temperature": 1.5,
    }  # fmt: skip
    values = {"data": str(inputs / method.data)} | values
    return config_for(inputs / "model", Path(values.pop("data")), **(defaults | values))


def estimated(inputs: Path, config: TrainConfig, *, labelled: bool = False) -> MemoryEstimate:
    inspection = inspect_model(inputs / "model")
    steps = StepPlan(config, labelled=labelled)
    return estimate(inspection, config, resolve(inspection, config), steps=steps, compiled=False)


PEAK = """
import sys
from pathlib import Path
import mlx.core as mx
from app.core.protocol.event import TrainReported
from app.core.setup.config_file import load_config
from tests.worker.training import start
config = load_config(Path(sys.argv[1])).config
mx.reset_peak_memory()
_, events = start(config, Path(sys.argv[2]), reward_file_sha256=sys.argv[3])
assert events.of(TrainReported)
Path(sys.argv[4]).write_text(str(mx.get_peak_memory()))
"""


def measured(config: TrainConfig, folder: Path) -> int:
    """MLX's peak over a run, in a process of its own: what earlier tests left behind would count, or be freed."""
    file = folder.with_suffix(".yaml")
    save_config(config, file)
    digest = content_hash(Path(config.reward_functions_file))
    peak = folder.with_suffix(".peak")
    command = [sys.executable, "-c", PEAK, str(file), str(folder), digest, str(peak)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(peak.read_text())


@pytest.mark.parametrize(
    "name, values",
    [
        ("dpo", {}),
        ("kto", {}),
        ("kto", {"data": "labelled", "batch_size": 4}),
        ("orpo", {"batch_size": 4}),
        ("grpo", {"beta": 0.04}),
        ("grpo", {"max_completion_length": 16, "max_seq_length": 80, "updates_per_generation": 2}),
        ("online_dpo", {"judge": "judge"}),
    ],
)
def test_estimate_is_within_20_percent(
    name: str, values: dict[str, Any], inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tokens are bytes here: what a judge is asked is longer than with any other tokenizer.
    monkeypatch.setattr(memory_method, "QUESTION_TOKENS", len(SYSTEM_PROMPT) + len(QUESTION))
    values = values | {path: str(inputs / values[path]) for path in ("judge", "data") if path in values}
    config = method_config(inputs, name, **values)
    found = estimated(inputs, config, labelled=config.data == str(inputs / "labelled"))
    peak = measured(config, tmp_path / "run")
    assert found.total == pytest.approx(peak, rel=0.2)


def test_sampling_is_named_where_it_is_the_peak(inputs: Path, tmp_path: Path) -> None:
    """Few answers are trained at a time, but a validation samples 32 together: their cache is the peak."""
    model = write_model(tmp_path / "model", **(SIZES | {"num_key_value_heads": 4, "layers": 8}))
    folder = tmp_path / "prompts"
    folder.mkdir()
    rows = [{"prompt": f"{number:02d} letters", "answer": ""} for number in range(16)]
    for split in ("train", "valid"):
        (folder / f"{split}.jsonl").write_text(
            "".join(json.dumps({"prompt": row["prompt"]}) + "\n" for row in rows)
        )
    config = method_config(inputs, "online_dpo", group_size=2, batch_size=1, val_batches=-1, iters=6).with_values(
        {"model": str(model), "data": str(folder), "valid_fraction": 0.0}
    )
    inspection = inspect_model(model)
    steps = StepPlan(config, longest=12)
    found = estimate(inspection, config, resolve(inspection, config), steps=steps, compiled=False)
    assert (found.activations, found.logits, found.apart) == (0, 0, 0)
    assert found.cache > found.sampling > 0
    assert found.total == pytest.approx(measured(config, tmp_path / "run"), rel=0.2)


def test_other_models_count(inputs: Path) -> None:
    plain = estimated(inputs, method_config(inputs, "online_dpo"))
    judged = estimated(inputs, method_config(inputs, "online_dpo", judge=str(inputs / "judge")))
    by_base = estimated(inputs, method_config(inputs, "online_dpo", judge=str(inputs / "model")))
    compared = estimated(inputs, method_config(inputs, "dpo", reference_model_path=str(inputs / "judge")))
    size = sum(file.stat().st_size for file in (inputs / "judge").glob("*.safetensors"))
    assert (plain.judge, judged.judge, by_base.judge, compared.reference) == (0, size, 0, size)
    assert judged.fixed == plain.fixed + size
    gone = estimated(inputs, method_config(inputs, "online_dpo", judge="/nowhere"))
    assert gone.judge == 0


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({"group_size": 2}, {"group_size": 8}),
        ({"max_completion_length": 16}, {"max_completion_length": 90}),
        ({"val_batches": 0}, {"val_batches": -1}),
    ],
)
def test_more_answers_take_more_when_they_are_sampled(
    less: dict[str, Any], more: dict[str, Any], inputs: Path
) -> None:
    inspection = inspect_model(inputs / "model")
    found = [
        sampling(inspection, chosen, step_of(chosen, longest=40))
        for chosen in (method_config(inputs, "grpo", max_seq_length=2000, **values) for values in (less, more))
    ]
    assert found[0].total <= found[1].total
    assert found[0].total > 0


def test_supervised_runs_sample_nothing(inputs: Path) -> None:
    config = method_config(inputs, "dpo").with_value("train_mode", "sft")
    found = estimated(inputs, config)
    assert (found.cache, found.sampling, found.apart, found.log_probabilities) == (0, 0, 0, 0)
