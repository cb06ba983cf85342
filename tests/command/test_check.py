"""``luthier check``: columns by option, examples as they train, the repaired copy, rewards that cannot be met."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.command.check_output import plain_example
from app.command.main import run_command
from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from tests.core.data.written import file_of

Check = Callable[..., tuple[int, dict[str, Any]]]
TALK = [{"role": "user", "content": "Is it foggy?"}, {"role": "assistant", "content": "Thick as wool."}]


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Check:
    """The verb's exit code and what it prints with ``--json``."""

    def run(*arguments: object) -> tuple[int, dict[str, Any]]:
        code = run_command(["check", *map(str, arguments), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def test_the_guessed_mapping_can_be_added_as_it_is_printed(
    check: Check, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"Frage des Gasts": f"Wo {n}?", "reply": "Dort.", "persona": "Wirt"} for n in range(3)]
    path = file_of(tmp_path, rows)
    code, tree = check(path)
    assert (code, tree["format"]) == (2, "unknown")
    assert run_command(["check", str(path)]) == 2
    assert "Add: --format completion --prompt-feature 'Frage des Gasts'" in capsys.readouterr().out
    code, mapped = check(path, *tree["mapping"])
    assert (code, mapped["usable"], mapped["target"], mapped["examples"]) == (0, True, "chat", 3)
    assert "mapping" not in mapped


def test_every_column_of_the_config_has_an_option(check: Check, tmp_path: Path) -> None:
    path = file_of(tmp_path, [{"log": TALK, "tone": "Be kind.", "thread": "a"}])
    code, tree = check(
        path, "--chat-feature", "log", "--system-feature", "tone", "--group-by", "thread", "--show", 1
    )
    assert (code, tree["warnings"], tree["notes"][0]["kind"]) == (0, [], "converted")
    assert tree["preview"][0]["text"].startswith("system: Be kind.\nuser: Is it foggy?")
    code, tree = check(file_of(tmp_path, [{"essay": "Fog."}]), "--text-feature", "essay")
    assert (code, tree["target"]) == (0, "text")
    code, tree = check(path, "--format", "poem")
    assert (code, tree["problems"][0]["path"]) == (2, "data_format")


def test_a_config_is_no_data(check: Check, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Once its text was one usable example."""
    config = tmp_path / "lamps.yaml"
    config.write_text("model: lamp\ndata: rows.jsonl\n")
    rows = file_of(tmp_path, [{"text": "Fog."}])
    code, tree = check(rows, config)
    assert (code, [one["file"] for one in tree["problems"]]) == (2, [str(config)])
    assert run_command(["check", str(config)]) == 2
    said = f"error: {config}: This is a config, not data.\n  Name the data that it trains on.\n"
    assert capsys.readouterr().err == said
    assert check(rows)[0] == 0


def test_columns_that_are_chosen_twice(check: Check, tmp_path: Path) -> None:
    """The answer's as the messages' too does no harm; as the prompt's it would train answers on themselves."""
    path = file_of(tmp_path, [{"prompt": "Fog?", "completion": "Yes."}])
    code, tree = check(path, "--chat-feature", "completion", "--show", 1)
    assert (code, tree["preview"][0]["text"]) == (0, "user: Fog?\nassistant: Yes.")
    code, tree = check(path, "--prompt-feature", "completion")
    assert (code, tree["errors"][0]["kind"]) == (2, "same_column")


PREVIEWS: dict[str, tuple[dict[str, Any], tuple[str, ...], dict[str, Any]]] = {
    "a pair, masked": (
        {"prompt": "Fog?", "completion": "Yes."}, ("--mask-prompt",),
        {"text": "user: Fog?\nassistant: Yes.", "trained": ["Yes."]},
    ),
    "a pair, unmasked": (
        {"prompt": "Fog?", "completion": "Yes."}, (),
        {"text": "user: Fog?\nassistant: Yes.", "trained": ["user: Fog?\nassistant: Yes."]},
    ),
    "every turn but the one that is not to be learned": (
        {"messages": [*TALK, TALK[0], TALK[1] | {"weight": 0}, TALK[0],
                      {"role": "assistant", "content": "Clear."}]},
        ("--mask-prompt", "--mask-turns", "all"), {"trained": ["Thick as wool.", "Clear."]},
    ),
    "a preference": (
        {"prompt": "Fog?", "chosen": "Yes.", "rejected": "[1, 2]"}, ("--train-mode", "dpo"),
        {"prompt": "Fog?", "chosen": "Yes.", "rejected": "[1, 2]", "trained": ["Yes.", "[1, 2]"]},
    ),
    "a prompt with its reference": (
        {"question": "6 * 7?", "answer": "Six sevens.\n#### 42"}, ("--train-mode", "grpo"),
        {"text": "user: 6 * 7?", "prompt": "6 * 7?", "answer": "42", "trained": []},
    ),
    "a text": ({"text": "Fog."}, ("--mask-prompt",), {"text": "Fog.", "trained": ["Fog."]}),
}  # fmt: skip


@pytest.mark.parametrize("form", PREVIEWS)
def test_examples_are_shown_with_what_is_learned(form: str, check: Check, tmp_path: Path) -> None:
    row, options, expected = PREVIEWS[form]
    code, tree = check(file_of(tmp_path, [row]), *options, "--show", 5)
    (shown,) = tree["preview"]
    assert code == 0
    assert {name: shown[name] for name in expected} == expected
    assert all(part in shown["text"] for part in shown["trained"])
    assert shown["line"] == 1


def test_examples_for_people_have_marks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"prompt": "Yes.", "completion": "Yes."}, {"prompt": "bad", "completion": ""}]
    path = file_of(tmp_path, rows)
    assert run_command(["check", str(path), "--mask-prompt", "--show", "3", "--skip-bad-rows"]) == 0
    said = capsys.readouterr().out
    assert "user: Yes.\nassistant: ⟦Yes.⟧" in said
    assert f"example 1, {path}:1" in said
    assert "example 2" not in said


