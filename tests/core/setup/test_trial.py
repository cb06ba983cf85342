"""Trials: every method has one that can start at once."""

from pathlib import Path

import pytest

from app.core.method.method import Method
from app.core.method.table import METHODS
from app.core.setup.chosen_method import method_of
from app.core.setup.method_check import check_method
from app.core.setup.trial import trial_config


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_it_is_of_its_method_and_nothing_is_missing(method: Method) -> None:
    config = trial_config(method)
    assert method_of(config) is method
    assert (Path(config.model) / "model.safetensors").is_file()
    assert (Path(config.data) / "train.jsonl").is_file()
    assert list(check_method(config)) == []


def test_what_a_trial_sets_beside_its_method() -> None:
    """Steps as large as the starter wants; sampled answers that err often enough to learn from."""
    plain = trial_config(METHODS["dpo"])
    parameters = plain.lora_parameters
    assert (plain.batch_size, plain.learning_rate, plain.max_seq_length) == (4, 1e-4, 256)
    assert (parameters.rank, parameters.scale, plain.early_stopping.enabled) == (8, 8.0, False)
    assert (plain.steps_per_report, plain.steps_per_eval, plain.val_batches, plain.save_every) == (1, 10, -1, 60)
    assert (plain.mask_prompt, plain.bias_correction, plain.beta) == (True, False, METHODS["dpo"].settings["beta"])
    sampled = trial_config(METHODS["grpo"])
    assert (sampled.batch_size, sampled.learning_rate, sampled.group_size) == (8, 3e-4, 8)
    assert (sampled.temperature, sampled.max_completion_length, sampled.steps_per_eval) == (1.5, 32, 20)
    assert (sampled.reward_functions, sampled.beta) == (("last_number",), 0.0)
    assert trial_config(METHODS["online_dpo"]).beta > 0


def test_all_trials_are_short_and_equally_long() -> None:
    assert {trial_config(method).iters for method in METHODS.values()} == {60}
    assert {trial_config(method).epochs for method in METHODS.values()} == {None}
