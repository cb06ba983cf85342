"""Preparation: what is written, what is used as it is, and that the split keeps its promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.config.train_config import TrainConfig
from app.core.data.prepare import CancelledError, PreparedData, prepare_data
from app.core.data.split import TEST, TRAIN, VALID, SplitPlan, assign, held_out_sizes
from app.core.problem import Severity, UnusableError
from app.core.system.leftover import sweep
from tests import ROOT
from tests.core.data.corpus import CHATS, chat, lines, pair, table


def prepare(tmp_path: Path, content: bytes, name: str = "data.jsonl", **values: Any) -> PreparedData:
    source = tmp_path / name
    source.write_bytes(content)
    return prepare_data(TrainConfig(data=str(source), **values), tmp_path / "out")


def rows(path: Path | None) -> list[dict[str, Any]]:
    assert path is not None
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_one_file_is_split_80_10_10_and_nothing_is_lost_or_shared(tmp_path: Path) -> None:
    found = prepare(tmp_path, lines(*map(chat, range(100))))
    parts = {split: rows(found.path(split)) for split in ("train", "valid", "test")}
    assert found.counts == {"train": 80, "valid": 10, "test": 10}
    assert sorted(json.dumps(r) for part in parts.values() for r in part) == sorted(
        json.dumps(chat(n)) for n in range(100)
    )


def test_the_split_follows_the_seed_and_nothing_else(tmp_path: Path) -> None:
    content = lines(*map(chat, range(60)))
    first = [r for s in ("train", "valid") for r in rows(prepare(tmp_path, content).path(s))]
    again = [r for s in ("train", "valid") for r in rows(prepare(tmp_path, content).path(s))]
    other = [r for s in ("train", "valid") for r in rows(prepare(tmp_path, content, seed=1).path(s))]
    assert first == again != other


def test_equal_rows_are_never_on_both_sides(tmp_path: Path) -> None:
    found = prepare(tmp_path, lines(*(chat(n % 12) for n in range(48))))
    held = {json.dumps(r) for split in ("valid", "test") for r in rows(found.path(split))}
    assert sum(found.counts.values()) == 12
    assert not held & {json.dumps(r) for r in rows(found.train)}
    assert any("36 rows left out that repeat" in p.message for p in found.problems)


def test_repeats_that_are_left_out_are_a_warning_wherever_problems_are_told(tmp_path: Path) -> None:
    once = [pair(number) for number in range(10)]
    told = prepare(tmp_path, lines(*once, *[once[3]] * 29)).problems
    (said,) = [one for one in told if "repeat an earlier one" in one.message]
    assert said.severity is Severity.WARNING
    assert said.message.endswith(
        "29 rows left out that repeat an earlier one: one of each was kept, so that no part holds the other's."
    )
    split = prepare(tmp_path, lines(*once), "once.jsonl").problems
    assert not any("repeat" in one.message for one in split)


def test_groups_stay_together(tmp_path: Path) -> None:
    content = lines(*(chat(n) | {"person": f"p{n % 15}"} for n in range(150)))
    found = prepare(tmp_path, content, group_feature="person")
    person = {f"Question {n}?": f"p{n % 15}" for n in range(150)}
    sides = [
        {person[r["messages"][0]["content"]] for r in rows(found.path(split))}
        for split in ("train", "valid", "test")
    ]
    assert all(sides)
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]
    assert 10 <= found.counts["valid"] <= 20


def test_a_column_to_keep_together_by_that_no_row_has_is_refused(tmp_path: Path) -> None:
    """All rows were one group: nothing was set aside, and the run went without validation."""
    content = lines(*(chat(n) | {"person": f"p{n % 15}"} for n in range(150)))
    with pytest.raises(UnusableError) as caught:
        prepare(tmp_path, content, group_feature="persn")
    assert "No row has the column `persn`, by which rows stay together." in str(caught.value)
    data = tmp_path / "folder"
    data.mkdir()
    (data / "train.jsonl").write_bytes(content)
    (data / "valid.jsonl").write_bytes(lines(chat(999)))  # nothing is split
    assert prepare_data(TrainConfig(data=str(data), group_feature="persn"), tmp_path / "out").counts["valid"] == 1


@given(
    small=st.lists(st.integers(1, 4), min_size=12, max_size=30), large=st.integers(20, 80), seed=st.integers(0, 99)
)
@settings(max_examples=40)
def test_a_group_too_large_for_a_part_is_trained(small: list[int], large: int, seed: int) -> None:
    """One person wrote a good part of the rows: they cannot all be held out, so none of them is, and each part
    has about what it should."""
    sizes = [*small, large]
    groups = np.repeat(np.arange(len(sizes), dtype=np.uint64), sizes)
    count = sum(sizes)
    side = assign(np.full(count, 10, np.uint32), groups, SplitPlan(seed=seed))
    assert set(side[groups == len(small)].tolist()) == {TRAIN}
    for part in (VALID, TEST):
        held = int((side == part).sum())
        assert 1 <= held <= 1.2 * round(count / 10), "a tenth, and a fifth of it more at most"


def test_conversations_with_the_same_opening_are_a_group(tmp_path: Path) -> None:
    content = lines(*(chat(n % 10, f"Answer {n}") for n in range(100)))
    found = prepare(tmp_path, content, group_feature="messages")
    openings = [{r["messages"][0]["content"] for r in rows(found.path(s))} for s in ("train", "valid")]
    assert not openings[0] & openings[1]


def test_the_folder_of_mlx_lm_is_used_as_it_is(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "train.jsonl").write_bytes(lines(*CHATS, CHATS[0]))
    (data / "valid.jsonl").write_bytes(lines(chat(9)))
    found = prepare_data(TrainConfig(data=str(data)), tmp_path / "out")
    assert (found.folder, found.written, found.counts) == (data, False, {"train": 5, "valid": 1})
    assert found.origins["train"].line.tolist() == [1, 2, 3, 4, 5]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "train",
    [
        b"\xef\xbb\xbf" + lines(*CHATS),
        lines(*CHATS, b""),
        lines({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}),
        lines({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]},
                            {"role": "assistant", "content": "b"}]}),
        lines(chat(1) | {"prompt": "a", "completion": [{"role": "assistant", "content": "b"}]}),
    ],
    ids=["bom", "empty line", "sharegpt", "parts", "pair of messages"],
)  # fmt: skip
def test_a_folder_that_mlx_lm_would_misread_is_written_anew(tmp_path: Path, train: bytes) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "train.jsonl").write_bytes(train)
    (data / "valid.jsonl").write_bytes(train)
    found = prepare_data(TrainConfig(data=str(data)), tmp_path / "out")
    assert found.written
    assert all(set(row) == {"messages"} for row in rows(found.train))
    assert (data / "train.jsonl").read_bytes() == train


def test_given_validation_is_used_and_leakage_told(tmp_path: Path) -> None:
    valid = tmp_path / "questions.csv"
    valid.write_bytes(table([["prompt", "completion"], ["Question 1?", "Answer 1."], ["new", "row"]]))
    found = prepare(tmp_path, lines(*map(pair, range(20))), valid_data=str(valid))
    assert found.counts == {"train": 20, "valid": 2}
    leaks = [p for p in found.problems if "same as line 2" in p.message]
    assert [(p.file, p.line, p.severity) for p in leaks] == [(str(valid), 2, Severity.WARNING)]


def test_rows_are_written_under_the_columns_of_the_config(tmp_path: Path) -> None:
    content = lines(*({"question": f"q{n}", "answer": f"a{n}"} for n in range(3)))
    found = prepare(tmp_path, content, prompt_feature="frage", valid_fraction=0, test_fraction=0)
    assert rows(found.train)[0] == {"frage": "q0", "completion": "a0"}
    assert any(p.path == "data" and "no validation data" in p.message for p in found.problems)


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"instruction": "Add.", "input": "1, 2", "output": "3"}, {"prompt": "Add.\n\n1, 2", "completion": "3"}),
        ({"instruction": "Add.", "input": "", "output": "3"}, {"prompt": "Add.", "completion": "3"}),
        (
            {"instruction": "b", "output": "c", "system": "s", "history": [["x", "y"]]},
            {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "x"},
                          {"role": "assistant", "content": "y"}, {"role": "user", "content": "b"},
                          {"role": "assistant", "content": "c"}]},
        ),
        (
            {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "system": "s",
             "tools": '[{"type": "function"}]'},
            {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"},
                          {"role": "assistant", "content": "b"}], "tools": [{"type": "function"}]},
        ),
        ({"content": "Only text."}, {"text": "Only text."}),
    ],
)  # fmt: skip
def test_conversion(tmp_path: Path, row: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert rows(prepare(tmp_path, lines(row), valid_fraction=0, test_fraction=0).train) == [wanted]


def test_errors_hold_back_unless_bad_rows_may_go(tmp_path: Path) -> None:
    content = lines(chat(1), b"{", chat(2), {"messages": []}, {"text": "a"})
    with pytest.raises(UnusableError) as caught:
        prepare(tmp_path, content)
    problems = caught.value.problems
    assert [(p.line, p.severity) for p in problems if p.line] == [(n, Severity.ERROR) for n in (2, 4, 5)]
    assert problems[-1].path == "skip_bad_rows"
    assert "2 of 5 rows are good" in problems[-1].message

    found = prepare(tmp_path, content, skip_bad_rows=True, valid_fraction=0, test_fraction=0)
    assert rows(found.train) == [chat(1), chat(2)]
    assert found.origins["train"].line.tolist() == [1, 3]
    assert any(p.path == "skip_bad_rows" and p.severity is Severity.WARNING for p in found.problems)


@pytest.mark.parametrize(("config", "path"), [({}, "data"), ({"data": "/nowhere"}, "data")])
def test_no_data(tmp_path: Path, config: dict[str, Any], path: str) -> None:
    with pytest.raises(UnusableError) as caught:
        prepare_data(TrainConfig(**config), tmp_path / "out")
    assert caught.value.problems[0].path == path


def test_missing_validation_data_is_told_beside_its_field(tmp_path: Path) -> None:
    with pytest.raises(UnusableError) as caught:
        prepare(tmp_path, lines(chat(1)), valid_data="/nowhere")
    assert caught.value.problems[0].path == "valid_data"


def test_the_users_own_folder_is_never_written_into(tmp_path: Path) -> None:
    content = lines(*map(chat, range(20)))
    (tmp_path / "train.jsonl").write_bytes(content)
    with pytest.raises(UnusableError, match="overwritten"):
        prepare_data(TrainConfig(data=str(tmp_path)), tmp_path)
    assert (tmp_path / "train.jsonl").read_bytes() == content


def test_the_split_is_the_same_in_another_process(tmp_path: Path) -> None:
    """Fingerprints are Python hashes, which differ from process to process: nothing may depend on their order."""
    content = lines(*(chat(n % 50, f"Answer {n}") | {"person": f"p{n % 13}"} for n in range(100)), *CHATS)
    prepare(tmp_path, content, group_feature="person")
    code = (
        "from pathlib import Path; from app.core.config.train_config import TrainConfig\n"
        "from app.core.data.prepare import prepare_data\n"
        f"config = TrainConfig(data={str(tmp_path / 'data.jsonl')!r}, group_feature='person')\n"
        f"prepare_data(config, Path({str(tmp_path / 'other')!r}))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)
    for split in ("train", "valid", "test"):
        assert (tmp_path / "out" / f"{split}.jsonl").read_bytes() == (
            tmp_path / "other" / f"{split}.jsonl"
        ).read_bytes()


def test_cancel_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "data.jsonl"
    source.write_bytes(lines(*map(chat, range(9000))))
    asked: list[int] = []
    seen: list[tuple[int, int]] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 7

    config = TrainConfig(data=str(source))
    with pytest.raises(CancelledError):
        prepare_data(config, tmp_path / "out", lambda *figures: seen.append(figures), cancelled)
    assert not list((tmp_path / "out").iterdir())
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {2 * source.stat().st_size}


def test_two_passes_are_one_progress(tmp_path: Path) -> None:
    """All bytes are read twice: the first reading is the first half, and it ends where the second begins."""
    source = tmp_path / "data.jsonl"
    source.write_bytes(lines(*map(chat, range(9000))))
    size = source.stat().st_size
    seen: list[tuple[int, int]] = []
    asked_at: list[int] = []

    def cancelled() -> bool:
        asked_at.append(len(seen))
        return False

    prepare_data(TrainConfig(data=str(source)), tmp_path / "out", lambda *one: seen.append(one), cancelled)
    assert {total for _, total in seen} == {2 * size}
    done = [one for one, _ in seen]
    assert done == sorted(done)
    first = [one for one in done if one <= size]
    assert first[-1] == size
    assert len(first) > 3, "it moves in the first reading"
    second = [one for one in done if one > size]
    assert len(second) > 3
    assert second[-1] > 1.7 * size


@pytest.mark.parametrize("then", [{"valid_fraction": 0.0}, {"test_fraction": 0.0}, {}])
def test_what_was_prepared_before_leaves_nothing_behind(then: dict[str, Any], tmp_path: Path) -> None:
    """A folder holds the files of the last preparation, and mlx-lm would read whatever lies there."""
    content = lines(*map(chat, range(100)))
    prepare(tmp_path, content)
    both = {"valid_fraction": 0.0, "test_fraction": 0.0}
    found = prepare(tmp_path, content, **(then or both))
    there = {path.name for path in (tmp_path / "out").iterdir()}
    assert there == {f"{split}.jsonl" for split in found.counts}
    assert sum(len(rows(tmp_path / "out" / name)) for name in there) == 100
    gone = {name.removesuffix("_fraction") for name in then or both}
    assert found.counts.keys() == {"train", "valid", "test"} - gone


def test_parts_of_a_document_on_two_sides_share_no_words(tmp_path: Path) -> None:
    words = [f"word{n}" for n in range(6000)]
    found = prepare(tmp_path, " ".join(words).encode(), "book.txt", max_seq_length=64)
    sides = [{w for r in rows(found.path(s)) for w in r["text"].split()} for s in ("train", "valid", "test")]
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]
    assert sides[0] | sides[1] | sides[2] == set(words)
    assert all(len(r["text"].encode()) <= 3 * 64 for r in rows(found.train))


def test_mask_of_text_is_told(tmp_path: Path) -> None:
    found = prepare(tmp_path, b"Some text.", "a.txt", mask_prompt=True)
    assert [p.severity for p in found.problems if p.path == "mask_prompt"] == [Severity.WARNING]


# -- the split alone -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "plan", "wanted"),
    [
        (100, SplitPlan(), (10, 10)),
        (1, SplitPlan(), (0, 0)),
        (2, SplitPlan(), (1, 0)),
        (9, SplitPlan(), (1, 0)),
        (10, SplitPlan(), (1, 1)),
        (100, SplitPlan(0.01, 0.0), (1, 0)),
        (100, SplitPlan(0.01, 0.0, batch_size=4), (4, 0)),
        (10, SplitPlan(0.1, 0.0, batch_size=4), (2, 0)),
        (100, SplitPlan(0.0, 0.0, batch_size=4), (0, 0)),
    ],
)
def test_sizes(count: int, plan: SplitPlan, wanted: tuple[int, int]) -> None:
    assert held_out_sizes(count, plan) == wanted


def test_lengths_are_spread_over_the_parts() -> None:
    lengths = np.concatenate([np.full(900, 10), np.full(100, 1000)]).astype(np.uint32)
    side = assign(lengths, None, SplitPlan())
    for part in (VALID, TEST):
        assert abs((lengths[side == part] == 1000).mean() - 0.1) < 0.03


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 5000), max_size=200),
    st.floats(0, 0.5),
    st.floats(0, 0.5),
    st.integers(0, 99),
    st.one_of(st.none(), st.integers(1, 20)),
)
def test_the_split_always_leaves_training_rows_and_keeps_groups(
    lengths: list[int], valid: float, test: float, seed: int, groups: int | None
) -> None:
    plan = SplitPlan(valid, test, seed)
    of = None if groups is None else np.array([n % groups for n in range(len(lengths))], np.uint64)
    side = assign(np.array(lengths, np.uint32), of, plan)
    assert len(side) == len(lengths)
    if lengths:
        assert (side == TRAIN).any()
    if of is None:
        assert ((side == VALID).sum(), (side == TEST).sum()) == held_out_sizes(len(lengths), plan)
    else:
        assert all(len(set(side[of == group].tolist())) == 1 for group in set(of.tolist()))


def test_what_a_killed_preparation_leaves_is_known_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def killed(folder: Path, *_: object) -> None:
        seen.append(folder.name)
        raise KeyboardInterrupt

    monkeypatch.setattr("app.core.data.prepare._write_rows", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path, lines(*map(chat, range(20))))
    (tmp_path / seen[0]).mkdir()
    sweep(tmp_path)
    assert not (tmp_path / seen[0]).exists()
