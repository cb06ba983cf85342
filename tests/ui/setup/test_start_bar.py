"""The bar with Start: what it calls the fields that it links to."""

from __future__ import annotations

import pytest

from app.core.problem import Problem
from app.core.system.setting import load_settings, save_settings
from app.ui.setup.start_bar import problem_name


@pytest.mark.parametrize(("reading", "name"), [("peft", "LoRA alpha"), ("scale", "LoRA scale")])
def test_the_scale_is_called_as_its_field_is(reading: str, name: str, home: object) -> None:  # noqa: ARG001
    save_settings(load_settings().model_copy(update={"alpha_convention": reading}))
    assert problem_name(Problem("lora_parameters.scale", "It is hot.")) == name
    assert problem_name(Problem("learning_rate", "It is hot.")) == "Learning rate"
