"""Labelled answers: told by their label, checked line by line, refused by all but KTO, divided with both labels."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.command.main import run_command
from app.core import language
from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.data.label import imbalance, label_of
from app.core.data.prepare import PreparedData, prepare_data
from app.core.data.report import DataReport
from app.core.data.split import SplitPlan, assign
from app.core.problem import Severity, UnusableError
from app.core.setup.check import check_config

USER, GOOD = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}
SYSTEM = {"role": "system", "content": "Be kind."}
LABELLED = {"prompt": [USER], "completion": [GOOD], "label": True}


def rows_of(good: int, bad: int) -> list[dict[str, Any]]:
    """So many rows, no two alike."""
    labels = [True] * good + [False] * bad
    return [{"prompt": f"Hi {n}", "completion": f"Hello {n}!", "label": label} for n, label in enumerate(labels)]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def checked(tmp_path: Path, rows: list[dict[str, Any]], **values: Any) -> DataReport:
    config = TrainConfig.model_validate({"train_mode": "kto"} | values)
    return check_files([write(tmp_path / "rows.jsonl", rows)], config=config)


def prepared(tmp_path: Path, rows: list[dict[str, Any]], **values: Any) -> PreparedData:
    given = {"train_mode": "kto", "data": str(write(tmp_path / "rows.jsonl", rows))}
    return prepare_data(TrainConfig.model_validate(given | values), tmp_path / "data")


def read(path: Path | None) -> list[dict[str, Any]]:
    assert path is not None
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_good_answers_alone_are_learned_where_that_is_chosen(tmp_path: Path) -> None:
    """Pairs, instructions and chats; the others are counted, not faults."""
    given: list[tuple[list[dict[str, Any]], dict[str, Any]]] = [
        (rows_of(2, 3), {"prompt": "Hi 0", "completion": "Hello 0!"}),
        ([{"instruction": "Add.", "input": "1 2", "output": "3", "label": "good"},
          {"instruction": "Add.", "input": "1 2", "output": "4", "label": "bad"}],
         {"prompt": "Add.\n\n1 2", "completion": "3"}),
        ([{"messages": [USER, GOOD], "label": 1}, {"messages": [USER, GOOD | {"content": "No."}], "label": 0}],
         {"messages": [USER, GOOD]}),
        ([{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello!"}],
           "kto_tag": True},
          {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "No."}], "kto_tag": False}],
         {"messages": [USER, GOOD]}),
    ]  # fmt: skip
    for number, (rows, first) in enumerate(given):
        path = write(tmp_path / f"{number}" / "rows.jsonl", rows)
        config = TrainConfig(data=str(path), skip_bad_answers=True, valid_fraction=0, test_fraction=0)
        report = check_files([path], config=config)
        good = sum(label_of(row.get("label", row.get("kto_tag"))) is True for row in rows)
        assert (report.usable, report.examples, report.rows) == (True, good, len(rows))
        assert report.counts["bad_answer"] == len(rows) - good
        assert not report.warnings
        prepared = prepare_data(config, tmp_path / f"{number}" / "run")
        assert json.loads(prepared.train.read_text().splitlines()[0]) == first
        assert prepared.counts == {"train": good}


def test_without_the_choice_the_error_names_it(tmp_path: Path) -> None:
    (error,) = checked(tmp_path, rows_of(2, 2), train_mode="sft").errors
    assert "`skip_bad_answers`; `check` takes --skip-bad-answers" in error.reason


def test_a_first_row_without_a_label_hides_none_of_the_others(tmp_path: Path) -> None:
    rows = [{"prompt": "Hi", "completion": "Ahoy", "label": None}, *rows_of(2, 2)]
    report = checked(tmp_path, rows, train_mode="sft")
    assert (report.usable, report.format) == (False, "labelled")


def test_a_row_without_a_verdict_is_a_fault_where_the_good_ones_are_chosen(tmp_path: Path) -> None:
    rows = [*rows_of(2, 1), {"prompt": "a", "completion": "b", "label": "fair"}]
    report = checked(tmp_path, rows, train_mode="sft", skip_bad_answers=True)
    assert [(error.line, error.kind) for error in report.errors] == [(4, "wrong_type")]


# -- forms ---------------------------------------------------------------------------------------------------------

FORMS: dict[str, dict[str, Any]] = {
    "texts": {"prompt": "Hi", "completion": "Hello!", "label": True},
    "messages": LABELLED,
    "a text and messages": {"prompt": "Hi", "completion": [GOOD], "label": True},
    "a number": {"prompt": "Hi", "completion": "Hello!", "label": 1},
    "a word": {"prompt": "Hi", "completion": "Hello!", "label": "Good"},
    "other columns": {"Question": "Hi", "Answer": "Hello!", "Label": "true", "id": 7},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_one(form: str, tmp_path: Path) -> None:
    other = {"prompt": "Bye", "completion": "What?", "label": False}
    data = prepared(tmp_path, [FORMS[form], other], valid_fraction=0, test_fraction=0)
    assert (data.format, data.report.format, data.report.labels) == ("labelled", "labelled", {"good": 1, "bad": 1})
    assert read(data.train)[0] == LABELLED


def test_a_system_column_goes_in_front(tmp_path: Path) -> None:
    rows = [FORMS["texts"] | {"system": "Be kind.", "label": label} for label in (True, False)]
    assert read(prepared(tmp_path, rows, valid_fraction=0).train)[0]["prompt"] == [SYSTEM, USER]


def test_a_table_holds_labels_as_text(tmp_path: Path) -> None:
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["prompt", "completion", "label"], ["a", "b", "True"], ["c", "d", "0"]])
    report = check_files([tmp_path / "rows.csv"], config=TrainConfig(train_mode="kto"))
    assert (report.usable, report.format, report.labels) == (True, "labelled", {"good": 1, "bad": 1})


@pytest.mark.parametrize(
    "value, label",
    [(True, True), (0, False), (1.0, True), (" FALSE ", False), ("bad", False), ("desirable", True), (2, None),
     ("", None), ("yes?", None), (None, None), ([True], None), (float("nan"), None)],
)  # fmt: skip
def test_labels(value: Any, label: bool | None) -> None:
    assert label_of(value) is label


def test_prepared_files_are_used_as_they_are(tmp_path: Path) -> None:
    """A run that is resumed finds its own data prepared and must not write over it."""
    write(tmp_path / "own" / "train.jsonl", [LABELLED, LABELLED | {"label": False}])
    config = TrainConfig(train_mode="kto", data=str(tmp_path / "own"), valid_fraction=0)
    data = prepare_data(config, tmp_path / "own")
    assert (data.written, data.counts) == (False, {"train": 2})


def test_pairs_are_pairs_whatever_else_they_have(tmp_path: Path) -> None:
    pair = {"prompt": "Hi", "response": "x", "chosen": "Hello!", "rejected": "What?", "label": True}
    assert checked(tmp_path, [pair]).format == "preference"


def test_numbered_classes_stay_supervised_examples(tmp_path: Path) -> None:
    rows = [{"prompt": "Hi", "completion": "Hello!", "label": 0}]
    assert checked(tmp_path, rows, train_mode="sft").target == "completion"


# -- faults --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row, kind, said",
    [
        ({"prompt": "Hi", "completion": "Hello!"}, "missing_field", "`label` is missing"),
        (FORMS["texts"] | {"label": None}, "missing_field", "`label` is null"),
        (FORMS["texts"] | {"label": 3}, "wrong_type", "`label` is 3"),
        (FORMS["texts"] | {"label": "perhaps"}, "wrong_type", "`label` is `perhaps`"),
        (FORMS["texts"] | {"completion": ""}, "empty_field", "`completion` is empty"),
        (FORMS["texts"] | {"completion": [USER]}, "no_answer", "`completion` has no answer"),
        (FORMS["texts"] | {"completion": {"a": 5}}, "wrong_type", "`completion` is an object"),
    ],
)
def test_faults_are_told_with_their_line(row: dict[str, Any], kind: str, said: str, tmp_path: Path) -> None:
    report = checked(tmp_path, [*rows_of(2, 2), row])
    assert not report.usable
    assert report.labels == {"good": 2, "bad": 2}
    (found,) = report.errors
    assert (found.line, found.kind) == (5, kind)
    assert found.file.endswith("rows.jsonl")
    assert said in found.reason


def test_a_window_marks_columns_and_what_they_hold_alike(tmp_path: Path) -> None:
    language.quote_code()
    (found,) = checked(tmp_path, [*rows_of(2, 2), FORMS["texts"] | {"label": "perhaps"}]).errors
    assert found.reason == "“label” is “perhaps”, neither true (a good answer) nor false (a bad one)."


@pytest.mark.parametrize("good, bad, word", [(4, 0, "good"), (0, 3, "bad")])
def test_one_kind_of_label_is_not_enough(good: int, bad: int, word: str, tmp_path: Path) -> None:
    report = checked(tmp_path, rows_of(good, bad), skip_bad_rows=True)
    assert not report.usable
    assert f"are labelled {word}: KTO needs both" in report.errors[0].reason
    with pytest.raises(UnusableError, match="KTO needs both"):
        prepared(tmp_path, rows_of(good, bad))


def test_validation_with_one_kind_is_a_warning(tmp_path: Path) -> None:
    write(tmp_path / "own" / "train.jsonl", rows_of(4, 4))
    write(tmp_path / "own" / "valid.jsonl", rows_of(0, 3))
    report = check_files([tmp_path / "own"], config=TrainConfig(train_mode="kto"))
    assert report.usable
    assert [found.kind for found in report.warnings if found.kind == "one_label_held_out"] == ["one_label_held_out"]


@pytest.mark.parametrize("mode", ["dpo", "cpo", "orpo", "grpo", "sft"])
def test_other_methods_refuse_and_name_kto(mode: str, tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match=r"labelled good or bad.*KTO") as refused:
        prepared(tmp_path, rows_of(3, 3), train_mode=mode)
    assert refused.value.problems[0].path == "data"


def test_a_chosen_format_trains_supervised_after_all(tmp_path: Path) -> None:
    assert prepared(tmp_path, rows_of(3, 3), train_mode="sft", data_format="completion").format == "completion"


def test_kto_says_what_rows_it_takes(tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match=r"`chosen` and `rejected`.*`completion` and `label`"):
        prepared(tmp_path, [{"prompt": "Hi", "completion": "Hello!"}])


# -- balance -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("good, bad", [(80, 20), (10, 90), (1000, 30)])
def test_the_hinted_weights_are_the_papers(good: int, bad: int) -> None:
    found = imbalance({"good": good, "bad": bad}, 1, 1)
    assert found is not None
    ratios = []
    for value in (found.low, found.high):
        weights = {"desirable_weight": 1.0, "undesirable_weight": 1.0} | {found.weight: value}
        ratios.append(weights["desirable_weight"] * good / (weights["undesirable_weight"] * bad))
        assert imbalance({"good": good, "bad": bad}, **weights) is None
    assert sorted(ratios) == pytest.approx([1, 4 / 3])


@pytest.mark.parametrize("good, bad", [(50, 50), (60, 40), (45, 55), (0, 0), (3, 0)])
def test_what_is_even_enough_is_not_told(good: int, bad: int) -> None:
    assert imbalance({"good": good, "bad": bad}, 1, 1) is None


def test_imbalance_is_a_warning_until_the_weights_fit(tmp_path: Path) -> None:
    report = checked(tmp_path, rows_of(8, 32))
    assert report.usable
    config = TrainConfig(train_mode="kto", data="rows.jsonl", model="model")
    told = [problem for problem in check_config(config, data=report) if problem.path == "desirable_weight"]
    assert [problem.severity for problem in told] == [Severity.WARNING]
    assert "Usual for `desirable_weight` is 4 to 5.33" in told[0].message
    even = config.with_value("desirable_weight", 4.5)
    assert not [problem for problem in check_config(even, data=report) if problem.path == "desirable_weight"]
    said = [problem.message for problem in prepared(tmp_path, rows_of(8, 32)).problems]
    assert any("labelled good" in message for message in said)
    evened = prepared(tmp_path, rows_of(8, 32), desirable_weight=4.5).problems
    assert not any("labelled good" in problem.message for problem in evened)


# -- the split -----------------------------------------------------------------------------------------------------


def test_both_labels_are_on_every_side(tmp_path: Path) -> None:
    data = prepared(tmp_path, rows_of(38, 2), valid_fraction=0.1, test_fraction=0)
    for split in ("train", "valid"):
        assert {row["label"] for row in read(data.path(split))} == {True, False}
    assert data.counts == {"train": 36, "valid": 4}


def test_the_split_keeps_the_shares_of_the_labels() -> None:
    labels = np.array([1] * 700 + [0] * 300, np.uint8)
    lengths = np.random.default_rng(0).integers(5, 500, 1000).astype(np.uint32)
    side = assign(lengths, None, SplitPlan(), labels)
    for part in range(3):
        assert abs(labels[side == part].mean() - 0.7) < 0.02
        assert abs(lengths[side == part].mean() / lengths.mean() - 1) < 0.1


@pytest.mark.parametrize("seed", range(20))
def test_groups_stay_together_and_both_labels_are_there(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels, groups = (random.random(60) < 0.15).astype(np.uint8), np.repeat(np.arange(20), 3).astype(np.uint64)
    labels[[0, 59]], labels[[1, 58]] = 1, 0
    side = assign(random.integers(1, 99, 60).astype(np.uint32), groups, SplitPlan(0.2, 0, seed), labels)
    assert all(len(set(side[groups == group].tolist())) == 1 for group in range(20))
    assert set(labels[side == 1].tolist()) == {0, 1}
    assert set(labels[side == 0].tolist()) == {0, 1}


# -- the command ---------------------------------------------------------------------------------------------------


def test_the_command_tells_the_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write(tmp_path / "rows.jsonl", rows_of(30, 4)))
    assert run_command(["check", path, "--train-mode", "kto", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["format"], found["target"], found["labels"]) == ("labelled", "labelled", {"good": 30, "bad": 4})
    assert [warning["kind"] for warning in found["warnings"]] == ["unbalanced_labels"]
    assert "Usual for `undesirable_weight` is 5.62 to 7.5" in found["warnings"][0]["reason"]
    assert run_command(["check", path, "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert (found["format"], found["usable"]) == ("labelled", False)
    assert "KTO" in found["errors"][0]["reason"]
