"""The neutral set: what of an answer counts, what is kept of it, and the loss on it."""

from __future__ import annotations

import json
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from app.core.run.folder import NEUTRAL_FILE
from app.worker.model.head import find_head
from app.worker.model.loading import load_model
from app.worker.neutral.own_text import own_text
from app.worker.neutral.text import NeutralText, counted_rows, kept_text, loss_on, save_text
from app.worker.token.token_set import Example
from tests.worker.tiny_model import write_model
from tests.worker.training import random_words

END = 1


def row(tokens: list[int], trained: str) -> Example:
    return Example(np.array(tokens, np.int32), np.array([flag == "x" for flag in trained]))


def test_neither_the_beginning_nor_the_end_of_an_answer_counts() -> None:
    found = counted_rows([row([9, 9, 10, 11, 12, 13, END], "..xxxxx"), row([9, 10, END], ".xx")], {END}, 100)
    assert len(found) == 1  # of the second nothing is left
    assert found[0].tokens.tolist() == [9, 9, 10, 11, 12, 13]
    assert np.flatnonzero(found[0].trained).tolist() == [4, 5]


def test_no_more_than_wanted_counts() -> None:
    rows = [row([9, *range(10, 20)], "." + "x" * 10)] * 3
    found = counted_rows(rows, {END}, 11)
    assert [int(part.trained.sum()) for part in (found[0], found[1])] == [8, 3]
    assert len(found) == 2


def test_a_kept_set_is_read_again(tmp_path: Path) -> None:
    text = NeutralText(counted_rows([row([9, 10, 11, 12, 13], ".xxxx")], {END}, 100), "sampled", 1.25)
    save_text(tmp_path, text)
    again = kept_text(tmp_path)
    assert again is not None
    assert (again.source, again.base_loss, again.tokens) == ("sampled", 1.25, 2)
    assert again.token_set.tokens.tolist() == text.token_set.tokens.tolist()
    assert again.token_set.trained.tolist() == text.token_set.trained.tolist()


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": 9}', '{"format": 1, "rows": [{}]}'])
def test_a_file_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / NEUTRAL_FILE).write_text(text)
    assert kept_text(tmp_path) is None


def test_the_loss_is_the_mean_over_what_counts(tmp_path: Path) -> None:
    model, tokenizer = load_model(write_model(tmp_path / "model"))
    found = own_text(model, tokenizer, 150, seed=3)
    assert found is not None
    total, count = 0.0, 0
    for number in range(len(found)):
        tokens, counted = found[number]
        logits = model(mx.array(tokens[None, :-1].astype(np.int32)))[0].astype(mx.float32)
        rates = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
        for place in np.flatnonzero(counted).tolist():
            total -= float(rates[place - 1, int(tokens[place])].item())
            count += 1
    assert loss_on(model, find_head(model), found) == pytest.approx(total / count, rel=1e-5)


def test_the_models_own_text(tmp_path: Path) -> None:
    model, tokenizer = load_model(write_model(tmp_path / "model"))
    model.train()
    mx.random.seed(5)
    before = random_words()
    found, again = own_text(model, tokenizer, 300, seed=1), own_text(model, tokenizer, 300, seed=1)
    other = own_text(model, tokenizer, 300, seed=2)
    assert random_words() == before
    assert model.training
    assert found is not None and again is not None and other is not None  # noqa: PT018
    assert int(found.trained.sum()) == 300
    assert found.tokens.tolist() == again.tokens.tolist() != other.tokens.tolist()
    first = tokenizer.decode(found[0].tokens.tolist())
    assert first.startswith("<|user|>Why is the sky blue?<|end|><|assistant|>")
    assert not any(found[0].trained[: len(tokenizer.encode("<|user|>Why is the sky blue?<|end|><|assistant|>"))])
    assert own_text(model, tokenizer, 300, seed=1, cancelled=lambda: True) is None


def test_a_model_without_a_template_goes_on_with_openings(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    for file in (folder / "chat_template.jinja",):
        file.unlink(missing_ok=True)
    known = json.loads((folder / "tokenizer_config.json").read_text())
    known.pop("chat_template", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(known))
    model, tokenizer = load_model(folder)
    found = own_text(model, tokenizer, 60, seed=1)
    assert found is not None
    assert tokenizer.decode(found[0].tokens.tolist()).startswith("The history of")


def test_a_cache_that_holds_one_answer_is_sampled_one_by_one(tmp_path: Path) -> None:
    model, tokenizer = load_model(
        write_model(
            tmp_path / "model",
            "mamba",
            intermediate_size=64,
            state_size=4,
            conv_kernel=4,
            use_bias=False,
            use_conv_bias=True,
            time_step_rank=4,
        )
    )
    found, again = own_text(model, tokenizer, 60, seed=1), own_text(model, tokenizer, 60, seed=1)
    assert found is not None
    assert again is not None
    assert int(found.trained.sum()) == 60
    assert found.tokens.tolist() == again.tokens.tolist()
    other = own_text(model, tokenizer, 60, seed=2)
    assert other is not None
    assert other.tokens.tolist() != found.tokens.tolist()
    model.train()
    assert own_text(model, tokenizer, 60, seed=1, cancelled=lambda: True) is None
    assert model.training, "it goes on as it was"
