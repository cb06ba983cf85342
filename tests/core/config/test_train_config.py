"""The shared config: defaults, ranges, edits, and the texts a form shows."""

import pytest
from pydantic import ValidationError

from app.core.config.spec import field_specs
from app.core.config.train_config import TrainConfig

DEFAULTS = {
    "learning_rate": 1e-4,
    "batch_size": 1,
    "grad_accumulation_steps": 1,
    "max_seq_length": 1024,
    "epochs": 3.0,
    "steps_per_report": 25,
    "steps_per_eval": 200,
    "save_every": 100,
    "early_stopping.enabled": True,
    "early_stopping.patience": 3,
    "fine_tune_type": "lora",
    "lora_parameters.rank": 32,
    "lora_parameters.scale": 1.0,  # alpha 32 at rank 32
    "lora_parameters.dropout": 0.0,
    "num_layers": -1,
    "targets": "full",
}


@pytest.mark.parametrize(("path", "value"), DEFAULTS.items())
def test_the_defaults_are_those_of_the_product(path: str, value: object) -> None:
    assert TrainConfig().value(path) == value
    assert field_specs()[path].default == value


@pytest.mark.parametrize(
    ("path", "good", "bad"),
    [
        ("batch_size", (1, 64), (0, 65)),
        ("lora_parameters.rank", (1, 512), (0, 513)),
        ("lora_parameters.dropout", (0.0, 0.99), (-0.01, 1.0)),
        ("lora_parameters.scale", (0.01, 10_000.0), (0.0, float("inf"))),
        ("learning_rate", (1e-9, 1e6), (0.0, float("nan"))),
        ("num_layers", (-1, 24), (-2, 1.5)),
        ("fine_tune_type", ("lora", "full"), ("qlora", "")),
        ("adapter_name", ("a",), ("",)),
    ],
)
def test_values_out_of_range_are_refused_and_change_nothing(
    path: str, good: tuple[object, ...], bad: tuple[object, ...]
) -> None:
    config = TrainConfig()
    for value in good:
        assert config.with_value(path, value).value(path) == value
    for value in bad:
        with pytest.raises(ValidationError):
            config.with_value(path, value)
    assert config == TrainConfig()


def test_several_values_land_all_or_none() -> None:
    config = TrainConfig()
    with pytest.raises(ValidationError):
        config.with_values({"batch_size": 4, "seed": -1})
    changed = config.with_values({"batch_size": 4, "seed": 7, "early_stopping.patience": 9})
    assert (changed.batch_size, changed.seed, changed.early_stopping.patience) == (4, 7, 9)


def test_an_unknown_path_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="nonsense"):
        TrainConfig().with_value("lora_parameters.nonsense", 1)


def test_numbers_written_as_text_are_read() -> None:
    assert TrainConfig.model_validate({"learning_rate": "1e-5"}).learning_rate == 1e-5


def test_every_field_has_a_label_and_a_help_text() -> None:
    specs = field_specs()
    assert {"model", "lora_parameters.rank", "early_stopping.patience"} <= set(specs)
    assert [s.path for s in specs.values() if not s.label] == []
    assert specs["lora_parameters.rank"].help.count("·") == 3


def test_ranges_read_as_people_write_them() -> None:
    specs = field_specs()
    assert specs["batch_size"].range_text == "1 to 64"
    assert specs["lora_parameters.dropout"].range_text == "0 or more, less than 1"
    assert specs["max_seq_length"].range_text == "8 to 1,048,576"


def test_choices_are_exactly_those_the_type_allows() -> None:
    for path in (
        "fine_tune_type",
        "optimizer",
        "schedule",
        "batching",
        "final_adapter",
        "mask_turns",
        "data_format",
    ):
        for value, label in field_specs()[path].choices:
            assert TrainConfig().with_value(path, value).value(path) == value
            assert label


@pytest.mark.parametrize(
    "path", ["iters", "learning_rate", "batch_size", "lora_parameters.rank", "early_stopping.patience"]
)
def test_yes_is_no_number(path: str) -> None:
    with pytest.raises(ValidationError, match=r"valid (integer|number)"):
        TrainConfig().with_value(path, True)
    assert TrainConfig().with_value("mask_prompt", True).mask_prompt is True


def test_an_adafactor_that_is_chosen_hears_of_the_learning_rate_until_another_is() -> None:
    chosen = TrainConfig().with_value("optimizer", "adafactor")
    assert chosen.optimizer_config == {"adafactor": {"relative_step": False, "scale_parameter": False}}
    assert not chosen.has_own_steps
    assert chosen.with_value("optimizer", "adam") == TrainConfig()
    assert chosen.with_value("learning_rate", 1e-3).optimizer_config == chosen.optimizer_config


def test_an_adafactor_with_settings_in_a_file_is_the_file_s() -> None:
    settings = {"adafactor": {"relative_step": True}}
    assert TrainConfig(optimizer="adafactor").has_own_steps
    asked = TrainConfig(optimizer_config=settings).with_value("optimizer", "adafactor")
    assert (asked.optimizer_config, asked.has_own_steps) == (settings, True)
    assert asked.with_value("optimizer", "adam").optimizer_config == settings
