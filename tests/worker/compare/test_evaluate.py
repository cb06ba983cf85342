"""The measuring worker: its losses are those of one example at a time, whatever the batches."""

from __future__ import annotations

import io
import json
import math
import queue
import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx_lm import generate, load

from app.core.compare.comparison import exchange_of
from app.core.compare.figure_row import figure_rows, signed, verdicts
from app.core.config.train_config import TrainConfig
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.command import Command, Stop
from app.core.protocol.event import Event, parse_event
from app.core.protocol.job import AskedScores, EvaluateJob
from app.core.system.reward_trust import content_hash
from app.worker.compare.evaluate import evaluate
from app.worker.compare.score import scoring_of
from app.worker.process.channel import Channel
from tests.worker.answering_model import make_adapter, make_model
from tests.worker.tiny_model import write_data


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("evaluate")
    make_model(root / "base")
    make_adapter(root / "base", root / "lora")
    write_data(root / "data", train=4, valid=40, longest=60)
    return root


def run(place: Path, folder: Path, commands: tuple[Command, ...] = (), **job: Any) -> list[Event]:
    out, waiting = io.StringIO(), queue.Queue[Command]()
    for command in commands:
        waiting.put(command)
    whole = {"model": str(place / "base"), "data": str(place / "data" / "valid.jsonl")} | job
    evaluate(Channel(out, waiting), folder, EvaluateJob(**whole))
    return [parse_event(line) for line in out.getvalue().splitlines()]


def result(events: list[Event]) -> dict[str, Any]:
    return next(e.data for e in events if isinstance(e, event.Result))


def alone(place: Path, adapter: str | None, *, answers_only: bool, longest: int) -> list[tuple[float, int]]:
    """Loss (sum of nats) and targets of each example, computed one by one from the definition."""
    model, tokenizer = load(str(place / "base"), adapter_path=adapter)
    found = []
    for line in (place / "data" / "valid.jsonl").read_text().splitlines():
        messages = json.loads(line)["messages"]
        tokens = tokenizer.apply_chat_template(messages)[:longest]
        prompt = tokenizer.apply_chat_template(messages[:-1], add_generation_prompt=True)
        logits = model(mx.array([tokens[:-1]]))[0]
        each = nn.losses.cross_entropy(logits, mx.array(tokens[1:]))
        first = len(prompt) - 1 if answers_only else 0
        found.append((each[first:].sum().item(), len(tokens) - 1 - first))
    return found


@pytest.mark.parametrize("answers_only, longest", [(False, 1024), (True, 1024), (False, 50)])
def test_losses_are_those_of_each_example_alone(
    place: Path, tmp_path: Path, answers_only: bool, longest: int
) -> None:
    config = {"mask_prompt": answers_only, "max_seq_length": longest}
    found = result(run(place, tmp_path, adapters=[None, str(place / "lora")], config=config))
    assert found["examples"] == 40
    for column, adapter in zip(found["columns"], (None, str(place / "lora")), strict=True):
        expected = alone(place, adapter, answers_only=answers_only, longest=longest)
        assert column["adapter"] == adapter
        assert column["tokens"] == sum(count for _, count in expected)
        assert found["tokens"] == [count for _, count in expected]
        assert column["per_example"] == pytest.approx([total / count for total, count in expected], rel=1e-4)
        loss = sum(total for total, _ in expected) / column["tokens"]
        assert column["loss"] == pytest.approx(loss, rel=1e-5)
        assert column["perplexity"] == pytest.approx(math.exp(loss), rel=1e-4)


