"""Pairs and prompts counted as their trainer tokenizes them: lengths, what is cut and left out, cache, stop."""

from __future__ import annotations

import io
import json
import queue
from pathlib import Path
from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.data.prepare import prepare_data
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.command import Command, Stop
from app.core.protocol.event import parse_event
from app.core.protocol.job import TokenizeJob
from app.worker.data.check import tokenize
from app.worker.data.preview import Preview
from app.worker.data.rated_statistic import rated_statistics
from app.worker.process.channel import Channel
from app.worker.token import cache as token_cache
from app.worker.token import rated_token
from app.worker.token.prompt import tokenize_prompts
from app.worker.token.rated_answer import tokenize_pairs
from app.worker.token.rated_token import tokenize_rated
from tests.worker.tiny_tokenizer import CHATML, MISTRAL, load, save_tokenizer

PAIRS = [
    {"prompt": "Which string is the thickest?", "chosen": "G.", "rejected": "The thickest string is the G string."},
    {"prompt": "word " * 60, "chosen": "Yes.", "rejected": "No."},
    {"prompt": "Who?", "chosen": "word " * 80, "rejected": "Me."},
]
PROMPTS = [{"prompt": "Add 2 and 3.", "answer": "5"}, {"prompt": "word " * 60, "answer": "none"}]
LIMIT = 64


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tokenizer(tmp_path_factory.mktemp("model"), CHATML)


def config_of(folder: Path, model: Path, rows: list[Any], **values: Any) -> TrainConfig:
    data = folder / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    base: dict[str, Any] = {
        "train_mode": "dpo",
        "valid_fraction": 0.0,
        "test_fraction": 0.0,
        "max_seq_length": LIMIT,
    }
    return TrainConfig(model=str(model), data=str(data), **base | {"max_completion_length": 20} | values)


def events_of(config: TrainConfig, folder: Path, *commands: Command) -> list[event.Event]:
    out, asked = io.StringIO(), queue.Queue[Command]()
    for command in commands:
        asked.put(command)
    tokenize(Channel(out, asked), folder / "job", TokenizeJob(config=config.model_dump(mode="json")))
    return [parse_event(line) for line in out.getvalue().splitlines()]


def result_of(config: TrainConfig, folder: Path) -> dict[str, Any]:
    return next(said.data for said in events_of(config, folder) if isinstance(said, event.Result))


@pytest.mark.parametrize("mode", ["dpo", "cpo", "orpo", "kto"])
def test_pairs_are_counted_as_the_trainer_cuts_them(tmp_path: Path, model: Path, mode: str) -> None:
    config = config_of(tmp_path, model, PAIRS, train_mode=mode)
    data = result_of(config, tmp_path)
    figures = data["splits"]["train"]
    trained = tokenize_pairs(prepare_data(config, tmp_path / "p").train, load(model), config)

    assert (figures["kind"], figures["examples"], figures["usable_examples"]) == ("pairs", 3, len(trained))
    assert figures["kept_tokens"] == int(trained.answers.lengths.sum())
    assert figures["trained_tokens"] == int(trained.answers.trained.sum())
    assert figures["longest_used"] == int(trained.answers.lengths.max()) == LIMIT
    assert figures["untrained_examples"] == trained.skipped == 1
    assert figures["over_length"] == 2
    assert sum(figures["histogram"]["counts"]) == 3
    assert figures["histogram"]["edges"][-1] > figures["longest"] > 160
    assert set(figures["parts"]) == {"prompt", "chosen", "rejected"}
    assert figures["parts"]["chosen"]["longest"] > figures["parts"]["rejected"]["longest"]
    told = {found["kind"]: found for found in data["warnings"]}
    assert (told["no_room"]["line"], told["over_length"]["line"]) == (2, 3)
    assert "chosen answer" in told["over_length"]["reason"]
    assert Path(told["no_room"]["file"]).name == "rows.jsonl"


def test_labelled_answers_are_counted_one_by_one(tmp_path: Path, model: Path) -> None:
    rows = [
        {"prompt": "Who?", "completion": answer, "label": answer != "no"} for answer in ("me " * 9, "no", "you")
    ]
    config = config_of(tmp_path, model, [*rows, {"prompt": "word " * 60, "completion": "so", "label": True}],
                       train_mode="kto")  # fmt: skip
    figures = result_of(config, tmp_path)["splits"]["train"]
    trained = tokenize_pairs(prepare_data(config, tmp_path / "p").train, load(model), config)
    assert (figures["kind"], figures["examples"], figures["usable_examples"]) == ("answers", 4, len(trained))
    assert figures["kept_tokens"] == int(trained.answers.lengths.sum())
    assert set(figures["parts"]) == {"prompt", "answer"}
    preview = Preview(prepare_data(config, tmp_path / "p"), load(model), config)
    assert "".join(t["text"] for t in preview.example("train", 1)["tokens"]).startswith("Bad answer\n<|im_start|>")


@pytest.mark.parametrize("mode", ["grpo", "online_dpo"])
def test_prompts_without_room_are_counted_as_the_trainer_leaves_them_out(
    tmp_path: Path, model: Path, mode: str
) -> None:
    config = config_of(tmp_path, model, PROMPTS, train_mode=mode, updates_per_generation=2)
    data = result_of(config, tmp_path)
    figures = data["splits"]["train"]
    trained = tokenize_prompts(prepare_data(config, tmp_path / "p").train, load(model), config)

    assert (figures["kind"], figures["limit"]) == ("prompts", LIMIT - 20)
    assert (figures["examples"], figures["usable_examples"]) == (2, len(trained))
    assert figures["kept_tokens"] == figures["longest_used"] == len(trained.tokens[0])
    assert figures["untrained_examples"] == trained.skipped == 1
    assert figures["longest"] > LIMIT
    assert figures["iterations_per_epoch"] == 2
    assert [(found["kind"], found["line"]) for found in data["warnings"] if found["line"]] == [("no_room", 2)]

    roomy = result_of(config.with_value("max_seq_length", 400), tmp_path)
    assert roomy["splits"]["train"]["untrained_examples"] == 0
    assert "no_room" not in roomy["counts"]


