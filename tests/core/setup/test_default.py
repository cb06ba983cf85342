"""Good defaults: what follows from data and length, and the starter's settings as its own file has them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from app.core.config.train_config import TrainConfig
from app.core.data.report import DataReport, SplitReport
from app.core.setup.default import following_values, is_starters, spacing, starter_values
from app.core.system import starter


def report(target: str, examples: int = 100) -> DataReport:
    return DataReport(
        usable=True, format=target, target=target, examples=examples, rows=examples,
        splits={"train": SplitReport(examples, ("a.jsonl",), 1)}, errors=[], warnings=[], notes=[], counts={},
    )  # fmt: skip


@pytest.mark.parametrize("iterations", [*range(10, 400), 999, 1000, 4321, 77_777, 1_000_000])
def test_a_run_is_measured_ten_to_twenty_times(iterations: int) -> None:
    assert 10 <= iterations // spacing(iterations) <= 20


@pytest.mark.parametrize(
    ("iterations", "expected"), [(10, 1), (19, 1), (20, 2), (28, 2), (100, 8), (200, 15), (600, 40), (1000, 80)]
)
def test_the_number_of_measurements_is_the_one_nearest_to_fourteen(iterations: int, expected: int) -> None:
    """Both by ratio: 20 iterations are 10 twos, which is nearer than 20 ones."""
    assert spacing(iterations) == expected


@pytest.mark.parametrize("iterations", [1, 5, 9])
def test_a_very_short_run_is_measured_at_each_iteration(iterations: int) -> None:
    assert spacing(iterations) == 1


@pytest.mark.parametrize(("target", "masked"), [("chat", True), ("completion", True), ("text", False)])
def test_answers_alone_are_trained_where_there_are_answers(target: str, masked: bool) -> None:
    assert following_values(TrainConfig(), report(target))["mask_prompt"] is masked


def test_nothing_follows_from_data_that_are_not_known() -> None:
    assert following_values(TrainConfig(), None) == {}
    assert "mask_prompt" not in following_values(TrainConfig(), dataclasses.replace(report("chat"), usable=False))
    counted = following_values(TrainConfig(epochs=None, iters=1000), None)
    assert counted == {"steps_per_eval": 80, "save_every": 80}
    assert following_values(TrainConfig(epochs=3), report("preference", 250)) == {
        "steps_per_eval": 40, "save_every": 40,  # of 3 × 200
    }  # fmt: skip


def test_the_starters_model_and_data_are_known_by_their_place(tmp_path: Path) -> None:
    model, data = starter.model_dir(), starter.examples_dir()
    (tmp_path / "link").symlink_to(model)
    (tmp_path / "round").symlink_to(tmp_path / "round")
    found = {
        (part, path): is_starters(part, path)
        for part in ("model", "data", "valid_data")
        for path in (str(model), str(tmp_path / "link"), str(data), str(tmp_path / "round"), "")
    }
    assert [key for key, is_it in found.items() if is_it] == [
        ("model", str(model)), ("model", str(tmp_path / "link")), ("data", str(data)),
    ]  # fmt: skip


def test_without_a_starter_nothing_is_the_starters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def none() -> Path:
        raise FileNotFoundError

    monkeypatch.setattr(starter, "model_dir", none)
    assert not is_starters("model", str(tmp_path))


def test_the_starters_settings_are_those_of_its_file() -> None:
    tree = yaml.safe_load(starter.demo_config().read_text(encoding="utf-8"))
    found = starter_values("model", TrainConfig()) | starter_values("data", TrainConfig())
    for key in ("learning_rate", "batch_size", "max_seq_length", "iters", "mask_prompt", "save_every"):
        assert found[key] == tree[key]
    assert found["lora_parameters.scale"] == tree["lora_parameters"]["scale"]
    assert found["epochs"] is None
    assert set(starter_values("data", TrainConfig())) == {
        "epochs", "iters", "mask_prompt", "mask_turns", "steps_per_report", "steps_per_eval", "save_every",
        "val_batches", "final_adapter",
    }  # fmt: skip
    assert {"max_seq_length", "num_layers", "lora_parameters.rank"} <= starter_values("model", TrainConfig()).keys()


def test_a_method_keeps_its_own_settings_on_the_starter() -> None:
    config = TrainConfig(train_mode="dpo")
    assert set(starter_values("model", config)) == {"lora_parameters.scale"}
    assert starter_values("data", config) == {}
    assert Path(starter.preference_dir()).is_dir()
