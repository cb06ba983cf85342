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
    ("val_batches", {"val_batches": 0}, {}, {}, Severity.WARNING),
    ("lora_parameters.scale", {"learning_rate": 0.1}, {}, {}, Severity.WARNING),
    ("schedule", {"schedule": "custom"}, {}, {}, Severity.ERROR),
    ("weight_decay", {"weight_decay": 0.1}, {}, {}, Severity.WARNING),
    ("learning_rate", {"optimizer": "adafactor"}, {}, {}, Severity.WARNING),
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


# What each of them says, and what to do.
SAID = [
    "The model has 4 layers, but 5 are asked for. Choose all layers (−1), or at most 4.",
    "The model was made for texts of at most 2,048 tokens; longer examples will not be learned well. "
    "Set at most 2,048.",
    "The model's weights are packed (4 bit) and cannot be changed themselves. "
    "Use LoRA, or the model before it was quantized.",
    "Targets 'xyz' match nothing that could be trained in this model. There is: self_attn.q_proj, mlp.up_proj.",
    "There are no weight files beside config.json: the model can be looked at, but not trained. "
    "Download or copy the whole model.",
    "The folder holds no tokenizer. Copy the model's tokenizer files into it.",
    "The data need a chat template, and the model has none. Give it one in the card Model, or choose an instruct "
    "model, or data in the text format.",
    "The data are plain text, without prompts to leave out: all of it is trained. "
    "Turn it off, or choose data with prompts and answers.",
    "Prompts are learned too. Usually only the answers should be.",
    "There are only 5 examples to train on: the batches will hold 5. Use a batch size of at most 5.",
    "The run has 4,800 iterations: the only checkpoint comes at its end.",
    "The run has 4,800 iterations: the only validation comes at its end.",
    "Without validation data it cannot act. Give validation data or a validation share.",
    "Nothing is measured: no weights are known to be the best, and no run is stopped early. Set −1 for all "
    "batches, or 25.",
    "Alpha 32 (scale 1) with a learning rate of 0.1 is 119 × what suits this model; the loss may jump, and it may "
    "forget what it knew. Lower the learning rate, to 0.00084 for example.",
    "The config has no lr_schedule of its own. Choose another schedule.",
    "Adam does not use it. Choose AdamW, or set it to 0.",
    "mlx's Adafactor works out by itself how far it goes: the learning rate and its schedule do not count. "
    "Write `optimizer_config: {adafactor: {relative_step: false, scale_parameter: false}}` into the file; in the "
    "window, choose another optimizer and then Adafactor again.",
    "The run has only 4,800 iterations. Use a share: 0.05.",
    "Without neutral tokens nobody knows what is forgotten. Give some neutral tokens, 512 for instance. Keep the "
    "best or the last weights.",
    "Without validation batches nobody knows what is learned. Give some validation batches. Keep the best or the "
    "last weights.",
    "The loss of DPO is not in nats a token: it cannot be weighed against what is forgotten. "
    "Keep the best or the last weights.",
    "GRPO samples answers all the time: those are shown.",
    "Only supervised examples can be packed. Choose batches by length.",
    "At 0 there is no preference to learn. 0.1 is usual.",
    "Answers are compared two by two: of 3 one would be left over. Sample 2 or 4.",
    "There is no tracker “nobody” here. There are tensorboard, wandb, trackio.",
    "Without it some hundred steps of Adam are 3 to 6 times as large as the learning rate says. "
    "Turn it on, or let the rate warm up.",
    "`checkpoint_layers` counts for nothing: gradient checkpointing is off. "
    "Turn gradient checkpointing on, or set 0.",
    "The model has 4 layers: all of them are recomputed. Set 0 for all, or fewer.",
    None,
    "There is no file /nowhere/a.safetensors. Choose an adapters.safetensors.",
]


@pytest.mark.parametrize(
    "path, config, model, data, expected, said",
    [(*case, said) for case, said in zip(CASES, SAID, strict=True)],
    ids=[f"{c[0]}-{c[4]}" for c in CASES],
)
def test_each_fault_is_found_at_its_field(
    path: str, config: dict[str, Any], model: dict[str, Any], data: dict[str, Any], expected: Severity, said: str
) -> None:
    good = TrainConfig(**GOOD), inspection(), report(2000)
    bad = TrainConfig(**GOOD | config), inspection(**model), report(**{"train": 2000} | data)
    assert severity(bad[0], path, *bad[1:]) is expected
    assert next((one.text for one in check_config(*bad) if one.path == path), None) == said
    assert severity(good[0], path, *good[1:]) is None


