"""What is concluded of all rows of a file together, word by word; and how they are divided and weighed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.core.data.label import imbalance, is_verdict, label_of
from app.core.data.split import SplitPlan, assign, held_out_sizes
from app.core.source.data_file import find_files, locate_data
from app.core.source.finding import Findings
from tests.core.data.written import checked

TALK = [{"role": "user", "content": "Lamp?"}, {"role": "assistant", "content": "Lit."}]


def some(count: int) -> list[dict[str, str]]:
    return [{"prompt": f"Lamp {number}?", "completion": "Lit."} for number in range(count)]


@pytest.mark.parametrize(
    ("rows", "mode", "target", "examples", "usable", "said"),
    [
        (
            [*some(3), {"messages": TALK}],
            "sft",
            "chat",
            4,
            True,
            [
                "converted_mix 4: 1 row is chat, the rest prompt and answer.",
            ],
        ),
        (
            [*some(3), {"text": "alone"}],
            "sft",
            "completion",
            3,
            False,
            [
                "mixed_format 4: This row is text, the data prompt and answer.",
            ],
        ),
        (
            [*some(3), {"height": 1}, {"completion": "x"}, {"prompt": "x"}],
            "sft",
            "completion",
            3,
            False,
            [
                "missing_field 4: `prompt`, `completion` are missing.",
                "missing_field 5: `prompt` is missing.",
                "missing_field 6: `completion` is missing.",
            ],
        ),
        (
            [{"height": 1, "width": 2}] * 2,
            "sft",
            "",
            0,
            False,
            [
                "unknown_format 1: The columns (`height`, `width`) are of no known format.",
            ],
        ),
        (
            [{"prompt": "x"}],
            "sft",
            "",
            0,
            False,
            [
                "unknown_format 1: The rows are prompts alone (`prompt`), without an answer to learn from.",
            ],
        ),
        (
            [{"prompt": "x"}],
            "grpo",
            "",
            0,
            False,
            [
                "unknown_format 1: The rows are prompts alone (`prompt`), without a reference answer. "
                "Reward functions are given one: add a column `answer` (any text, for functions that do "
                "not look at it). Online DPO trains on prompts alone, where a model is the judge.",
            ],
        ),
        (
            [{"prompt": "x", "chosen": "a", "rejected": "b"}],
            "sft",
            "",
            1,
            False,
            [
                "not_supervised 1: These rows are preference pairs (chosen and rejected), not examples "
                "with one answer. DPO and others train on such rows (`--train-mode dpo`; in the window, "
                "Enhanced Setup). To train on the better answers, choose `chosen` as the answer column.",
            ],
        ),
        (
            [{"question": "x", "chosen": "a", "rejected": "b"}],
            "sft",
            "",
            1,
            False,
            [
                "not_supervised 1: These rows are preference pairs (chosen and rejected), not examples "
                "with one answer. DPO and others train on such rows (`--train-mode dpo`; in the window, "
                "Enhanced Setup). To train on the better answers, choose `question` as the prompt column "
                "and `chosen` as the answer column.",
            ],
        ),
        (
            [{"chosen": TALK, "rejected": TALK}],
            "sft",
            "",
            0,
            False,
            [
                "wrong_type 1: `chosen` and `rejected` are the same.",
                "not_supervised 1: These rows are preference pairs (chosen and rejected), not examples "
                "with one answer. DPO and others train on such rows (`--train-mode dpo`; in the window, "
                "Enhanced Setup). Where they are whole conversations as messages, choose `chosen` as the "
                "chat column.",
            ],
        ),
        (
            [{"prompt": "x", "response_a": "a", "response_b": "b", "winner": "a"}],
            "sft",
            "",
            1,
            False,
            [
                "not_supervised 1: These rows are preference pairs (chosen and rejected), not examples "
                "with one answer. DPO and others train on such rows (`--train-mode dpo`; in the window, "
                "Enhanced Setup).",
            ],
        ),
        (
            [{"prompt": "x", "answer": "5"}],
            "sft",
            "",
            1,
            False,
            [
                "not_supervised 1: These rows are prompts with reference answers, which GRPO trains on "
                "(`--train-mode grpo`; in the window, Enhanced Setup). To train on the answers, choose "
                "`answer` as the answer column (`completion_feature: answer`; `check` takes "
                "--completion-feature).",
            ],
        ),
        (
            [{"prompt": "x", "completion": "b", "label": True}, {"prompt": "y", "completion": "b", "label": False}],
            "sft",
            "",
            2,
            False,
            [
                "not_supervised 1: These rows are answers labelled good or bad, and KTO trains on such "
                "rows (`--train-mode kto`; in the window, Enhanced Setup). To learn the good ones alone, "
                "leave out bad answers (`skip_bad_answers`; `check` takes --skip-bad-answers). To learn "
                "good and bad ones alike, choose the format `completion` (prompt and answer).",
            ],
        ),
        (
            [{"messages": TALK, "label": True}],
            "sft",
            "",
            1,
            False,
            [
                "not_supervised 1: These rows are answers labelled good or bad, and KTO trains on such "
                "rows (`--train-mode kto`; in the window, Enhanced Setup). To learn the good ones alone, "
                "leave out bad answers (`skip_bad_answers`; `check` takes --skip-bad-answers). To learn "
                "good and bad ones alike, choose the format `chat`.",
            ],
        ),
        (
            [{"prompt": "x", "completion": "b", "label": True}, {"prompt": "y", "completion": "b", "label": True}],
            "kto",
            "labelled",
            2,
            False,
            [
                "one_label -: All 2 answers are labelled good: KTO needs both good and bad ones.",
            ],
        ),
        (
            [{"prompt": "x", "completion": "b", "label": False}],
            "kto",
            "labelled",
            1,
            False,
            [
                "one_label -: The only answer is labelled bad: KTO needs both good and bad ones.",
            ],
        ),
        (
            [
                {"prompt": "x", "completion": "b", "label": True},
                {"prompt": "y", "completion": "b", "label": False},
                {"prompt": "z", "completion": "b"},
            ],
            "kto",
            "labelled",
            2,
            False,
            [
                "missing_field 3: `label` is missing, or neither true (a good answer) nor false (a bad one).",
            ],
        ),
        (
            [{"prompt": "x", "completion": "b", "label": True}, {"prompt": "y", "completion": "b", "label": False}],
            "dpo",
            "",
            2,
            False,
            [
                "not_for_method 1: These rows are answers labelled good or bad, which the method cannot "
                "train on. It needs pairs: rows with `prompt`, `chosen` and `rejected`. KTO trains on such "
                "rows.",
            ],
        ),
        (
            some(2),
            "dpo",
            "",
            2,
            False,
            [
                "not_for_method 1: These rows are prompt and answer, which the method cannot train on. It "
                "needs pairs: rows with `prompt`, `chosen` and `rejected`.",
            ],
        ),
        (
            [{"question": f"q{i}", "answer": "a", "reply": "r", "note": "n"} for i in range(2)],
            "sft",
            "completion",
            2,
            True,
            [
                "unused_column -: `reply` is not used: 2 rows.",
                "converted -: Columns `question`, `answer` (prompt and answer) are trained as prompt and answer.",
                "unused_text -: Not used: `note` (2 rows).",
            ],
        ),
        (
            [{"prompt": "x", "completion": "y", **{f"n{letter}": "z" for letter in "abcdefghi"}}],
            "sft",
            "completion",
            1,
            True,
            [
                "unused_text -: Not used: `na` (1 row), `nb` (1 row), `nc` (1 row), `nd` (1 row), `ne` (1 "
                "row), `nf` (1 row), `ng` (1 row), `nh` (1 row), `ni` (1 row).",
            ],
        ),
        (
            [*some(2), *some(2)],
            "sft",
            "completion",
            4,
            True,
            [
                "duplicate 3: The row is the same as line 1.",
                "duplicate 4: The row is the same as line 2.",
            ],
        ),
        (
            [{"prompt": "", "completion": "y"}],
            "sft",
            "completion",
            0,
            False,
            [
                "empty_field 1: `prompt` is empty.",
            ],
        ),
    ],
)
def test_what_is_concluded_of_rows(
    rows: list[Any], mode: str, target: str, examples: int, usable: bool, said: list[str], tmp_path: Path
) -> None:
    report = checked(tmp_path, rows, mode)
    assert (report.target, report.examples, report.usable) == (target, examples, usable)
    found = (*report.errors, *report.warnings, *report.notes)
    assert [f"{one.kind} {one.line or '-'}: {one.reason}" for one in found] == said


@pytest.mark.parametrize(
    ("rows", "plan", "sizes"),
    [
        (0, SplitPlan(), (0, 0)), (1, SplitPlan(), (0, 0)), (2, SplitPlan(), (1, 0)), (9, SplitPlan(), (1, 0)),
        (10, SplitPlan(), (1, 1)), (25, SplitPlan(), (2, 2)), (100, SplitPlan(0.2, 0.05), (20, 5)),
        (20, SplitPlan(batch_size=4), (4, 4)), (19, SplitPlan(batch_size=4), (3, 3)),
        (10, SplitPlan(0.6, 0.6), (6, 3)), (10, SplitPlan(1.0, 0.5), (9, 0)), (5, SplitPlan(1.0, 0.0), (4, 0)),
        (100, SplitPlan(0.0, 0.001), (0, 1)), (100, SplitPlan(0.0, 0.0, batch_size=8), (0, 0)),
    ],
)  # fmt: skip
def test_how_many_rows_are_held_out(rows: int, plan: SplitPlan, sizes: tuple[int, int]) -> None:
    assert held_out_sizes(rows, plan) == sizes
    if rows:
        lengths = np.arange(rows, dtype=np.uint32)
        side = assign(lengths, None, plan)
        assert tuple(np.bincount(side, minlength=3)[1:]) == sizes
        assert (assign(lengths, None, plan) == side).all()


def test_groups_stay_together_and_labels_are_in_every_part() -> None:
    lengths = np.arange(60, dtype=np.uint32)
    groups = np.repeat(np.arange(20, dtype=np.uint64), 3)
    side = assign(lengths, groups, SplitPlan(0.2, 0.1))
    assert list(np.bincount(side)) == [42, 12, 6]
    assert (side.reshape(20, 3) == side[::3, None]).all()
    labels = np.zeros(60, np.uint8)
    labels[:6] = 1
    for seed in range(5):
        side = assign(lengths, None, SplitPlan(0.1, 0.1, seed), labels)
        assert [int(labels[side == part].sum()) for part in (1, 2)] == [1, 1]
    assert list(assign(lengths[:2], np.zeros(2, np.uint64), SplitPlan(0.5, 0.5))) == [0, 0]


@pytest.mark.parametrize(
    ("value", "label", "verdict"),
    [
        (True, True, True), (False, False, True), (1, True, False), (0.0, False, False), (2, None, False),
        (" TRUE ", True, True), ("false", False, True), ("1", True, False), ("0", False, False),
        ("maybe", None, False),
        (None, None, False),
    ],
)  # fmt: skip
def test_what_is_a_label(value: Any, label: bool | None, verdict: bool) -> None:
    assert label_of(value) is label
    assert is_verdict(value) is verdict


@pytest.mark.parametrize(
    ("good", "bad", "weights", "weight", "low", "high"),
    [
        (100, 100, (1.0, 1.0), "", 0, 0), (200, 100, (1.0, 1.0), "", 0, 0),
        (201, 100, (1.0, 1.0), "undesirable_weight", 1.5075, 2.01),
        (2, 3, (1.0, 1.0), "", 0, 0), (60, 100, (1.0, 1.0), "desirable_weight", 5 / 3, 20 / 9),
        (60, 100, (1.0, 0.5), "", 0, 0), (30, 100, (1.0, 0.5), "desirable_weight", 5 / 3, 20 / 9),
        (300, 100, (2.0, 1.0), "undesirable_weight", 4.5, 6.0),
        (9, 0, (1.0, 1.0), "", 0, 0), (0, 9, (1.0, 1.0), "", 0, 0), (9, 1, (1.0, 0.0), "", 0, 0),
        (1, 9, (0.0, 1.0), "", 0, 0),
    ],
)  # fmt: skip
def test_weights_that_do_not_even_labels_out(
    good: int, bad: int, weights: tuple[float, float], weight: str, low: float, high: float
) -> None:
    found = imbalance({"good": good, "bad": bad}, *weights)
    if not weight:
        assert found is None
        return
    assert found is not None
    assert (found.good, found.bad, found.weight) == (good, bad, weight)
    assert (found.low, found.high) == pytest.approx((low, high))
    said = f"{good} answers are labelled good and {bad} bad, and the weights do not even that out."
    assert found.reason == f"{said} Usual for `{weight}` is {low:.3g} to {high:.3g}."


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ("train.jsonl valid.jsonl other.jsonl", "train.jsonl=train valid.jsonl=valid"),
        ("valid.jsonl other.jsonl", "other.jsonl=None valid.jsonl=valid"),
        ("my-train.csv test_1.csv extra.csv", "my-train.csv=train test_1.csv=test"),
        ("a.txt README.md notes.md", "a.txt=None notes.md=None"), ("README.md", "README.md=None"),
        ("a.jsonl b.txt", "a.jsonl=None"), ("dev/a.csv b.csv", "b.csv=None dev/a.csv=valid"),
        (".hidden.csv __pycache__/a.csv cache-1.csv b.csv", "b.csv=None"),
        ("m/config.json m/a.json m/tokenizer.json b.json", "b.json=None m/a.json=None"),
        ("1/2/3/4/a.csv b.csv", "1/2/3/4/a.csv=None b.csv=None"), ("1/2/3/4/5/a.csv b.csv", "b.csv=None"),
    ],
)  # fmt: skip
def test_which_files_of_a_folder_are_data(names: str, found: str, tmp_path: Path) -> None:
    for name in names.split():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    pairs = find_files(tmp_path, Findings())
    assert " ".join(f"{file.relative_to(tmp_path).as_posix()}={split}" for file, split in pairs) == found


@pytest.mark.parametrize(
    ("card", "found"),
    [
        ("configs: [{data_files: b.csv}]", "b.csv"), ("configs: [{data_files: [b.csv, a.csv]}]", "a.csv b.csv"),
        ("configs: [{data_files: {path: '[ab].csv'}}]", "a.csv b.csv"),
        ("configs: [{data_files: ''}, {data_files: a.csv}]", "a.csv"),
        ("configs: [{data_files: a.csv}, {config_name: default, data_files: b.csv}]", "b.csv"),
        ("configs: [{data_files: a.csv}, {default: true, data_files: [{path: [b.csv]}]}]", "b.csv"),
        ("configs: [{data_files: ../x.csv}]", "a.csv b.csv c.csv"), ("configs: [5]", "a.csv b.csv c.csv"),
        ("configs: 5", "a.csv b.csv c.csv"), ("{", "a.csv b.csv c.csv"),
    ],
)  # fmt: skip
def test_the_card_of_a_data_set_names_its_files(card: str, found: str, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv", "c.csv"):
        (tmp_path / name).write_text("a,b\n1,2\n")
    (tmp_path / "README.md").write_text(f"---\n{card}\n---\nText.\n")
    assert " ".join(file.name for file, _ in find_files(tmp_path, Findings())) == found


def test_a_data_set_of_the_cache_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its newest snapshot is read, or the one that is its main one."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    cached = tmp_path / "datasets--sea--tides"
    (cached / "snapshots" / "one").mkdir(parents=True)
    (cached / "snapshots" / "two").mkdir()
    for name in ("one", "two"):
        (cached / "snapshots" / name / f"{name}.csv").write_text("a,b\n1,2\n")
    assert locate_data("sea/tides") == cached
    assert [locate_data(name) for name in ("sea/boats", "a/b/c", "x")] == [
        Path("sea/boats"),
        Path("a/b/c"),
        Path("x"),
    ]
    (cached / "refs").mkdir()
    for main, newest, read in (("one\n", "", "one"), ("gone", "one", "one"), ("gone", "two", "two")):
        (cached / "refs" / "main").write_text(main)
        for name in ("one", "two"):
            os.utime(cached / "snapshots" / name, (1 + (name == newest), 1 + (name == newest)))
        assert [file.name for file, _ in find_files(cached, Findings())] == [f"{read}.csv"]
