"""Votes: kept line by line whatever happens to the file, counted by comparison, exported, forgotten."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.compare.candidate import Candidate, weights_mark
from app.core.compare.judgement import Judged, Vote, VoteBook, export, tally, vote_file

BASE, TUNED, OTHER = Judged("Base model"), Judged("friendly", "/a", "/run"), Judged("other", "/b")
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def vote(winner: int | None = 1, *, outcome: str = "win", against: Judged = TUNED, **more: object) -> Vote:
    question = {"model": "m", "messages": [{"role": "user", "content": "Q?"}], "temp": 0.0}
    return Vote(question, (BASE, against), ("yes", "no"), outcome, winner, **more)  # type: ignore[arg-type]


@given(ANY_TEXT, ANY_TEXT)
def test_whatever_is_said_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, asked: str, said: str
) -> None:
    book = VoteBook(tmp_path_factory.mktemp("votes") / "votes.jsonl")
    kept = Vote({"messages": [{"role": "user", "content": asked}]}, (BASE, TUNED), (said, ""), "tie")
    book.add(kept)
    book.add(vote())
    found = book.read()
    assert found.votes[0] == kept
    assert (len(found.votes), found.broken) == (2, 0)


def test_votes_are_kept_in_the_home_of_luthier(home: Path) -> None:
    VoteBook().add(vote())
    assert vote_file() == home / "data" / "votes.jsonl"
    assert len(VoteBook().read().votes) == 1


def test_broken_lines_are_counted_and_cost_nothing_else(tmp_path: Path) -> None:
    book = VoteBook(tmp_path / "votes.jsonl")
    book.add(vote())
    with book.path.open("ab") as file:
        file.write(b'[1]\n\n{"question": {}}\n\xff\xfe\n' + json.dumps(vote().as_dict()).encode()[:40])
    book.add(vote(0))
    found = book.read()
    assert [v.winner for v in found.votes] == [1, 0]
    assert found.broken == 4


def test_other_comparisons_are_not_counted(tmp_path: Path) -> None:
    book = VoteBook(tmp_path / "votes.jsonl")
    for one in (vote(), vote(against=OTHER), vote(0)):
        book.add(one)
    these = book.read().of(vote().key)
    counted = tally(these, (BASE, TUNED))
    assert [one.wins for one in counted.standings] == [1, 1]
    turned = Vote(vote().question, (TUNED, BASE), ("no", "yes"), "win", 0)
    assert turned.key == vote().key
    assert tally((turned,), (BASE, TUNED)).standings[1].wins == 1
    assert Vote({"model": "x"}, (BASE, TUNED), ("", ""), "tie").key != vote().key


def test_the_tally_tells_wins_uncertainty_and_the_sign_test() -> None:
    votes = [vote()] * 6 + [vote(None, outcome="tie"), vote(None, outcome="all_bad", blind=True)]
    counted = tally(votes, (BASE, TUNED))
    tuned = counted.standings[1]
    assert (tuned.wins, tuned.rate.value) == (6, 0.75)
    assert (tuned.rate.low, tuned.rate.high) == pytest.approx((0.4093, 0.9285), abs=1e-4)
    assert (counted.ties, counted.all_bad, counted.blind, counted.p_value) == (1, 1, 1, 0.03125)
    assert counted.verdict() == "friendly won 6 of 8 votes; beyond chance (sign test, p = 0.031)."


@pytest.mark.parametrize(
    "winners, said",
    [
        ([], ""),
        ([0, 1], "No candidate is ahead."),
        ([1], "friendly won 1 of 1 vote; could be chance (sign test, p = 1)."),
        ([1] * 20, "friendly won 20 of 20 votes; beyond chance (sign test, p < 0.001)."),
    ],
)
def test_the_verdict_does_not_claim_too_much(winners: list[int], said: str) -> None:
    assert tally([vote(winner) for winner in winners], (BASE, TUNED)).verdict() == said


def test_of_three_the_leader_must_be_clear_of_all_others() -> None:
    def three(winner: int) -> Vote:
        return Vote({}, (BASE, TUNED, OTHER), ("", "", ""), "win", winner)

    close = tally([three(n) for n in (0, 1, 1, 2)], (BASE, TUNED, OTHER))
    clear = tally([three(1)] * 20, (BASE, TUNED, OTHER))
    assert close.p_value is None
    assert close.verdict() == "friendly won 2 of 4 votes; could be chance."
    assert clear.verdict() == "friendly won 20 of 20 votes; beyond chance."


def test_a_vote_that_contradicts_itself_is_refused() -> None:
    contradictions: list[dict[str, Any]] = [
        {"winner": 5},
        {"winner": None},
        {"outcome": "tie"},
        {"outcome": "maybe", "winner": None},
    ]
    for bad in contradictions:
        with pytest.raises(ValueError):  # noqa: PT011  # each says something else
            vote(**({"winner": 1} | bad))
    for count, answers in ((1, 1), (2, 1), (1, 2), (2, 3)):
        with pytest.raises(ValueError, match="two or more candidates, and an answer of each"):
            Vote({}, (BASE, TUNED)[:count], ("",) * answers, "tie")
    for winner in (-1, 2):
        with pytest.raises(ValueError, match="the winner is none of the candidates"):
            Vote({}, (BASE, TUNED), ("", ""), "win", winner)


def test_the_first_vote_makes_its_folders(tmp_path: Path) -> None:
    book = VoteBook(tmp_path / "of" / "mine" / "votes.jsonl")
    book.add(vote())
    assert len(book.read().votes) == 1


def test_forgetting_takes_these_or_all_and_leaves_the_rest_as_it_was(tmp_path: Path) -> None:
    book = VoteBook(tmp_path / "votes.jsonl")
    for one in (vote(), vote(against=OTHER)):
        book.add(one)
    with book.path.open("ab") as file:
        file.write(b"broken\n")
    assert book.forget(vote().key) == 1
    assert [v.key for v in book.read().votes] == [vote(against=OTHER).key]
    assert book.read().broken == 1
    assert book.forget() == 1
    assert not book.path.exists()
    assert book.forget() == 0


def test_a_changed_vote_takes_the_place_of_the_one_on_the_same_answers_and_of_no_other(tmp_path: Path) -> None:
    book = VoteBook(tmp_path / "votes.jsonl")
    again = {"model": "m", "messages": [{"role": "user", "content": "Q?"}], "temp": 0.5}
    others = [
        vote(against=OTHER),
        Vote(again | {"model": "n"}, (BASE, TUNED), ("yes", "no"), "win", 1),
        Vote(again | {"messages": [{"role": "user", "content": "P?"}]}, (BASE, TUNED), ("yes", "no"), "win", 1),
        Vote(again, (BASE, TUNED), ("yes", "no."), "win", 1),
    ]
    for one in (others[0], vote(), *others[1:], vote()):
        book.add(one)
    with book.path.open("ab") as file:
        file.write(b"broken")
    changed = Vote(again, (Judged("Base"), Judged("renamed", "/a")), ("yes", "no"), "tie")
    book.change(changed)
    found = book.read()
    assert (found.votes, found.broken) == ((*others, changed), 1)
    assert book.path.read_bytes().count(b"\n") == 6
    assert (found.given_on(vote()), found.given_on(vote(against=OTHER))) == (changed, others[0])
    assert found.with_last(vote(0)).votes[:-1] == tuple(others)
    empty = VoteBook(tmp_path / "none" / "votes.jsonl")
    empty.change(changed)
    assert empty.read().votes == (changed,)


def test_export_as_csv_json_and_markdown(tmp_path: Path) -> None:
    blind = Vote(
        {"messages": [{"role": "user", "content": 'a "quoted",\nline'}]},
        (BASE, TUNED),
        ("```\ncode", "b"),
        "win",
        1,
        blind=True,
        shown=(1, 0),
    )
    for suffix in ("csv", "json", "md"):
        export([blind], (BASE, TUNED), tmp_path / f"votes.{suffix}")
    with (tmp_path / "votes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["candidate"], row["column"], row["result"]) for row in rows] == [
        ("Base model", "2", "lost"),
        ("friendly", "1", "won"),
    ]
    assert (rows[0]["prompt"], rows[0]["answer"], rows[0]["blind"]) == ('a "quoted",\nline', "```\ncode", "yes")
    tree = json.loads((tmp_path / "votes.json").read_text())
    assert Vote.from_dict(tree["votes"][0]) == blind
    assert tree["tally"]["candidates"][1]["wins"] == 1
    text = (tmp_path / "votes.md").read_text()
    assert "| friendly | 1 | 100\u00a0% | 21\u00a0% to 100\u00a0% |" in text
    assert "````\n```\ncode\n````" in text
    with pytest.raises(ValueError, match="exported as"):
        export([blind], (BASE, TUNED), tmp_path / "votes.txt")


def test_of_a_model_that_is_compared_with_itself_each_column_has_its_own_votes() -> None:
    """Six for the first column and two for the second, as somebody counts them who wants to know what is chance."""
    votes = [vote(0, against=BASE)] * 6 + [vote(1, against=BASE)] * 2
    counted = tally(votes, (BASE, BASE))
    assert [one.wins for one in counted.standings] == [6, 2]
    assert counted.p_value == pytest.approx(2 * (1 + 8 + 28) / 2**8)  # two-sided, of at most two among eight
    assert vote(against=BASE).key != Vote(vote().question, (BASE, BASE, BASE), ("", "", ""), "tie").key
    three = Vote(vote().question, (TUNED, BASE, TUNED), ("", "", ""), "win", 2)
    assert [one.wins for one in tally([three], (BASE, TUNED, TUNED)).standings] == [0, 0, 1]


def test_votes_on_weights_that_made_room_for_others_are_told(tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapters.safetensors").write_bytes(b"early")
    tuned = Candidate("tuned", adapter)

    def given(weights: object) -> Vote:
        question = {"model": "m", "weights": weights}
        return Vote(question, (BASE, Judged.of(tuned)), ("", ""), "win", 1)

    early = weights_mark(tuned)
    votes = [given(["", early])] * 3 + [given(["", ""]), given(["", early, early]), given("odd")]
    assert tally(votes, (BASE, Judged.of(tuned))).verdict().endswith("p = 0.031).")
    (adapter / "adapters.safetensors").write_bytes(b"later")
    counted = tally([*votes, given(["", weights_mark(tuned)])], (BASE, Judged.of(tuned)))
    assert counted.as_dict()["earlier_weights"] == 3
    assert counted.verdict().endswith(
        "p = 0.016). Of these votes 3 were given on earlier weights in the same place."
    )
    (adapter / "adapters.safetensors").unlink()
    assert tally(votes, (BASE, Judged.of(tuned))).earlier == 0, "nothing lies there that would be another one"


def test_odd_texts_are_exported_as_they_are(tmp_path: Path) -> None:
    asked = {"messages": [{"role": "user", "content": "half \ud83d"}]}
    odd = Vote(asked, (BASE, Judged("a|b\r\nc", "/a")), ("one\rtwo", "=1+1"), "tie")
    for suffix in ("csv", "json", "md"):
        export([odd], odd.candidates, tmp_path / f"votes.{suffix}")
    with (tmp_path / "votes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["prompt"], row["answer"]) for row in rows] == [("half ?", "one\rtwo"), ("half ?", "=1+1")]
    assert json.loads((tmp_path / "votes.json").read_text())["votes"][0]["answers"] == ["one\rtwo", "=1+1"]
    text = (tmp_path / "votes.md").read_bytes().decode()
    assert "| a\\|b c | 0 |" in text
    assert "**a|b c** (tie)" in text