# Of 1,000 iterations, and batches of 4.
EDGES = [
    ("batch_size", {"valid_fraction": 0, "test_fraction": 0}, {"train": 4}, None),
    ("batch_size", {"valid_fraction": 0, "test_fraction": 0}, {"train": 3}, Severity.WARNING),
    ("batch_size", {}, {"train": 40, "splits": {"valid": 3}}, Severity.NOTE),
    ("batch_size", {}, {"train": 40, "splits": {"valid": 4}}, None),
    ("batch_size", {"valid_fraction": 0}, {"train": 40}, None),  # none at all is told at what needs some
    ("early_stopping.enabled", {"valid_fraction": 0, "early_stopping": {"enabled": False}}, {}, None),
    ("val_batches", {"val_batches": 0, "final_adapter": "last"}, {}, Severity.WARNING),
    ("val_batches", {"val_batches": 0, "early_stopping": {"enabled": False}}, {}, Severity.WARNING),
    ("val_batches", {"val_batches": 0, "early_stopping": {"enabled": False}, "final_adapter": "last"}, {}, None),
    ("steps_per_report", {"steps_per_report": 1000}, {}, None),
    ("steps_per_report", {"steps_per_report": 1001}, {}, Severity.NOTE),
    ("save_every", {"save_every": 1000}, {}, None),
    ("steps_per_eval", {"steps_per_eval": 1000}, {}, None),
    ("warmup", {"warmup": 999}, {}, None),
    ("warmup", {"warmup": 1000}, {}, Severity.WARNING),
    ("warmup", {"warmup": 1, "iters": 1}, {}, Severity.WARNING),
    ("warmup", {"warmup": 0.9, "iters": 1}, {}, None),  # a share
    ("warmup", {"warmup": 1000, "schedule": "custom", "lr_schedule": {"name": "cosine_decay"}}, {}, None),
    ("schedule", {"schedule": "custom", "lr_schedule": {"name": "cosine_decay"}}, {}, None),
    ("checkpoint_layers", {"checkpoint_layers": 4, "grad_checkpoint": True}, {}, None),
    ("checkpoint_layers", {"checkpoint_layers": 5, "grad_checkpoint": True}, {}, Severity.WARNING),
    ("weight_decay", {"weight_decay": 0.1, "optimizer": "adamw"}, {}, None),
    ("sampled_prompts", {"sampled_prompts": 2}, {}, None),
    ("final_adapter", {"final_adapter": "balanced"}, {}, None),
    ("data", {}, {"usable": False, "cancelled": True}, None),
    ("data", {}, {"usable": False}, Severity.ERROR),
    ("mask_prompt", {"mask_prompt": False}, {"target": "text"}, None),
    ("mask_prompt", {"mask_prompt": False}, {"target": "preference"}, None),
    ("desirable_weight", {}, {"target": "labelled", "labels": {"good": 10, "bad": 40}}, Severity.WARNING),
    ("undesirable_weight", {}, {"target": "labelled", "labels": {"good": 40, "bad": 10}}, Severity.WARNING),
    ("undesirable_weight", {}, {"target": "labelled", "labels": {"good": 10, "bad": 10}}, None),
]


@pytest.mark.parametrize("path, config, data, expected", EDGES)
def test_what_is_just_enough_is_no_problem(
    path: str, config: dict[str, Any], data: dict[str, Any], expected: Severity | None
) -> None:
    chosen = TrainConfig(**GOOD | {"epochs": None, "batch_size": 4} | config)
    parts = {"train": data.get("train", 2000)} | data.get("splits", {})
    splits = {name: SplitReport(count, (f"{name}.jsonl",)) for name, count in parts.items()}
    assert severity(chosen, path, inspection(), report(**{"train": 2000} | data | {"splits": splits})) is expected


def test_a_model_that_mlx_lm_does_not_know_is_asked_for_no_tokenizer_and_no_layers() -> None:
    known = inspection(source="header", has_tokenizer=False, layers=0, modules=())
    assert severity(TrainConfig(**GOOD), "model", known) is None
    recomputed = TrainConfig(**GOOD | {"checkpoint_layers": 3, "grad_checkpoint": True, "num_layers": -1})
    assert severity(recomputed, "checkpoint_layers", known) is None


def test_data_without_turns_need_no_template() -> None:
    bare = inspection(has_chat_template=False)
    found = {target: severity(TrainConfig(**GOOD), "data", bare, report(target=target)) for target in
             ("chat", "preference", "labelled", "prompt", "completion", "text")}  # fmt: skip
    assert [target for target, said in found.items() if said] == ["chat", "preference", "labelled", "prompt"]
    assert severity(TrainConfig(**GOOD), "data", bare) is None


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
    unsaid = check_config(TrainConfig(**GOOD), None, report(usable=False, counts={"empty_field": 1}))
    problem = next(p for p in unsaid if p.path == "data")
    assert (problem.text, problem.file, problem.line) == ("The data cannot be used yet: 1 error.", "", None)


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
