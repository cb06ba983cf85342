"""The tokenizer as Luthier loads it: it stops where the model's folder says, and its template holds one day."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlx_lm.tokenizer_utils import TokenizerWrapper
from transformers import PreTrainedTokenizerFast

from app.core.config.train_config import TrainConfig
from app.worker.model.loading import load_model
from app.worker.token import tokenizer as loading
from app.worker.token.chat_template import ChatTemplate, Dialogue, Rendered
from app.worker.token.encode import RowEncoder, refuse_unknown
from app.worker.token.tokenizer import beyond, held_day, known_ids, load_tokenizer
from tests.worker.tiny_model import TEMPLATE, VOCABULARY, write_model

ROW = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}


class Tomorrow(date):
    @classmethod
    def today(cls) -> Tomorrow:
        return cls(2031, 2, 3)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model", layers=1)


def dated(model: Path, form: str) -> None:
    (model / "chat_template.jinja").write_text(f"<|user|>{{{{ strftime_now({form}) }}}}<|end|>" + TEMPLATE)


def test_it_stops_at_the_end_tokens_of_all_files(model: Path) -> None:
    (model / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 3]}))
    assert load_tokenizer(str(model)).eos_token_ids == {1, 2, 3}
    assert load_model(model)[1].eos_token_ids == {1, 2, 3}


def test_the_template_holds_the_day(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert held_day(load_tokenizer(str(model), "2024-07-26")) == ""
    dated(model, "'%d %b %Y'")
    tokenizer = load_tokenizer(str(model), "2024-07-26")
    assert held_day(tokenizer) == "2024-07-26"
    text = tokenizer.apply_chat_template(ROW["messages"], tokenize=False)
    assert text.startswith("<|user|>26 Jul 2024<|end|>")
    monkeypatch.setattr(loading, "date", Tomorrow)
    assert held_day(load_tokenizer(str(model))) == "2031-02-03"


def test_a_token_without_a_row_is_named(model: Path) -> None:
    tokenizer = load_tokenizer(str(model))
    assert known_ids(tokenizer) == VOCABULARY
    assert beyond(tokenizer, np.array([0, VOCABULARY - 1], np.int32), VOCABULARY) == ""
    tokenizer._tokenizer.add_tokens(["<new>"])
    row = {"messages": [*ROW["messages"][:1], {"role": "assistant", "content": "b<new>"}]}
    encoded = RowEncoder(tokenizer, TrainConfig(), row).encode([ROW, row])
    refuse_unknown(encoded, tokenizer)
    assert encoded[0].example is not None
    assert encoded[1].example is None
    number = tokenizer.convert_tokens_to_ids("<new>")
    assert f"'<new>', token {number}, which" in encoded[1].refused


@pytest.mark.parametrize(
    ("before", "form"),
    [
        ("", "'%d %b %Y'"),
        ("{% set form = '%d %b %Y' %}", "form"),
        ("", "('%d' ~ ' %b') ~ \" %Y\""),
        ("{% set forms = {'(long)': '%d %b %Y'} %}", "forms['(long)']"),
    ],
)
def test_the_day_is_held_in_whatever_way_its_form_is_given(
    model: Path, before: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "date", Tomorrow)
    (model / "chat_template.jinja").write_text(
        f"{before}{{% if strftime_now is defined %}}{{{{ strftime_now({form}) }}}}{{% endif %}}<|end|>{TEMPLATE}"
    )
    tokenizer = load_tokenizer(str(model), "2024-07-06")
    assert held_day(tokenizer) == "2024-07-06"
    assert tokenizer.apply_chat_template(ROW["messages"], tokenize=False).startswith("06 Jul 2024<|end|>")


class ProgramTokenizer(PreTrainedTokenizerFast):
    """One that comes with a program of its own in place of a template."""

    def apply_chat_template(self, chat: Any, tools: Any = None, **more: Any) -> Any:
        if chat[-1]["content"] == "tokens":
            return [1, 2]
        assert more.pop("tokenize") is False
        said = " ".join(f"{one['role']}={one['content']}" for one in chat)
        return f"{said} {tools or 'none'} {'add_generation_prompt' in more}"


def test_a_program_in_place_of_a_template_is_asked_row_by_row(model: Path) -> None:
    asks = ChatTemplate(TokenizerWrapper(ProgramTokenizer.from_pretrained(model)))
    question, refused = {"role": "user", "content": "a"}, {"role": "user", "content": "tokens"}
    assert not asks.has_marks()
    rows = [Dialogue([question]), Dialogue([question, question], ["a tool"]), Dialogue([refused])]
    found = asks.render(rows)
    assert found[:2] == [Rendered("user=a none False"), Rendered("user=a user=a ['a tool'] False")]
    assert isinstance(found[2], TypeError), "it does not give a text"
    assert asks.render(rows[:1], answer_next=True) == [Rendered("user=a none True")]
