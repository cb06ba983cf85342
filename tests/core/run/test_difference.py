"""Config differences: what is not the same, in words, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.config.train_config import TrainConfig
from app.core.run.difference import config_differences, run_config, value_text
from app.core.run.folder import prepare_run
from app.core.setup.config_file import load_config, save_config


def test_only_what_differs_is_listed_in_the_order_of_the_form() -> None:
    base = TrainConfig()
    other = base.with_values(
        {"lora_parameters.rank": 8, "learning_rate": 3e-4, "adapter_name": "x", "adapter_path": "/y"}
    )
    found = config_differences([base, other, base])
    assert [one.path for one in found] == ["learning_rate", "lora_parameters.rank"]
    assert found[0].values == (1e-4, 3e-4, 1e-4)
    assert found[1].label == "LoRA rank"
    assert config_differences([base, base]) == []
    assert config_differences([base]) == []


def test_keys_that_only_one_config_has_are_listed_last() -> None:
    own = TrainConfig.model_validate({"wandb": "project", "seed": 3})
    found = config_differences([TrainConfig(), own])
    assert [(one.path, one.values) for one in found] == [("seed", (0, 3)), ("wandb", (None, "project"))]
    assert found[1].texts() == ("–", "project")


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("grad_checkpoint", True, "on"),
        ("learning_rate", 1e-5, "1e-05"),
        ("iters", 12_000, "12,000"),
        ("seed", 12_000, "12000"),
        ("batching", "pack", "Packed"),
        ("lora_parameters.keys", ["a", "b"], "a, b"),
        ("epochs", None, "–"),
        ("valid_data", "", "–"),
    ],
)
def test_values_read_as_people_write_them(path: str, value: object, text: str) -> None:
    assert value_text(path, value) == text


def test_the_data_of_a_run_is_what_was_asked_for(tmp_path: Path) -> None:
    run = prepare_run(TrainConfig().with_value("data", "/data/own"), tmp_path / "a")
    ran = load_config(run.config).config.with_values({"data": str(run.data), "valid_fraction": 0.0, "iters": 5})
    save_config(ran, run.config)
    found = run_config(run)
    assert (found.data, found.valid_fraction, found.iters) == ("/data/own", 0.1, 5)
    run.setup.unlink()
    assert run_config(run).data == str(run.data)
