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


def test_all_trials_are_short_and_equally_long() -> None:
    assert {trial_config(method).iters for method in METHODS.values()} == {60}
    assert {trial_config(method).epochs for method in METHODS.values()} == {None}
