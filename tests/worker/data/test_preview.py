"""The preview: texts of tokens, what is put together of them, what is found, and what is told of odd rows."""

from __future__ import annotations

import io
import json
import queue
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.core.config.train_config import TrainConfig
from app.core.data.prepare import prepare_data
from app.core.protocol.command import Command, Pause, SearchExamples, ShowExample, Stop
from app.core.protocol.event import Event, Finished, Progressed, Ready, Result, Warned, parse_event
from app.core.protocol.job import CheckJob, PreviewJob
from app.worker.data import preview as preview_module
from app.worker.data.check import check
from app.worker.data.preview import Preview, PreviewFile, shown_example, special_ids, text_runs, token_texts
from app.worker.process.channel import Channel
from app.worker.token.token_set import Example
from tests.worker.tiny_tokenizer import TEMPLATES, load, save_tokenizer

SHORT = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
ODD = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "tool_calls": [3]}]}


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tokenizer(tmp_path_factory.mktemp("model"), TEMPLATES["chatml"])


class OneByteATokenTokenizer:
    """A token a byte, and two control tokens."""

    all_special_ids = (300, 301)
    added_tokens_decoder = {301: "<x>"}  # noqa: RUF012

    def convert_ids_to_tokens(self, number: int) -> str:
        return f"<{number}>"

    def decode(self, ids: list[int], *, skip_special_tokens: bool, clean_up_tokenization_spaces: bool) -> str:
        assert (skip_special_tokens, clean_up_tokenization_spaces) == (False, False)
        return bytes(ids).decode("utf-8", "replace")


def test_a_character_stands_at_the_first_of_its_tokens_and_a_broken_one_as_such() -> None:
    tokenizer = OneByteATokenTokenizer()
    assert special_ids(tokenizer) == {301: "<x>", 300: "<300>"}
    assert token_texts(tokenizer, [97, 0xC3, 0xA9, 0xC3, 300, 301, 98, 0xE2, 0x82]) == [
        "a", "é", "", "�", "<300>", "<x>", "b", "�", "",
    ]  # fmt: skip
    assert token_texts(tokenizer, []) == []
    assert token_texts(tokenizer, [0xC3]) == ["�"]


def test_runs_end_where_kind_or_training_changes() -> None:
    tokens = [{"id": 1, "text": text, "kind": kind, "trained": trained} for text, kind, trained in (
        ("a", "masked", False), ("b", "masked", False), ("c", "masked", True), ("d", "special", True))]  # fmt: skip
    assert text_runs(tokens) == [
        {"kind": "masked", "trained": False, "text": "ab", "start": 0, "end": 2},
        {"kind": "masked", "trained": True, "text": "c", "start": 2, "end": 3},
        {"kind": "special", "trained": True, "text": "d", "start": 3, "end": 4},
    ]
    assert text_runs([]) == []