def test_a_small_batch_gives_the_same(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = result(run(place, tmp_path / "a"))
    monkeypatch.setattr("app.worker.objective.example_loss.LARGEST_PIECE", 1)
    small = result(run(place, tmp_path / "b"))
    assert large["columns"][0]["per_example"] == pytest.approx(small["columns"][0]["per_example"], rel=1e-5)


def test_other_forms_of_data_are_read_too(place: Path, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("question,answer\nabc,ab\ndefg,de\n")
    found = result(run(place, tmp_path / "job", data=str(tmp_path / "test.csv")))
    assert found["examples"] == 2
    assert found["columns"][0]["tokens"] == sum(found["tokens"])


def test_training_data_are_called_by_their_name(place: Path, tmp_path: Path) -> None:
    adapter = make_adapter(place / "base", tmp_path / "own")
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"data": str(place / "data")}))
    held_out = run(place, tmp_path / "a", adapters=[str(adapter)])
    trained_on = run(place, tmp_path / "b", adapters=[str(adapter)], data=str(place / "data" / "train.jsonl"))
    assert not [e for e in held_out if isinstance(e, event.Warned)]
    assert ["trained on these very examples" in e.message for e in trained_on if isinstance(e, event.Warned)]
    assert result(held_out)["columns"][0]["trained_on"] == 0
    # A file is known by what is in it: some of the rows under another name, in another order, beside new ones.
    rows = (place / "data" / "train.jsonl").read_text().splitlines()
    new = (place / "data" / "valid.jsonl").read_text().splitlines()[:1]
    (tmp_path / "copy.jsonl").write_text("\n".join([*new, *reversed(rows[:3])]) + "\n")
    found = run(place, tmp_path / "c", adapters=[None, str(adapter)], data=str(tmp_path / "copy.jsonl"))
    assert [column["trained_on"] for column in result(found)["columns"]] == [0, 3]
    assert ["3 of these examples" in e.message for e in found if isinstance(e, event.Warned)] == [True]
    assert "Held-out loss" not in [row.label for row in figure_rows(result(found))]
    assert "3 of these 4 examples" in verdicts(result(found), ["base", "tuned"])[0]


def test_every_column_is_compared_with_the_first(place: Path, tmp_path: Path) -> None:
    found = result(run(place, tmp_path, adapters=[None, str(place / "lora"), None]))
    base, tuned, again = found["columns"]
    assert base["difference"] is None
    difference = tuned["difference"]
    assert difference["difference"] == pytest.approx(tuned["loss"] - base["loss"], abs=1e-9)
    assert difference["low"] < difference["difference"] < difference["high"]
    pairs = list(zip(base["per_example"], tuned["per_example"], strict=True))
    assert difference["better"] == sum(after < before for before, after in pairs)
    assert (again["difference"]["same"], again["difference"]["verdict"]) == (40, "The same on all 40.")
    assert (base["parameters"], tuned["parameters"] > 0, tuned["run"]) == (0, True, None)


def test_what_each_column_learned_and_forgot_at_its_strength(place: Path, tmp_path: Path) -> None:
    lora = str(place / "lora")
    config = {"neutral_tokens": 100}
    found = result(run(place, tmp_path, adapters=[None, lora, lora], strengths=[1.0, 1.0, 0.0], config=config))
    base, tuned, none = found["columns"]
    assert found["neutral"]["source"] == "sampled"
    assert found["neutral"]["tokens"] == 100
    assert [column["strength"] for column in found["columns"]] == [1.0, 1.0, 0.0]
    assert (base["learned"], base["forgot"]) == (0, 0)
    assert none["loss"] == pytest.approx(base["loss"], abs=1e-6)
    assert none["forgot"] == pytest.approx(0, abs=1e-6)
    assert tuned["learned"] == pytest.approx(base["loss"] - tuned["loss"])
    assert tuned["forgot"] > 0.01
    rows = {row.label: row.cells for row in figure_rows(found)}
    assert rows["Strength"] == ("–", "1", "0")
    assert rows["Forgot"][:2] == ("–", signed(tuned["forgot"]))
    said = f"Learned {tuned['learned']:.2f}, forgot {tuned['forgot']:.2f}."
    assert verdicts(found, ["base", "tuned", "none"])[0].endswith(said)


def test_without_neutral_tokens_nothing_is_said_of_it(place: Path, tmp_path: Path) -> None:
    found = result(run(place, tmp_path, adapters=[None, str(place / "lora")], config={"neutral_tokens": 0}))
    assert found["neutral"] is None
    assert [column["forgot"] for column in found["columns"]] == [None, None]
    assert "Forgot" not in [row.label for row in figure_rows(found)]
    assert "orgot" not in verdicts(found, ["base", "tuned"])[0]


