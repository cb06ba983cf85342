"""A path as it is typed: `~` is somebody's home, and the name of nobody leads nowhere, at every letter of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.config.train_config import TrainConfig
from app.core.setup.check import check_config
from app.core.typed_path import typed_path

NOBODY = "~nobody-of-this-name"


def test_a_home_is_put_in_place_of_its_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert typed_path("~/rows.jsonl") == Path("/home/ann/rows.jsonl")
    assert typed_path("~") == typed_path(Path("~")) == Path("/home/ann")
    assert typed_path("rows~.jsonl") == Path("rows~.jsonl")
    assert typed_path(f"{NOBODY}/rows.jsonl") == Path(f"{NOBODY}/rows.jsonl")
    assert typed_path("") == Path()


@pytest.mark.parametrize("name", [NOBODY, f"{NOBODY}/x", "/" + "a" * 400])
@pytest.mark.parametrize("field", ["model", "data", "test_data", "resume_adapter_file", "reference_model_path",
                                   "reward_functions_file"])  # fmt: skip
def test_a_setup_with_such_a_path_is_checked(field: str, name: str) -> None:
    problems = check_config(TrainConfig(model="/m", data="/d").with_value(field, name))
    assert [one.message for one in problems] == (
        [f"There is no file {name}."] if field == "resume_adapter_file" else []
    )
