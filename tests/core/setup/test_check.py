"""Every problem of a config is found at once, at its field, with the right severity."""

from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.data.report import DataReport, SplitReport
from app.core.model.inspection import AdapterCost, AdapterSize, Inspection, Layer, Module
from app.core.model.module_group import Group
from app.core.problem import Severity
from app.core.setup.check import check_config
from app.core.source.finding import Finding


def inspection(layers: int = 4, **changes: Any) -> Inspection:
    """A tiny model of two matrices a layer."""
    size = AdapterSize(slope=128)
    modules = tuple(
        Module(
            path=f"model.layers.{index}.{key}",
            key=key,
            layer=index,
            group=group,
            type="Linear",
            shape=(64, 64),
            parameters=4096,
            bytes=8192,
            cost=0,
        )
        for index in range(layers)
        for key, group in (("self_attn.q_proj", Group.ATTENTION), ("mlp.up_proj", Group.MLP))
    )
    layer = {"parameters": 8192, "bytes": 16384, "unfrozen_parameters": 8192, "unfrozen_bytes": 16384}
    values: dict[str, Any] = {
        "model_type": "llama",
        "hidden_size": 1024,
        "vocab_size": 256,
        "max_length": 2048,
        "total_parameters": 50_000,
        "weight_bytes": 100_000,
        "layers": tuple(Layer(path=f"model.layers.{index}", **layer) for index in range(layers)),
        "modules": modules,
        "costs": (AdapterCost(lora=size, dora=size),),
        "has_weights": True,
        "has_tokenizer": True,
        "has_chat_template": True,
    }
    return Inspection(**values | changes)


def report(train: int = 200, *, target: str = "chat", usable: bool = True, **changes: Any) -> DataReport:
    values: dict[str, Any] = {
        "usable": usable,
        "format": target,
        "target": target,
        "examples": train,
        "rows": train,
        "splits": {"train": SplitReport(train, ("train.jsonl",))},
        "errors": [],
        "warnings": [],
        "notes": [],
        "counts": {},
    }
    return DataReport(**values | changes)


GOOD: dict[str, Any] = {"model": "/m", "data": "/d", "mask_prompt": True, "iters": 1000}


def severity(config: TrainConfig, path: str, *known: Any) -> Severity | None:
    """The gravest severity at a path, None if nothing was found there."""
    found = [problem.severity for problem in check_config(config, *known) if problem.path == path]
    return min(found, key=list(Severity).index, default=None)


def test_a_good_config_has_no_errors() -> None:
    found = check_config(TrainConfig(**GOOD), inspection(), report(2000))
    assert [problem for problem in found if problem.severity is Severity.ERROR] == []


def test_missing_model_and_data_are_told_together() -> None:
    found = check_config(TrainConfig())
    assert [p.path for p in found if p.severity is Severity.ERROR] == ["model", "data"]


