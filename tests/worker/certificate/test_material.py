"""What a certificate is made with: conversations of held-out rows, their tokens, and which of them count."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import pytest

from app.core.config.train_config import TrainConfig
from app.core.run.folder import RunDir, prepare_run
from app.core.setup.config_file import save_config
from app.worker.certificate import material as module
from app.worker.certificate.engine import ANSWER_TOKENS, FOLLOW_UP, read_with
from app.worker.certificate.material import (
    OWN_PROMPTS,
    Material,
    answered,
    conversation_tokens,
    material_of,
    narrowed,
    prompt_tokens,
    row_of,
)
from app.worker.exchange import speed
from app.worker.exchange.speed import ExchangeSpeed, exchange_speed

TURNS = [{"role": "user", "content": "ab"}, {"role": "assistant", "content": "cd"}]


class Letters:
    """A token a letter; the template writes an answer between > and ."""

    def __init__(self, template: str | None = "own") -> None:
        self.chat_template = template

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [*([0] if add_special_tokens else []), *(ord(letter) for letter in text)]

    def apply_chat_template(self, turns: Any, *, tokenize: bool, add_generation_prompt: bool = False) -> str:
        assert not tokenize
        text = "".join(
            turn["content"] + "?" if turn["role"] == "user" else f">{turn['content']}." for turn in turns
        )
        return text + ">" * add_generation_prompt


def letters(text: str) -> list[int]:
    return [ord(letter) for letter in text]


def test_the_last_answer_of_a_row_counts_up_to_the_end_of_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    assert prompt_tokens(Letters(), TURNS[:1]) == letters("ab?>")
    assert conversation_tokens(Letters(), TURNS) == letters("ab?>cd.")
    assert row_of(Letters(), TURNS) == (letters("ab?>cd."), [False] * 4 + [True] * 3)
    monkeypatch.setattr(module, "LONGEST_ROW", 5)
    assert row_of(Letters(), TURNS) == (letters("ab?>c"), [False] * 4 + [True])
    bare = Letters(None)
    assert prompt_tokens(bare, TURNS) == conversation_tokens(bare, TURNS) == [0, *letters("ab\ncd")]
    nothing = [{"role": "user", "content": ""}, {"role": "assistant", "content": "x"}]
    monkeypatch.setattr(Letters, "apply_chat_template", lambda *_, **__: "cd")
    monkeypatch.setattr(module, "prompt_tokens", lambda *_: [])
    assert row_of(Letters(), nothing)[1] == [False, True], "nothing comes before the first token"


def test_where_nothing_is_held_out_the_answers_become_rows() -> None:
    found = material_of(None, Letters(), 2)
    assert [asked for asked, _ in found.conversations] == [
        [{"role": "user", "content": t}] for t in OWN_PROMPTS[:2]
    ]
    assert found.conversations[0][1][1] == {"role": "assistant", "content": "Yes."}
    assert (found.prompts[0], found.rows) == (letters(f"{OWN_PROMPTS[0]}?>"), [])
    assert found.source == "prompts of Luthier's own, with the answers that the run's model gives"
    made = answered(found, [[1, 2], []])
    assert made.rows == [(found.prompts[0] + [1, 2], [False] * len(found.prompts[0]) + [True] * 2)]
    assert (made.prompts, made.source) == (found.prompts, found.source)
    few = narrowed(made, 1, 1)
    assert few.rows[0][1] == [False] * len(found.prompts[0]) + [True, False]
    assert narrowed(made, 0, 1).rows == []


@pytest.mark.parametrize(("row", "found"), [
    ("{", None), ("[1]", None), ({"messages": TURNS}, TURNS), ({"messages": TURNS[:1]}, None),
    ({"messages": TURNS[::-1]}, None), ({"messages": "ab"}, None), ({"messages": [*TURNS, {"role": "user"}]}, None),
    ({"messages": [{"role": "", "content": "a"}, TURNS[1]]}, None), ({"messages": [3, TURNS[1]]}, None),
    ({"messages": [TURNS[0], TURNS[1] | {"tool_calls": []}]}, None),
    ({"messages": [TURNS[0] | {"weight": 1}, TURNS[1]]}, TURNS), ({"prompt": "ab", "completion": "cd"}, TURNS),
    ({"prompt": "ab", "completion": "cd", "messages": []}, TURNS), ({"prompt": "ab"}, None),
    ({"prompt": ["ab"], "completion": "cd"}, None),
])  # fmt: skip
def test_rows_of_plain_texts_that_end_with_an_answer_are_conversations(row: Any, found: Any) -> None:
    line = row if isinstance(row, str) else json.dumps(row)
    assert module._conversation(line, TrainConfig()) == found


def test_held_out_rows_are_those_of_the_first_split_that_has_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig(model="m", data="d")
    run: RunDir = prepare_run(config, tmp_path / "run")
    save_config(config, run.config)
    files = [
        ("test", tmp_path / "test.parquet"),
        ("test", tmp_path / "test.jsonl"),
        ("valid", tmp_path / "valid.jsonl"),
    ]
    monkeypatch.setattr(module, "held_out_files", lambda _run, _config: files)
    good = json.dumps({"messages": TURNS}) + "\n"
    (tmp_path / "test.jsonl").write_text("{}\n" * 5 + good * 3)
    (tmp_path / "valid.jsonl").write_text("{}\n" + good)
    found = material_of(run.path, Letters(), 2)
    assert (len(found.rows), found.source) == (2, "2 rows of the run's test data"), "of four times as many lines"
    assert found.rows[0] == row_of(Letters(), TURNS)
    found = material_of(run.path, Letters(), 1)
    assert (len(found.rows), found.source) == (1, "1 row of the run's validation data")
    (tmp_path / "valid.jsonl").write_text("{}\n")
    assert material_of(run.path, Letters(), 1).rows == []


def test_an_engine_reads_prompts_answers_and_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    class Telling:
        name = "one"

        def prompt(self, messages: Any) -> list[int]:
            return [len(messages), messages[-1] == FOLLOW_UP]

        def ends(self) -> frozenset[int]:
            return frozenset({7})

        def log_probabilities(self, tokens: Any, places: Any) -> Any:
            return [-float(tokens[place]) for place in places]

        def answer(self, tokens: Any, limit: int) -> tuple[list[int], list[float]]:
            return [*tokens, limit], [0.5]

    monkeypatch.setattr("app.worker.certificate.engine.ANSWERS", 1)
    rows = [([5, 6, 7], [True, False, True]), ([8], [True]), ([1, 2], [False, True])]
    told: list[tuple[int, int]] = []
    engine: Any = Telling()
    given = Material([(TURNS[:1], TURNS)], [[3], [4]], rows, "x")
    found = read_with(engine, given, lambda done, total: told.append((done, total)))
    assert found.prompts == [[1, False]]
    assert (found.ends, found.answers, found.margins) == (frozenset({7}), [[3, ANSWER_TOKENS]], [[0.5]])
    assert found.log_probabilities == [[-7.0], [], [-2.0]], "of the first token nothing is known"
    assert [3, True] in vars_of(found)
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def vars_of(found: Any) -> list[Any]:
    return [one for name in found.__slots__ if isinstance(value := getattr(found, name), list) for one in value]


def test_a_message_costs_its_latency_and_a_long_one_its_bytes_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    asked: list[int] = []

    def summed(arrays: dict[str, mx.array]) -> None:
        (array,) = arrays.values()
        assert array.dtype == mx.float32
        asked.append(array.size)
        now[0] += 0.25 if array.size == 1 else 2.25

    monkeypatch.setattr(speed, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    group: Any = SimpleNamespace(summed=summed)
    assert exchange_speed(group) == ExchangeSpeed(0.25, 4_000_000.0)
    assert asked == [1] * 21 + [2_000_000] * 5, "the first of each is not counted"