def test_the_examples_that_moved_most_are_shown_with_their_text_and_line(place: Path, tmp_path: Path) -> None:
    found = result(run(place, tmp_path, adapters=[None, str(place / "lora")]))
    base, tuned = found["columns"]
    moves = [after - before for before, after in zip(base["per_example"], tuned["per_example"], strict=True)]
    first = tuned["moved"]["better"][0]
    assert first["loss"] - first["reference"] == pytest.approx(min(moves))
    row = json.loads((place / "data" / "valid.jsonl").read_text().splitlines()[first["line"] - 1])
    assert [first["prompt"], first["answer"]] == [turn["content"] for turn in row["messages"]]
    assert tuned["moved"]["worse"][0]["number"] == moves.index(max(moves))


def test_greedy_answers_are_scored_and_are_those_of_stock_mlx_lm(place: Path, tmp_path: Path) -> None:
    adapter = str(place / "lora")
    model, tokenizer = load(str(place / "base"), adapter_path=adapter)
    rows = [json.loads(line)["messages"] for line in (place / "data" / "valid.jsonl").read_text().splitlines()]
    prompts = [tokenizer.apply_chat_template(turns[:-1], add_generation_prompt=True) for turns in rows[:3]]
    answers = [generate(model, tokenizer, prompt, max_tokens=5) for prompt in prompts]
    rewards = tmp_path / "rewards.py"
    lines = [f"    return [float(text == {answers!r}[n]) for n, text in enumerate(completions)]"]
    rewards.write_text("\n".join(["def stock(prompts, completions, answer, types=None):", *lines]) + "\n")
    found = result(
        run(
            place,
            tmp_path / "job",
            adapters=[None, adapter],
            config={"reward_functions_file": str(rewards)},
            reward_file_sha256=content_hash(rewards),
            scores={"functions": ["stock", "short"], "limit": 3, "max_tokens": 5},
        )
    )
    assert found["scored"] == {"functions": ["stock", "short"], "prompts": 3, "of": 40, "max_tokens": 5}
    base, tuned = (column["scores"] for column in found["columns"])
    assert tuned["stock"]["values"] == [1.0, 1.0, 1.0]
    assert tuned["stock"]["difference"]["difference"] == 1.0 - base["stock"]["mean"]
    assert base["short"]["difference"] is None


def test_scores_that_cannot_be_had_are_refused_in_words(place: Path, tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match="no reward function nonsense"):
        run(place, tmp_path / "a", scores={"functions": ["nonsense"]})
    (tmp_path / "text.jsonl").write_text('{"text": "abc"}\n')
    with pytest.raises(UnusableError, match="prompt and an answer"):
        run(place, tmp_path / "b", data=str(tmp_path / "text.jsonl"), scores={"functions": ["exact_match"]})


def test_everything_that_is_wrong_is_told_at_once(place: Path, tmp_path: Path) -> None:
    with pytest.raises(UnusableError) as caught:
        run(place, tmp_path, adapters=[str(tmp_path / "one"), str(tmp_path / "two")])
    assert len(caught.value.problems) == 2
    with pytest.raises(UnusableError, match="max_seq_length"):
        run(place, tmp_path, config={"max_seq_length": 1})
    with pytest.raises(UnusableError, match="nowhere"):
        run(place, tmp_path, data=str(tmp_path / "nowhere.jsonl"))


def test_stop_ends_it_without_a_result(place: Path, tmp_path: Path) -> None:
    events = run(place, tmp_path, commands=(Stop(),))
    assert not [e for e in events if isinstance(e, event.Result)]
    assert isinstance(events[-1], event.Finished)
    assert events[-1].reason == "stopped"


def test_bad_rows_are_told_with_what_can_be_done_about_them_here(place: Path, tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "a", "completion": ""}\n')
    with pytest.raises(UnusableError) as caught:
        run(place, tmp_path, data=str(data))
    said = str(caught.value)
    assert "rows.jsonl:2" in said
    assert "luthier check FILE --fix COPY" in said
    assert "trains on" not in said


def test_what_is_cut_or_not_measured_is_told(place: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (place / "data" / "valid.jsonl").read_text().splitlines()]
    _, tokenizer = load(str(place / "base"))
    lengths = [len(tokenizer.apply_chat_template(row["messages"])) for row in rows]
    prompts = [len(tokenizer.apply_chat_template(r["messages"][:-1], add_generation_prompt=True)) for r in rows]
    longest = sorted(prompts)[20]
    cut, lost = sum(length > longest for length in lengths), sum(length >= longest for length in prompts)
    assert 0 < lost < cut <= 40
    events = run(place, tmp_path, adapters=[None], config={"mask_prompt": True, "max_seq_length": longest})
    found = result(events)
    assert (found["cut"], found["left_out"]) == (cut, lost)
    assert [(e.message, e.hint) for e in events if isinstance(e, event.Warned)] == [
        (
            f"{cut} of 40 examples are longer than {longest} tokens and are cut.",
            "Raise the maximum length to keep them whole.",
        ),
        (f"{lost} of 40 examples have no token that counts and are left out.", ""),
    ]
    whole = run(place, tmp_path, adapters=[None])
    assert (result(whole)["cut"], [e for e in whole if isinstance(e, event.Warned)]) == (0, [])


