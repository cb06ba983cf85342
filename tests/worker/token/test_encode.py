"""Tokens and masks are, token for token, those of stock mlx-lm's data sets."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
from mlx_lm.tuner.datasets import load_local_dataset

from app.core.config.train_config import TrainConfig
from app.core.data.prepare import prepare_data
from app.core.problem import UnusableError
from app.worker.token.encode import RowEncoder
from app.worker.token.token_set import TokenSet
from app.worker.token.tokenize import tokenize_rows
from app.worker.token.tokenizer import load_tokenizer
from tests.worker.tiny_model import TEMPLATE, write_model
from tests.worker.tiny_tokenizer import TEMPLATES, load, save_tokenizer
from tests.worker.token.token_file import tokenize_file


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("tokenizers")
    found = {name: load(save_tokenizer(root / name, template)) for name, template in TEMPLATES.items()}
    found["begin"] = load(save_tokenizer(root / "begin", TEMPLATES["chatml"], begin=True))
    found["base"] = load(save_tokenizer(root / "base", None))
    return found


def talk(*contents: str, system: str = "") -> dict[str, Any]:
    roles = ("user", "assistant") * len(contents)
    turns = [{"role": role, "content": content} for role, content in zip(roles, contents, strict=False)]
    return {"messages": [{"role": "system", "content": system}, *turns] if system else turns}


CHATS = [talk("Hi", "Hello, wie geht's? 😀"), talk("a", "b", "c", "d", system="Be kind."), talk("x", "y")]
TOOL_CHAT = {
    "messages": [
        {"role": "user", "content": "Add 1 and 2."},
        {
            "role": "assistant",
            "tool_calls": [{"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}],
        },
        {"role": "tool", "content": "3"},
        {"role": "assistant", "content": "It is 3."},
    ],
    "tools": [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}],
}
SOURCES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "chat": ("a.jsonl", CHATS),
    "tools": ("a.jsonl", [TOOL_CHAT, *CHATS]),
    "completion": ("a.jsonl", [{"prompt": "Straße?", "completion": "Ja."}, {"prompt": "b", "completion": "c d"}]),
    "text": ("a.jsonl", [{"text": "The quick brown fox."}, {"text": "Ends.<|im_end|>"}]),
    "alpaca": ("a.json", [{"instruction": "Add.", "input": "1, 2", "output": "3"}]),
    "question": ("a.jsonl", [{"question": "Why?", "answer": "So."}]),
    "sharegpt": (
        "a.jsonl",
        [{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]}],
    ),
}


def prepared(tmp_path: Path, kind: str, **values: Any) -> tuple[Path, TrainConfig]:
    name, rows = SOURCES[kind]
    source = tmp_path / name
    if name.endswith(".json"):
        source.write_text(json.dumps(rows), encoding="utf-8")
    else:
        source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = TrainConfig(data=str(source), valid_fraction=0, test_fraction=0, **values)
    return prepare_data(config, tmp_path / "prepared").train, config


def stock(path: Path, tokenizer: Any, config: TrainConfig) -> list[tuple[list[int], int]]:
    """What mlx-lm itself makes of the folder: tokens and the number of those that are masked."""
    names = ("prompt_feature", "completion_feature", "chat_feature", "text_feature", "mask_prompt")
    arguments = SimpleNamespace(**{name: config.value(name) for name in names})
    train, _, _ = load_local_dataset(path.parent, tokenizer, arguments)
    return [train.process(train[index]) for index in range(len(train))]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("template", ["chatml", "begin", "thinking", "marked"])
@pytest.mark.parametrize("kind", list(SOURCES))
def test_equals_stock(tmp_path: Path, tokenizers: dict[str, Any], kind: str, template: str, masked: bool) -> None:
    if (kind == "text" and masked) or (kind == "tools" and template != "chatml" and template != "begin"):
        pytest.skip("mlx-lm refuses this")
    path, config = prepared(tmp_path, kind, mask_prompt=masked)

    found = tokenize_file(path, tokenizers[template], config)

    wanted = stock(path, tokenizers[template], config)
    assert len(found) == len(wanted) == len(SOURCES[kind][1])
    for index, (tokens, offset) in enumerate(wanted):
        example = found[index]
        assert example.tokens.tolist() == tokens
        assert example.trained.tolist() == [at >= offset for at in range(len(tokens))]
    assert masked is not all(found.trained.tolist())


def trained_text(tokenizer: Any, token_set: TokenSet, index: int) -> str:
    tokens, trained = token_set[index]
    return str(tokenizer.decode(tokens[trained].tolist()))


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("chatml", "b<|im_end|>\nd<|im_end|>\n"),
        ("thinking", "b<|im_end|><think>\n\n</think>\n\nd<|im_end|>\n"),
        ("marked", "b<|im_end|>d<|im_end|>"),
    ],
)
def test_every_turn(tmp_path: Path, tokenizers: dict[str, Any], template: str, text: str) -> None:
    path, config = prepared(tmp_path, "chat", mask_prompt=True, mask_turns="all")

    found = tokenize_rows(path, tokenizers[template], config)

    assert trained_text(tokenizers[template], found.token_set, 1) == text
    assert not found.counts
    # Rows with one answer are trained as with "last".
    last = tokenize_file(path, tokenizers[template], config.with_value("mask_turns", "last"))
    if template != "marked":
        assert np.array_equal(found.token_set[0].trained, last[0].trained)


def test_every_turn_of_a_template_that_rewrites_its_beginning(tmp_path: Path, tokenizers: dict[str, Any]) -> None:
    path, config = prepared(tmp_path, "chat", mask_prompt=True, mask_turns="all")

    found = tokenize_rows(path, tokenizers["unstable"], config)

    assert trained_text(tokenizers["unstable"], found.token_set, 1) == "\nb<|im_end|>\nd<|im_end|>"
    assert trained_text(tokenizers["unstable"], found.token_set, 2) == "\ny<|im_end|>"
    assert not found.counts


def test_tool_calls_are_trained_as_turns(tmp_path: Path, tokenizers: dict[str, Any]) -> None:
    path, config = prepared(tmp_path, "tools", mask_prompt=True, mask_turns="all")

    found = tokenize_rows(path, tokenizers["thinking"], config)
    assert len(found.token_set) == len(SOURCES["tools"][1])
    assert found.counts == {"dropped": 2}  # that template shows neither tools nor calls
    bare = RowEncoder(tokenizers["thinking"], config, TOOL_CHAT).encode([TOOL_CHAT])[0]
    assert bare.kind == "template_refused"  # it adds a content that is not there
    assert bare.refused

    encoder = RowEncoder(tokenizers["chatml"], config, TOOL_CHAT)
    example = encoder.encode([TOOL_CHAT])[0].example
    assert example is not None
    text = tokenizers["chatml"].decode(example.tokens[example.trained].tolist())
    call = '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'
    assert text == f"{call}<|im_end|>\nIt is 3.<|im_end|>\n"


def test_two_tokens_at_the_beginning_of_a_text_are_one(tokenizers: dict[str, Any]) -> None:
    tokenizer = tokenizers["begin"]
    tokenizer.bos_token = "<|endoftext|>"
    rows = [{"text": "<|endoftext|>Ready made."}, {"text": "Ready made."}]
    first, second = RowEncoder(tokenizer, TrainConfig(), rows[0]).encode(rows)
    assert first.example is not None
    assert second.example is not None
    assert first.example.tokens.tolist() == second.example.tokens.tolist()
    assert [kind for kind, _ in first.faults] == ["double_begin"]
    assert second.faults == []


def test_refused_rows(tmp_path: Path, tokenizers: dict[str, Any]) -> None:
    rows = [talk("a", "b"), {"messages": [*talk("a")["messages"], *talk("b", "c")["messages"]]}]
    source = tmp_path / "a.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = TrainConfig(data=str(source), valid_fraction=0, test_fraction=0)
    path = prepare_data(config, tmp_path / "prepared").train

    with pytest.raises(UnusableError, match="must alternate") as caught:
        tokenize_file(path, tokenizers["mistral"], config)
    assert caught.value.problems[0].line == 2

    assert len(tokenize_file(path, tokenizers["mistral"], config.with_value("skip_bad_rows", True))) == 1


def test_no_chat_template(tmp_path: Path, tokenizers: dict[str, Any]) -> None:
    path, config = prepared(tmp_path, "chat")
    with pytest.raises(UnusableError, match="no chat template") as caught:
        tokenize_file(path, tokenizers["base"], config)
    assert caught.value.problems[0].path == "model"

    path, config = prepared(tmp_path, "text")
    assert len(tokenize_file(path, tokenizers["base"], config)) == 2


FOOTER = "{% if not add_generation_prompt %} -- and so the whole conversation has come to its end -- {% endif %}"


@pytest.mark.parametrize(
    ("template", "is_told"),
    [
        # What stands behind the end token of the last turn, however long, is never reached.
        (TEMPLATE.replace("{% endfor %}", "{% endfor %}" + FOOTER, 1), False),
        # The end token just before a short answer is the one of the turn before it.
        (TEMPLATE.replace("<|end|>{% endfor %}", "{% if not loop.last %}<|end|>{% endif %}{% endfor %}", 1), True),
        (TEMPLATE, False),
    ],
)  # fmt: skip
def test_whether_the_model_stops_is_told_by_the_answer_itself(template: str, is_told: bool, tmp_path: Path) -> None:
    (write_model(tmp_path, layers=1) / "chat_template.jinja").write_text(template)
    row = talk("Go?", "No")
    (encoded,) = RowEncoder(load_tokenizer(str(tmp_path)), TrainConfig(mask_prompt=True), row).encode([row])
    assert not encoded.refused
    assert ("no_stop_token" in [kind for kind, _ in encoded.faults]) is is_told


def marked(body: str) -> str:
    """A template that writes each message as ``body`` says."""
    return f"{{% for m in messages %}}<|im_start|>{{{{ m.role }}}}\n{body}{{% endfor %}}"


ASSISTANT = "m.role == 'assistant'"
WORDS = "{{ m.content }}<|im_end|>"
INSIDE = f"{{% generation %}}{WORDS}{{% endgeneration %}}"
MARKS = {
    "of others": (marked(f"{{% if {ASSISTANT} %}}{WORDS}{{% else %}}{INSIDE}{{% endif %}}"), 1),
    "of all": ("{% generation %}" + marked(WORDS) + "{% endgeneration %}", 1),
    "of tools": (marked(f"{{% if m.role == 'user' %}}{WORDS}{{% else %}}{INSIDE}{{% endif %}}"), 3),
}


@pytest.mark.parametrize("turns", ["last", "all"])
@pytest.mark.parametrize("name", list(MARKS))
def test_marks_on_what_others_say_are_refused(tmp_path: Path, name: str, turns: Literal["all", "last"]) -> None:
    template, number = MARKS[name]
    tokenizer = load(save_tokenizer(tmp_path / "model", template))
    config = TrainConfig(mask_prompt=True, mask_turns=turns)
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "a"},
        {"role": "tool", "content": "a"},
        {"role": "assistant", "content": "a"},
    ]
    row = {"messages": messages}

    encoded = RowEncoder(tokenizer, config, row).encode([row])[0]

    assert encoded.kind == "answer_not_found"
    assert f"marks what message {number} says" in encoded.refused
    assert encoded.example is None
    whole = RowEncoder(tokenizer, TrainConfig(mask_prompt=False), row).encode([row])[0]
    assert whole.example is not None


@pytest.mark.parametrize("turns", ["last", "all"])
def test_marks_without_the_end_of_the_answer_are_told(tmp_path: Path, turns: Literal["all", "last"]) -> None:
    body = "{% generation %}{{ m.content }}{% endgeneration %}<|im_end|>"
    template = marked(f"{{% if {ASSISTANT} %}}{body}{{% else %}}{WORDS}{{% endif %}}")
    tokenizer = load(save_tokenizer(tmp_path / "model", template))
    config = TrainConfig(mask_prompt=True, mask_turns=turns)

    encoded = RowEncoder(tokenizer, config, CHATS[1]).encode([CHATS[1]])[0]

    assert [kind for kind, _ in encoded.faults] == ["unmarked_stop"]
    assert "'<|im_end|>'" in encoded.faults[0][1]