def test_a_repaired_copy_is_usable_and_the_file_stays(check: Check, tmp_path: Path) -> None:
    human = [{"role": "human", "content": "Is it clear?"}, {"role": "assistant", "content": "Yes."}]
    rows = [{"messages": TALK, "id": 1}, {"messages": TALK}, {"messages": 3}, {"messages": human, "id": 4}, [1]]
    path = file_of(tmp_path, rows)
    before = path.read_bytes()
    code, tree = check(path, "--fix", tmp_path / "good.jsonl")
    assert code == 0
    assert not tree["usable"]
    fixed = tree["fixed"]
    assert (fixed["usable"], fixed["rows"], fixed["left_out"], fixed["repeated"], fixed["renamed"]) == (
        True, 2, 2, 1, 1,
    )  # fmt: skip
    written = [json.loads(line) for line in (tmp_path / "good.jsonl").read_text().splitlines()]
    assert written == [rows[0], {"messages": [human[0] | {"role": "user"}, human[1]], "id": 4}]
    assert path.read_bytes() == before
    report = check_files([tmp_path / "good.jsonl"])
    assert (report.usable, report.duplicates, report.error_count) == (True, 0, 0)


def test_a_repaired_copy_keeps_parts_apart_and_is_never_the_file_itself(check: Check, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    pair = {"prompt": "Fog?", "completion": "Yes."}
    file_of(folder, [pair, pair], "train.jsonl")
    file_of(folder, [pair, pair | {"completion": "No."}], "valid.jsonl")
    code, tree = check(folder, "--fix", tmp_path / "out")
    assert (code, tree["fixed"]["repeated"]) == (0, 2)
    assert (tmp_path / "out" / "valid.jsonl").read_text() == '{"prompt":"Fog?","completion":"No."}\n'
    (tmp_path / "mine.jsonl").write_text("mine")
    for target in (tmp_path / "mine.jsonl", tmp_path / "out"):
        code, tree = check(folder, "--fix", target)
        assert code == 2
        assert tree["error"].endswith("is there already. Choose another name.")
    assert (tmp_path / "mine.jsonl").read_text() == "mine"
    for target in (folder, folder / "train.jsonl"):
        code, tree = check(folder if target is folder else target, "--fix", target)
        assert code == 2
        assert "the original stays as it is" in tree["error"]


WORKED = [{"question": f"{n} ships and {n}?", "answer": "So many ships come in, and " * 8 + f"that is {2 * n}."}
          for n in range(9)]  # fmt: skip


def test_a_reward_function_that_there_is_not_is_refused(check: Check, tmp_path: Path) -> None:
    path = file_of(tmp_path, [{"prompt": "a", "answer": "b"}])
    code, tree = check(path, "--train-mode", "grpo", "--reward-functions", "nosuch,short")
    assert code == 2
    assert "nosuch" in str(tree)
    assert "contains_answer" in str(tree)


@pytest.mark.parametrize(
    "row, mode, said",
    [
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, "sft", "--train-mode dpo"),
        ({"prompt": "a", "completion": "b", "label": True}, "sft", "--train-mode kto"),
        ({"prompt": "a", "answer": "b"}, "sft", "--train-mode grpo"),
        ({"prompt": "a"}, "sft", "without an answer to learn from"),
        ({"prompt": "a"}, "dpo", "`chosen` and `rejected`"),
        ({"prompt": "a"}, "grpo", "add a column `answer`"),
        ({"prompt": "a"}, "online_dpo", "the rows have none"),
    ],
)
def test_what_the_rows_are_for_is_named(
    row: dict[str, Any], mode: str, said: str, check: Check, tmp_path: Path
) -> None:
    code, tree = check(file_of(tmp_path, [row, row | {"prompt": "d"}]), "--train-mode", mode)
    assert code == (0 if mode == "online_dpo" else 2)
    assert said in " ".join(item["reason"] for item in tree["errors"] + tree["warnings"])
    assert "mapping" not in tree or mode == "sft"


@pytest.mark.parametrize(
    "rewards, rows, doubted",
    [
        ("contains_answer", WORKED, "9 of 9 reference answers are long"),
        ("short,exact_match", WORKED, "`exact_match` can hardly"),
        ("last_number", WORKED, ""),
        ("contains_answer", [{"question": "Fog?", "answer": "yes"}], ""),
        ("last_number", [{"question": "Fog?", "answer": "yes"}], "the reference answer is without a number"),
        ("contains_answer", [{"question": "6 * 7?", "answer": "Sixes and sevens, " * 20 + "\n#### 42"}], ""),
    ],
)
def test_rewards_that_a_right_answer_can_hardly_get_are_told(
    rewards: str, rows: list[dict[str, Any]], doubted: str, check: Check, tmp_path: Path
) -> None:
    path = file_of(tmp_path, rows)
    code, tree = check(path, "--train-mode", "grpo", "--reward-functions", rewards)
    reasons = [item["reason"] for item in tree["warnings"] if item["kind"] == "reward_doubt"]
    assert code == 0
    assert len(reasons) == bool(doubted)
    assert doubted in "".join(reasons)


def test_a_text_beside_a_list_that_is_no_chat_is_shown() -> None:
    row = {"text": "Once upon a time.", "messages": ["not", {"role": "user", "content": "a chat"}]}
    shown = plain_example(row, TrainConfig())
    assert (shown["text"], shown["trained"]) == ("Once upon a time.", ["Once upon a time."])