CASES = [
    ("num_layers", {"num_layers": 5}, {}, {}, Severity.ERROR),
    ("max_seq_length", {"max_seq_length": 4096}, {}, {}, Severity.WARNING),
    ("fine_tune_type", {"fine_tune_type": "full"}, {"quantization": "4 bit"}, {}, Severity.ERROR),
    ("targets", {"targets": "xyz"}, {}, {}, Severity.ERROR),
    ("model", {}, {"has_weights": False}, {}, Severity.ERROR),
    ("model", {}, {"has_tokenizer": False}, {}, Severity.ERROR),
    ("data", {}, {"has_chat_template": False}, {}, Severity.ERROR),
    ("mask_prompt", {}, {}, {"target": "text"}, Severity.WARNING),
    ("mask_prompt", {"mask_prompt": False}, {}, {}, Severity.NOTE),
    ("batch_size", {"batch_size": 8, "valid_fraction": 0, "test_fraction": 0}, {}, {"train": 5}, Severity.WARNING),
    ("save_every", {"save_every": 5000}, {}, {}, Severity.NOTE),
    ("steps_per_eval", {"steps_per_eval": 5000}, {}, {}, Severity.NOTE),
    ("early_stopping.enabled", {"valid_fraction": 0.0}, {}, {}, Severity.WARNING),
    ("lora_parameters.scale", {"learning_rate": 0.1}, {}, {}, Severity.WARNING),
    ("schedule", {"schedule": "custom"}, {}, {}, Severity.ERROR),
    ("weight_decay", {"weight_decay": 0.1}, {}, {}, Severity.WARNING),
    ("warmup", {"warmup": 10_000}, {}, {}, Severity.WARNING),
    ("final_adapter", {"final_adapter": "balanced", "neutral_tokens": 0}, {}, {}, Severity.ERROR),
    ("final_adapter", {"final_adapter": "balanced", "val_batches": 0}, {}, {}, Severity.ERROR),
    ("final_adapter", {"final_adapter": "balanced", "train_mode": "dpo"}, {}, {}, Severity.ERROR),
    ("sampled_prompts", {"sampled_prompts": 2, "train_mode": "grpo"}, {}, {}, Severity.NOTE),
    ("batching", {"batching": "pack", "train_mode": "dpo"}, {}, {}, Severity.ERROR),
    ("beta", {"train_mode": "dpo", "beta": 0.0}, {}, {}, Severity.ERROR),
    ("group_size", {"train_mode": "online_dpo", "group_size": 3}, {}, {}, Severity.ERROR),
    ("report_to", {"report_to": "nobody"}, {}, {}, Severity.ERROR),
    ("bias_correction", {"bias_correction": False, "warmup": 0}, {}, {}, Severity.NOTE),
    ("checkpoint_layers", {"checkpoint_layers": 1}, {}, {}, Severity.WARNING),
    ("checkpoint_layers", {"checkpoint_layers": 99, "grad_checkpoint": True}, {}, {}, Severity.WARNING),
    ("checkpoint_layers", {"checkpoint_layers": 1, "grad_checkpoint": True}, {}, {}, None),
    ("resume_adapter_file", {"resume_adapter_file": "/nowhere/a.safetensors"}, {}, {}, Severity.ERROR),
]


@pytest.mark.parametrize("path, config, model, data, expected", CASES, ids=[f"{c[0]}-{c[4]}" for c in CASES])
def test_each_fault_is_found_at_its_field(
    path: str, config: dict[str, Any], model: dict[str, Any], data: dict[str, Any], expected: Severity
) -> None:
    good = TrainConfig(**GOOD), inspection(), report(2000)
    bad = TrainConfig(**GOOD | config), inspection(**model), report(**{"train": 2000} | data)
    assert severity(bad[0], path, *bad[1:]) is expected
    if expected is not Severity.NOTE:
        assert severity(good[0], path, *good[1:]) is None


def test_an_adapter_that_hardly_counts_is_told_before_the_model_is_known() -> None:
    config = TrainConfig.model_validate(GOOD | {"lora_parameters": {"rank": 8, "scale": 0.1}})
    assert severity(config, "lora_parameters.scale") is Severity.WARNING
    assert severity(TrainConfig(**GOOD), "lora_parameters.scale") is None


def test_unusable_data_name_the_first_fault_and_its_line() -> None:
    fault = Finding("a.jsonl", 7, "The answer is empty.", "empty_field", Severity.ERROR)
    found = check_config(TrainConfig(**GOOD), None, report(usable=False, errors=[fault], counts={"empty_field": 3}))
    problem = next(p for p in found if p.path == "data")
    assert "3 errors" in problem.message
    assert problem.hint.startswith("The first: The answer is empty. ")
    assert (problem.file, problem.line) == ("a.jsonl", 7)


def test_a_reward_that_right_answers_hardly_get_is_told_before_the_start() -> None:
    worked = report(target="prompt", references=("So many ships, " * 20 + "that is 12.",) * 3)
    plain = report(target="prompt", references=("12", "13"))
    config = TrainConfig.model_validate(GOOD | {"train_mode": "grpo"})
    path = "reward_functions"
    assert severity(config, path, None, worked) is Severity.WARNING
    assert severity(config, path, None, plain) is None
    assert severity(config.with_value(path, ("last_number",)), path, None, worked) is None


def test_errors_come_first() -> None:
    config = TrainConfig(learning_rate=0.1, num_layers=99, **{k: v for k, v in GOOD.items() if k != "iters"})
    severities = [p.severity for p in check_config(config, inspection(), report())]
    assert severities == sorted(severities, key=list(Severity).index)
    assert {Severity.ERROR, Severity.WARNING} <= set(severities)