def test_the_same_file_is_counted_anew_for_another_kind_of_method(tmp_path: Path, model: Path) -> None:
    rows = [{"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me, I think."}]}]
    sft = config_of(tmp_path, model, rows, train_mode="sft")
    whole = result_of(sft, tmp_path)["splits"]["train"]
    prompt = result_of(sft.with_value("train_mode", "grpo"), tmp_path)["splits"]["train"]
    assert (whole["kind"], prompt["kind"]) == ("examples", "prompts")
    assert whole["trained_tokens"] > 0
    assert prompt["tokens"] < whole["tokens"]


def test_the_cache_serves_other_lengths_and_methods_of_the_kind(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, tokenizer = config_of(tmp_path, model, PAIRS), load(model)
    path = prepare_data(config, tmp_path / "p").train
    first = rated_statistics(tokenize_rated(path, tokenizer, config), config)

    def refuse(*_: Any) -> None:
        raise AssertionError("tokenized again")

    monkeypatch.setattr(rated_token, "tokenize_pairs", refuse)
    longer = config.with_values({"max_seq_length": 900, "train_mode": "orpo"})
    second = rated_statistics(tokenize_rated(path, tokenizer, longer), longer)
    assert (first["usable_examples"], second["usable_examples"]) == (2, 3)
    assert second["cut_tokens"] == 0
    assert token_cache.cache_key(path, tokenizer, config) != token_cache.cache_key(
        path, tokenizer, config, "prompt"
    )


def test_refused_rows_are_told_and_the_others_counted(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "One."}, {"role": "user", "content": "Two."}]
    rows = [PAIRS[0], {"prompt": turns, "chosen": "A.", "rejected": "B."}, PAIRS[0] | {"chosen": "The G."}]
    config = config_of(tmp_path, save_tokenizer(tmp_path / "strict", MISTRAL), rows, skip_bad_rows=True)
    data = result_of(config, tmp_path)
    assert data["splits"]["train"]["examples"] == 2
    assert [(found["kind"], found["line"]) for found in data["errors"]] == [("template_refused", 2)]
    assert "alternate" in data["errors"][0]["reason"]


def test_all_refused_rows_leave_empty_figures(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "One."}, {"role": "user", "content": "Two."}]
    strict = save_tokenizer(tmp_path / "strict", MISTRAL)
    config = config_of(tmp_path, strict, [{"prompt": turns, "chosen": "A.", "rejected": "B."}], skip_bad_rows=True)
    data = result_of(config, tmp_path)
    assert data["splits"]["train"]["examples"] == data["splits"]["train"]["tokens"] == 0
    assert data["counts"]["template_refused"] == 1


def test_a_model_without_a_template_cannot_count(tmp_path: Path) -> None:
    bare = save_tokenizer(tmp_path / "bare", None)
    for rows, mode in ((PAIRS, "dpo"), (PROMPTS, "grpo")):
        config = config_of(tmp_path, bare, rows, train_mode=mode)
        with pytest.raises(UnusableError) as raised:
            events_of(config, tmp_path)
        assert raised.value.problems[0].path == "model"


def test_a_stop_ends_the_count_and_leaves_nothing_in_the_cache(tmp_path: Path, model: Path) -> None:
    said = events_of(config_of(tmp_path, model, PAIRS * 400), tmp_path, Stop())
    assert isinstance(said[-1], event.Finished)
    assert said[-1].reason == "stopped"
    assert not list(token_cache.cache_folder().glob("*"))


def test_the_preview_shows_both_answers_below_each_other(tmp_path: Path, model: Path) -> None:
    config = config_of(tmp_path, model, PAIRS)
    preview = Preview(prepare_data(config, tmp_path / "p"), load(model), config)
    shown = preview.example("train", 0)
    text = "".join(token["text"] for token in shown["tokens"])
    assert text.startswith("Chosen\n<|im_start|>user\nWhich string")
    assert (
        text.index("G.<|im_end|>") < text.index("Rejected\n") < text.index("The thickest string is the G string.")
    )
    trained = "".join(token["text"] for token in shown["tokens"] if token["trained"])
    assert trained == "G.<|im_end|>\nThe thickest string is the G string.<|im_end|>\n"
    assert shown["counts"]["truncated"] == 0
    assert preview.example("train", 1)["problems"] == ["left out: no room for an answer"]
    assert preview.example("train", 2)["counts"]["truncated"] > 0


def test_the_preview_shows_a_prompt_with_its_reference_answer(tmp_path: Path, model: Path) -> None:
    config = config_of(tmp_path, model, PROMPTS, train_mode="grpo")
    preview = Preview(prepare_data(config, tmp_path / "p"), load(model), config)
    shown = preview.example("train", 0)
    text = "".join(token["text"] for token in shown["tokens"])
    assert text == "<|im_start|>user\nAdd 2 and 3.<|im_end|>\n<|im_start|>assistant\n\nReference answer\n5"
    assert shown["counts"]["trained"] == 0
    assert (shown["problems"], preview.example("train", 1)["problems"]) == ([], ["left out: no room for an answer"])
    preview.configure({"max_completion_length": 16, "max_seq_length": 400})
    assert preview.example("train", 1)["problems"] == []