def test_a_loss_that_is_no_number_is_refused(place: Path, tmp_path: Path) -> None:
    """Its examples were counted as the same as the base's."""
    weights = mx.load(str(place / "lora" / "adapters.safetensors"))
    assert isinstance(weights, dict)
    (tmp_path / "huge").mkdir()
    huge = {name: array * 1e30 for name, array in weights.items()}
    mx.save_safetensors(str(tmp_path / "huge" / "adapters.safetensors"), huge)
    shutil.copy(place / "lora" / "adapter_config.json", tmp_path / "huge")
    with pytest.raises(UnusableError, match="huge: the loss of 40 of 40 examples is no number") as caught:
        run(place, tmp_path, adapters=[None, str(tmp_path / "huge")], config={"neutral_tokens": 0})
    assert "lower strength" in caught.value.problems[0].hint


def test_what_offers_or_calls_tools_is_not_scored_without_them(tmp_path: Path) -> None:
    plain = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    call = {"type": "function", "function": {"name": "f", "arguments": {}}}
    calling = {"role": "assistant", "content": "", "tool_calls": [call]}
    called = [plain[0], calling, {"role": "tool", "content": "c"}, plain[1]]
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    rows: list[dict[str, Any]] = [
        {"messages": plain}, {"messages": plain, "tools": [tool]}, {"messages": called},
    ]  # fmt: skip
    found = [exchange_of(row, TrainConfig()) for row in rows]
    assert [one.is_text for one in found] == [True, False, False]
    job = EvaluateJob(model="m", data=tmp_path, adapters=(None,), scores=AskedScores(functions=("exact_match",)))
    scoring = scoring_of(job, TrainConfig(), found)
    assert scoring is not None
    assert (scoring.available, scoring.left_out.endswith("do without here: 2 of 3 examples.")) == (1, True)
    with pytest.raises(UnusableError, match="offer or call tools"):
        scoring_of(job, TrainConfig(), found[1:])
    whole = scoring_of(job, TrainConfig(), found[:1])
    assert whole is not None
    assert whole.left_out == ""


def test_a_run_that_was_trained_on_other_tokens_than_are_measured_is_named(place: Path, tmp_path: Path) -> None:
    adapters = [tmp_path / name / "adapters" for name in ("answers", "alike", "dpo")]
    modes = ["mask_prompt: true\nmax_seq_length: 40", "max_seq_length: 512", "mask_prompt: true\ntrain_mode: dpo"]
    for adapter, config in zip(adapters, modes, strict=True):
        shutil.copytree(place / "lora", adapter)
        (adapter.parent / "config.yaml").write_text(f"model: {place / 'base'}\n{config}\n")
    events = run(
        place, tmp_path, adapters=[None, *map(str, adapters)], config={"max_seq_length": 1024, "neutral_tokens": 0}
    )
    assert [found.message for found in events if isinstance(found, event.Warned)] == [
        f"{adapters[0]} was trained with mask_prompt: true, max_seq_length: 40, and is measured with "
        "mask_prompt: false, max_seq_length: 1024."
    ]


def test_answers_that_are_cut_before_they_are_scored_are_told(place: Path, tmp_path: Path) -> None:
    """The model never ends by itself: what is cut says little of what it would have said."""
    scores = {"functions": ["exact_match"], "limit": 3, "max_tokens": 5}
    events = run(place, tmp_path, adapters=[None, str(place / "lora")], scores=scores, config={"neutral_tokens": 0})
    assert [(found.message, found.hint) for found in events if isinstance(found, event.Warned)] == [
        (f"{who}: 3 of 3 answers are cut at 5 tokens, and scored as they are.", "Allow longer answers.")
        for who in ("the base model", place / "lora")
    ]
