"""Loading: what mlx-lm says of files that do not fit a model's config reaches people in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.core.problem import UnusableError
from app.worker.model.loading import load_model
from app.worker.token.tokenizer import load_tokenizer
from tests.worker.answering_model import make_model


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_hidden_layers": 2}, "hold 12 weights that a model of its config has not, such as model.layers.2."),
        ({"num_hidden_layers": 4}, "lack 12 weights that its config asks for, such as model.layers.3."),
        ({"intermediate_size": 32}, "is 128 × 64 in its files, and 32 × 64 by its config"),
    ],
)
def test_weights_that_do_not_fit_the_config(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    """A layer of the tiny Qwen2 has 12 tensors: 4 matrices and 3 biases, 3 matrices of the MLP, 2 norms."""
    path = make_model(tmp_path / "model") / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UnusableError) as caught:
        load_model(tmp_path / "model")
    assert said in str(caught.value)


def test_a_tokenizer_that_cannot_be_read(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model")
    (folder / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(UnusableError, match="The tokenizer's files cannot be read"):
        load_tokenizer(str(folder))