def test_rows_are_found_by_any_of_their_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview_module, "FOUND_LIMIT", 2)
    path = tmp_path / "rows.jsonl"
    rows: list[Any] = [
        {"a": "Straße"}, {"a": [{"b": "die STRASSE"}]}, {"strasse": 1, "c": None}, {"a": ["x", "strasse"]},
        {"n": 10**30},
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = PreviewFile.of(path)
    assert (len(file), file.row(4), file.row(0)) == (5, {"n": 10**30}, {"a": "Straße"})
    assert file.search("strasse", 0) == ([0, 1], True)
    assert file.search("strasse", 1) == ([1, 3], False)
    assert file.search("strasse", 2) == ([3], False)
    assert file.search("strasse", 5) == ([], False)
    with path.open("a") as more:  # what is written meanwhile is none of its rows
        more.write('{"a": "strasse"}\n')
    assert file.search("strasse", 2) == ([3], False)


def config_of(tmp_path: Path, model: Path, rows: list[Any], **values: Any) -> TrainConfig:
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shares = {"valid_fraction": 0.0, "test_fraction": 0.0, "skip_bad_rows": True, "mask_prompt": True}
    return TrainConfig(model=str(model), data=str(tmp_path / "data.jsonl"), **shares | values)


def test_an_example_has_its_tokens_by_kind_and_how_many_there_are(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(tmp_path, model, [SHORT, SHORT], max_seq_length=16)
    monkeypatch.setattr(preview_module, "SHOWN_TOKENS", 6)
    preview = Preview(prepare_data(config, tmp_path / "p"), OneByteATokenTokenizer(), config)
    tokens = np.array([300, *b"abcdefghijklmnop", 301, 33], np.int32)
    found = preview._shown(Example(tokens, np.arange(19) >= 4))
    assert found["tokens"] == [
        {"id": 300, "text": "<300>", "kind": "special", "trained": False},
        *({"id": ord(text), "text": text, "kind": "masked", "trained": False} for text in "abc"),
        *({"id": ord(text), "text": text, "kind": "trained", "trained": True} for text in "de"),
    ]
    assert found["counts"] == {"tokens": 19, "trained": 12, "truncated": 3, "special": 1}
    assert (found["shown"], len(found["runs"])) == (6, 3)
    monkeypatch.setattr(preview_module, "SHOWN_TOKENS", 100)
    found = preview._shown(Example(tokens, np.ones(19, np.bool_)))
    assert [token["kind"] for token in found["tokens"]] == ["special", *["trained"] * 15, *["truncated"] * 3]
    assert [token["trained"] for token in found["tokens"]] == [False, *[True] * 15, *[False] * 3]
    assert found["counts"] == {"tokens": 19, "trained": 15, "truncated": 3, "special": 2}


def test_rows_are_shown_with_where_they_are_from_and_what_is_wrong_with_them(tmp_path: Path, model: Path) -> None:
    tokenizer = load(model)
    config = config_of(tmp_path, model, [{"broken": 1}, SHORT, ODD])
    preview = Preview(prepare_data(config, tmp_path / "p"), tokenizer, config)
    assert preview.totals() == {"train": 2}
    first, odd = preview.example("train", 0), preview.example("train", 1)
    assert (first["split"], first["index"], first["count"], first["row"]) == ("train", 0, 2, SHORT)
    assert (first["file"], first["line"], odd["line"]) == (config.data, 2, 3)
    assert (first["refused"], first["problems"]) == ("", [])
    assert odd["refused"].startswith("The chat template cannot render the row")
    assert (odd["tokens"], odd["runs"], odd["counts"], odd["shown"]) == ([], [], {}, 0)
    seen = shown_example(SHORT, tokenizer, config)
    assert seen["trained"] == ["Hello<|im_end|>\n"]
    assert seen["text"] == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n"
    assert seen["parts"] == [
        ("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", False), ("Hello<|im_end|>\n", True),
        ("\n", False),
    ]  # fmt: skip
    odd = shown_example(ODD, tokenizer, config)
    assert odd["refused"].startswith("The chat template cannot render the row")
    assert (odd["text"], odd["trained"], odd["parts"]) == ("", [], [])
    cut = shown_example(SHORT, tokenizer, config.with_value("max_seq_length", 8))
    assert (cut["text"], cut["trained"]) == (tokenizer.decode(tokenizer.encode(seen["text"])[:8]), [])
    rated = config.with_value("train_mode", "dpo")
    bare = load(save_tokenizer(tmp_path / "bare", None))
    pair = {"prompt": SHORT["messages"][:1], "chosen": SHORT["messages"][1:], "rejected": SHORT["messages"][1:]}
    assert "has no chat template" in shown_example(pair, bare, rated)["refused"]


def test_pairs_stand_below_each_other(tmp_path: Path, model: Path) -> None:
    turns = [{"role": "user", "content": "One."}, {"role": "user", "content": "Two."}]
    pair = {"prompt": "Hi", "chosen": "A", "rejected": "B"}
    config = config_of(tmp_path, model, [pair, pair | {"prompt": turns}], train_mode="dpo", max_seq_length=64)
    preview = Preview(prepare_data(config, tmp_path / "p"), load(model), config)
    shown = preview.example("train", 0)
    begin = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert "".join(token["text"] for token in shown["tokens"]) == (
        f"Chosen\n{begin}A<|im_end|>\n\nRejected\n{begin}B<|im_end|>\n"
    )
    assert [run["kind"] for run in shown["runs"][:3]] == ["special", "plain", "special"]
    assert shown["counts"]["tokens"] == shown["shown"] == sum(token["id"] >= 0 for token in shown["tokens"])
    assert shown["counts"]["trained"] == 2 * 3
    strict = load(save_tokenizer(tmp_path / "strict", TEMPLATES["mistral"]))
    refused = Preview(prepare_data(config, tmp_path / "q"), strict, config).example("train", 1)
    assert "alternate" in refused["refused"]
    assert (refused["tokens"], refused["counts"]) == ([], {})
    assert preview_module._headed("", [{"text": "a"}], []) == [{"text": "a"}]
    gaps = [preview_module._headed("H", [], [{"text": before}])[0]["text"] for before in ("a\n", "a")]
    assert gaps == ["\n", "\n\n"]


def run_task(task: Any, folder: Path, job: Any, *commands: Command) -> list[Event]:
    out, asked = io.StringIO(), queue.Queue[Command]()
    for command in commands:
        asked.put(command)
    task(Channel(out, asked), folder, job)
    return [parse_event(line) for line in out.getvalue().splitlines()]


def test_what_is_asked_before_it_is_ready_is_answered_then_and_a_stop_ends_it(tmp_path: Path, model: Path) -> None:
    config = config_of(tmp_path, model, [SHORT] * 3)
    job = PreviewJob(config=config.model_dump(mode="json"))
    ask = (ShowExample(index=2), SearchExamples(split="valid", text="x"), ShowExample(index=3),
           ShowExample(index=-1), Pause(), SearchExamples(text="hi", start=1), Stop())  # fmt: skip
    parent, asked = io.StringIO(), queue.Queue[Command]()

    class Answering(Channel):
        """Asks as soon as it is told that there is who answers."""

        def put(self, event: Event) -> None:
            super().put(event)
            if isinstance(event, Ready):
                for command in ask:
                    asked.put(command)

    preview_module.preview(Answering(parent, asked), tmp_path / "job", job)
    told = [parse_event(line) for line in parent.getvalue().splitlines()]
    assert told[0].model_dump()["phase"] == "Loading the tokenizer"
    ready = next(at for at, event in enumerate(told) if isinstance(event, Ready))
    answers = told[ready + 1 :]
    assert [type(event) for event in answers] == [Result, Warned, Warned, Warned, Warned, Result, Finished]
    assert [event.message for event in answers if isinstance(event, Warned)] == [
        "There is no search of valid to show.", "There is no example 4: there are 3.",
        "There is no example 0: there are 3.", "The command `pause` means nothing to this task.",
    ]  # fmt: skip
    results = [event.data for event in answers if isinstance(event, Result)]
    assert results[0]["index"] == 2
    assert results[1] == {"split": "train", "indices": [1, 2], "more": False}
    last = run_task(preview_module.preview, tmp_path / "other", job, Stop())
    assert isinstance(last[-1], Finished)
    assert last[-1].reason == "stopped"
    assert not [event for event in last if isinstance(event, Ready | Result)]
    assert [event.phase for event in last if isinstance(event, Progressed)] == [
        "Loading the tokenizer",
        "Reading the data",
    ]


def test_a_check_shows_the_first_examples_and_is_stopped(tmp_path: Path, model: Path) -> None:
    config = config_of(tmp_path, model, [SHORT] * 3)
    job = CheckJob(files=(Path(config.data),), model=str(model), show=2, config={"mask_prompt": True})
    told = run_task(check, tmp_path / "job", job)
    (found,) = [event.data for event in told if isinstance(event, Result)]
    assert [(one["file"], one["line"], one["trained"]) for one in found["shown"]] == [
        (config.data, line, ["Hello<|im_end|>\n"]) for line in (1, 2)
    ]
    assert (
        run_task(check, tmp_path / "none", job.model_copy(update={"show": 0}))[-2].model_dump()["data"]["shown"]
        == []
    )
    told = run_task(check, tmp_path / "stopped", job, Stop())
    assert isinstance(told[-1], Finished)
    assert told[-1].reason == "stopped"
    assert not [event for event in told if isinstance(event, Result)]
