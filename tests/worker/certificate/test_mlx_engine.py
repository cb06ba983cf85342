"""mlx-lm as an engine: probabilities and margins, worked out again with numpy from the model's logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import numpy.typing as npt
import pytest
from mlx_lm import load

from app.core.model.folder import plain_path
from app.worker.certificate.mlx_engine import MlxEngine
from tests.worker.tiny_model import write_model

TOKENS = [2, 104, 105, 1, 3, 111, 107, 1]
END = 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("engine") / "odd [model]")


@pytest.fixture(scope="module")
def loaded(folder: Path) -> tuple[Any, Any]:
    with plain_path(folder) as place:  # which mlx-lm alone would not find: brackets are a pattern
        model, tokenizer, *_ = load(str(place))
    return model, tokenizer


def log_softmax(model: Any, tokens: list[int]) -> npt.NDArray[np.float64]:
    """Rows of log probabilities of the next token, one for each place."""
    logits = np.array(model(mx.array([tokens]))[0].astype(mx.float32), np.float64)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def test_a_place_is_told_by_the_token_that_stands_there(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    places = [1, 4, 7]
    found = MlxEngine(model, tokenizer).log_probabilities(TOKENS, places)
    known = log_softmax(model, TOKENS)
    assert found.shape == (3,)
    assert found == pytest.approx([known[place - 1, TOKENS[place]] for place in places], abs=1e-5)


def test_an_answer_is_the_likeliest_tokens_and_how_far_ahead_each_was(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    tokens, margins = MlxEngine(model, tokenizer).answer(TOKENS, 6)
    assert len(tokens) == len(margins) == 6
    so_far = list(TOKENS)
    for token, margin in zip(tokens, margins, strict=True):
        *_, second, first = sorted(range(len(last := log_softmax(model, so_far)[-1])), key=last.__getitem__)
        assert token == first
        assert margin == pytest.approx(last[first] - last[second], abs=1e-5)
        so_far.append(token)


def test_an_answer_ends_before_the_end_token_whose_margin_counts(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    whole, margins = MlxEngine(model, tokenizer).answer(TOKENS, 6)

    class Ending:
        """The tokenizer, for which what the model says third is the end."""

        eos_token_ids = (whole[2],)

    engine = MlxEngine(model, Ending())
    assert engine.ends() == frozenset({whole[2]})
    cut = whole.index(whole[2])
    found, found_margins = engine.answer(TOKENS, 6)
    assert found == whole[:cut]
    assert found_margins == pytest.approx(margins[: cut + 1], abs=1e-6)


def test_a_folder_is_opened_as_stock_mlx_lm_does(folder: Path, loaded: tuple[Any, Any]) -> None:
    engine = MlxEngine.opened(folder)
    assert engine.name.startswith("mlx-lm 0")
    assert MlxEngine(*loaded, name="the run's model").name == "the run's model"
    assert END in engine.ends()
    assert engine.log_probabilities(TOKENS, [3]) == pytest.approx(
        MlxEngine(*loaded).log_probabilities(TOKENS, [3]), abs=1e-6
    )
    assert engine.prompt([{"role": "user", "content": "hi"}]) == list(
        loaded[1].apply_chat_template([{"role": "user", "content": "hi"}], add_generation_prompt=True)
    )
