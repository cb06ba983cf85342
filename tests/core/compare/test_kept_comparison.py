"""Kept comparisons: what is written is what is read, and whatever a file holds it is read, or refused in words."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.core.compare.candidate import BASE, Candidate
from app.core.compare.conversation import Conversation, Reply, Turn
from app.core.compare.judgement import Judged, Vote
from app.core.compare.kept_comparison import (
    COMPARISON_VERSION,
    ComparisonHead,
    KeptComparison,
    KeptQuestion,
    _last_piece,
    comparison_lines,
    kept_comparison,
    mark_judged,
    present_candidate,
    read_comparison,
)
from app.core.compare.shelf import MOST_KEPT, ComparisonShelf, gone_sentence, new_key
from app.core.language import tr
from app.core.problem import UnusableError
from app.core.protocol.event import Answered

TUNED = Candidate("support-faq · r32", Path("/runs/a/adapters"), Path("/runs/a"), 0.75)
FIGURES = Answered(
    request=7, column=1, done=True, generation_tokens=42, tokens_per_second=85.3, peak_memory_gb=1.21,
    finish_reason="length", together=2,
)  # fmt: skip


def conversation(*texts: str, prompt: str = "What is a lute?", judged: bool = False) -> Conversation:
    replies = [Reply(text, FIGURES) for text in texts]
    opening = ({"role": "system", "content": "Sing."},)
    return Conversation([BASE, TUNED], opening, [Turn(prompt, replies, judged)])


def comparison(*pages: Conversation, **head: object) -> KeptComparison:
    known: dict[str, object] = {"base": "/models/qwen", "columns": (BASE, TUNED), "place": 0} | head
    return kept_comparison(ComparisonHead(**known), pages or (conversation("one", "two"),))  # type: ignore[arg-type]


def written(folder: Path, kept: KeptComparison) -> Path:
    path = folder / "one.jsonl"
    path.write_text("".join(line + "\n" for line in comparison_lines(kept)))
    return path


def read(path: Path) -> KeptComparison:
    found = list(read_comparison(path))
    assert found[:-1] == [None] * (len(found) - 1)
    assert found[-1] is not None
    return found[-1]


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    question = KeptQuestion(
        "Why?\n\u2028\ud800", "Sing.", True, {"temp": 0.7, "repetition_penalty": None}, "/s.jsonl"
    )
    pages = [conversation("one", "zwei ♪", judged=True), conversation("", "\x00", prompt="And now?")]
    pages[1].turns.insert(0, Turn("First", [Reply("a", FIGURES), Reply("b", FIGURES)]))
    kept = comparison(
        *pages,
        question=question,
        place=1,
        blind=True,
        order=(1, 0),
        scrolls=(0, 40),
        made=1.5,
        answered=2.5,
        taken=3.5,
    )
    found = read(written(tmp_path, kept))
    assert found.pages[0].last.judged
    assert [turn.prompt for turn in found.pages[1].turns] == ["First", "And now?"]
    assert found.pages[1].answers == ["", "\x00"]
    assert found.pages[0].last.replies[1].last == FIGURES.model_copy(update={"request": 0})
    assert found.pages[0].opening == ({"role": "system", "content": "Sing."},)
    head = found.head
    assert (head.base, head.columns, head.question, head.place) == ("/models/qwen", (BASE, TUNED), question, 1)
    assert (head.asked, head.blind, head.order, head.scrolls, head.key) == (2, True, (1, 0), (0, 40), "one")
    assert (head.made, head.answered, head.taken) == (1.5, 2.5, 3.5)
    assert (found.is_whole, found.note) == (True, "")


def test_why_there_was_no_answer_is_read_in_the_language_of_the_day(tmp_path: Path) -> None:
    page = conversation("one", "two")
    said = tr("{data} does not exist.", data="x.jsonl")
    page.last.replies[1] = Reply("", Answered(request=1, column=1, done=True, finish_reason="error", message=said))
    last = read(written(tmp_path, comparison(page))).pages[0].last.replies[1].last
    assert last is not None
    assert (last.message, last.told) == (said, {"message": said.made_of})  # type: ignore[attr-defined]


def test_the_lines_are_plain_json_with_a_page_each(tmp_path: Path) -> None:
    """As somebody who knows nothing of the code would read the file."""
    head, page = (json.loads(line) for line in written(tmp_path, comparison()).read_text().splitlines())
    assert (head["luthier"], head["version"], head["asked"]) == ("comparison", COMPARISON_VERSION, 1)
    assert head["columns"][1] == {
        "label": "support-faq · r32",
        "adapter": "/runs/a/adapters",
        "run": "/runs/a",
        "strength": 0.75,
    }
    assert [reply["text"] for reply in page["turns"][0]["replies"]] == ["one", "two"]
    assert page["turns"][0]["replies"][1]["last"]["finish_reason"] == "length"


def test_what_was_still_being_answered_is_stopped_and_what_had_not_begun_is_left_out(tmp_path: Path) -> None:
    half = Conversation([BASE, TUNED], (), [Turn("Half", [Reply("A str"), Reply()])])
    unheard = Conversation([BASE, TUNED], (), [Turn("Unheard", [Reply(), Reply()])])
    kept = comparison(unheard, half, unheard.copied(), conversation("one", "two"), place=3)
    assert kept.head.asked == 2
    found = read(written(tmp_path, kept))
    assert [page.last.prompt for page in found.pages] == ["Half", "What is a lute?"]
    first, second = found.pages[0].last.replies
    assert first.last is not None
    assert (first.text, first.last.finish_reason, second.last) == ("A str", "stopped", None)
    assert found.head.place == 1, "the page that was shown, by its new number"


def test_what_was_kept_is_not_what_is_answered_later() -> None:
    page = conversation("one", "two")
    kept = comparison(page)
    page.last.replies[0].text += " and more"
    assert kept.pages[0].answers == ["one", "two"]
    assert not kept.is_same(comparison(page))
    assert kept.is_same(comparison(conversation("one", "two"), taken=9.0))


@pytest.mark.parametrize(
    "columns, title",
    [
        ((BASE, TUNED), "qwen · support-faq · r32 × 0.75 against base · 1 prompt"),
        ((TUNED, Candidate("Qwen r8")), "qwen · support-faq · r32 × 0.75 against base · 1 prompt"),
        ((BASE, Candidate("qwen · r8", Path("/b"))), "qwen · r8 against base · 1 prompt"),
        ((Candidate("a", Path("/a")), Candidate("b", Path("/b"))), "qwen · a against b · 1 prompt"),
        ((BASE, Candidate("x" * 60, Path("/a"))), f"qwen · {'x' * 47}… against base · 1 prompt"),
    ],
)
def test_a_title_says_who_was_asked_how_much(columns: tuple[Candidate, ...], title: str) -> None:
    assert comparison(columns=columns).head.title == title


def test_a_newer_file_is_read_as_far_as_it_is_understood_and_is_no_longer_whole(tmp_path: Path) -> None:
    path = written(tmp_path, comparison())
    head, page = (json.loads(line) for line in path.read_text().splitlines())
    head |= {"version": COMPARISON_VERSION + 1, "mood": "fine"}
    page["turns"][0]["replies"][0]["last"] |= {"joules": 3, "finish_reason": "stop"}
    path.write_text(json.dumps(head) + "\n" + json.dumps(page) + "\n")
    found = read(path)
    assert found.pages[0].answers == ["one", "two"]
    assert not found.is_whole
    assert "newer Luthier" in found.note


def test_a_file_that_was_cut_off_has_the_pages_before(tmp_path: Path) -> None:
    path = written(tmp_path, comparison(*[conversation("one", "two") for _ in range(3)]))
    path.write_bytes(path.read_bytes()[:-40])
    found = read(path)
    assert len(found.pages) == 2
    assert found.note == "Left out, since it cannot be read: 1 question."


def test_a_page_without_its_answers_is_left_out_and_not_taken_for_one_that_was_never_answered(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, comparison(conversation("one", "two"), conversation("three", "four")))
    head, first, second = path.read_text().splitlines()
    tree = json.loads(second)
    del tree["turns"][0]["replies"]
    path.write_text("\n".join([head, first, json.dumps(tree)]))
    found = read(path)
    assert [page.answers for page in found.pages] == [["one", "two"]]
    assert not found.is_whole
    assert found.note == "Left out, since it cannot be read: 1 question."


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[1]", b"[" * 5000, b'{"luthier": "votes"}'])
def test_what_is_no_comparison_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    with pytest.raises(UnusableError) as refused:
        list(read_comparison(path))
    assert "no kept comparison" in refused.value.problems[0].message
    with pytest.raises(UnusableError, match="cannot be read"):
        list(read_comparison(tmp_path / "gone.jsonl"))


def test_more_columns_than_can_be_shown_are_refused_in_words(tmp_path: Path) -> None:
    path = written(tmp_path, comparison(columns=(BASE,) * 5))
    with pytest.raises(UnusableError, match="compares 5"):
        list(read_comparison(path))


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)
HEAD_KEYS = (
    "version",
    "made",
    "answered",
    "taken",
    "base",
    "columns",
    "question",
    "asked",
    "place",
    "blind",
    "order",
)
WILD_HEAD = st.dictionaries(st.sampled_from(HEAD_KEYS), ANYTHING)
WILD_REPLY = ANYTHING | st.fixed_dictionaries(
    {
        "text": ANYTHING | st.text(),
        "last": st.dictionaries(st.sampled_from(sorted(Answered.model_fields)), ANYTHING),
    }
)
WILD_TURN = ANYTHING | st.fixed_dictionaries(
    {"prompt": st.text(), "replies": ANYTHING | st.lists(WILD_REPLY, max_size=6), "judged": ANYTHING}
)
WILD_PAGE = ANYTHING | st.fixed_dictionaries(
    {"opening": ANYTHING, "turns": ANYTHING | st.lists(WILD_TURN, max_size=3)}
)


@given(head=WILD_HEAD, pages=st.lists(WILD_PAGE, max_size=4), rest=st.binary(max_size=30))
@example(head={"version": 2}, pages=[], rest=b"")
def test_a_wild_file_is_read_as_something_sound_or_refused(
    tmp_path_factory: pytest.TempPathFactory, head: dict[str, object], pages: list[object], rest: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "wild.jsonl"
    lines = [json.dumps(one).encode("ascii") for one in (head | {"luthier": "comparison"}, *pages)]
    path.write_bytes(b"\n".join([*lines, rest]))
    try:
        found = read(path)
    except UnusableError:
        return  # more columns than can be shown
    assert all(len(turn.replies) == len(found.head.columns) for page in found.pages for turn in page.turns)
    assert all(page.turns and len(page.candidates) == len(found.head.columns) for page in found.pages)
    assert -1 <= found.head.place < max(len(found.pages), 1)
    assert sorted(found.head.order) in ([], list(range(len(found.head.columns))))
    assert found.head.title
    again = read(written(path.parent, found))
    assert again.is_same(found), "what was read once is read alike again"


@given(cut=st.integers(min_value=0))
def test_a_file_cut_anywhere_costs_no_more_than_what_is_gone(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = written(
        tmp_path_factory.getbasetemp(), comparison(conversation("one", "two"), conversation("three", "four"))
    )
    whole = path.read_bytes()
    left = whole[: cut % (len(whole) + 1)]
    path.write_bytes(left)
    lines = whole.splitlines()
    if len(left) < len(lines[0]):
        with pytest.raises(UnusableError):
            read(path)
        return
    pages = sum(len(left) >= len(b"\n".join(lines[: 2 + page])) for page in range(2))
    assert [page.answers for page in read(path).pages] == [["one", "two"], ["three", "four"]][:pages]


def test_a_vote_that_came_after_the_comparison_was_written_is_not_asked_for_again() -> None:
    def vote(time: float, *answers: str) -> Vote:
        asked = conversation(*answers).asked()
        return Vote({"model": "/m", "messages": asked}, (Judged("a"), Judged("b", "/b")), answers, "tie", time=time)

    pages = [conversation("one", "two"), conversation("three", "four"), conversation("one", "three")]
    kept = comparison(*pages, taken=100.0)
    mark_judged(kept, [vote(99.0, "three", "four"), vote(100.5, "one", "two"), vote(101.0, "two", "one")])
    assert [page.last.judged for page in kept.pages] == [True, False, False]


# -- the shelf ------------------------------------------------------------------------------------------------


def shelved(shelf: ComparisonShelf, key: str, answered: float = 0.0, *pages: Conversation) -> KeptComparison:
    kept = comparison(*pages, key=key, answered=answered)
    shelf.write(kept)
    os.utime(shelf.path_of(key), (answered, answered))
    return kept


def test_the_shelf_lists_comparisons_with_answers_the_newest_first(home: Path) -> None:
    shelf = ComparisonShelf()
    assert (shelf.heads(), shelf.shown) == ([], "")
    shelved(shelf, "old", 10.0)
    shelved(shelf, "new", 20.0)
    shelf.write(kept_comparison(ComparisonHead(key="draft"), ()))
    assert [head.key for head in shelf.heads()] == ["new", "old"]
    assert shelf.shown == "draft"
    assert shelf.folder == home / "data" / "comparisons"
    shelf.path_of("broken").write_bytes(b"\xff")
    broken = next(head for head in shelf.heads() if head.key == "broken")
    assert "damaged" in broken.fault
    os.mkfifo(shelf.path_of("pipe"))  # from which nobody will ever say a word
    assert "pipe" not in [head.key for head in shelf.heads()]
    shelf.remove("new")
    assert sorted(head.key for head in shelf.heads()) == ["broken", "old"]
    shelf.remove("draft")
    assert shelf.shown == ""


def test_only_the_newest_are_kept_and_never_the_one_that_is_written_goes(home: Path) -> None:
    assert home.is_dir()
    shelf = ComparisonShelf()
    for number in range(MOST_KEPT + 3):
        shelved(shelf, f"n{number}", 1000.0 + number)
    assert len(shelf.heads()) == MOST_KEPT + 1
    assert {head.key for head in shelf.heads()} == {f"n{number}" for number in range(2, MOST_KEPT + 3)}
    shelved(shelf, "ancient", 1.0)
    assert shelf.path_of("ancient").is_file()


def test_keys_differ() -> None:
    assert len({new_key() for _ in range(50)}) == 50


@pytest.mark.parametrize("wild", ["../../secret\n", "a b", "", "\ud800".encode("utf-8", "replace").decode(), "é"])
def test_the_note_of_what_is_shown_leads_nowhere_else(home: Path, wild: str) -> None:
    shelf = ComparisonShelf(home / "shelf")
    shelved(shelf, "one")
    (shelf.folder / "shown").write_text(wild, encoding="utf-8")
    assert shelf.shown == ""


def test_what_is_gone_is_said_and_keeps_its_name(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text('{"model_type": "llama"}')
    (base / "model.safetensors").write_bytes(b"")
    adapter = tmp_path / "friendly"
    adapter.mkdir()
    there = Candidate("friendly", adapter)
    assert gone_sentence(str(base), (BASE, None, there)) == ""
    assert gone_sentence(str(base), (BASE, TUNED)).startswith("support-faq · r32 is gone: ")
    assert gone_sentence(str(tmp_path / "gone"), (BASE, there)).startswith("The base model is gone.")
    assert present_candidate(TUNED) == TUNED
    assert present_candidate(Candidate("as it was called", adapter, strength=0.5)) == Candidate(
        "friendly", adapter, strength=0.5
    )
    assert present_candidate(Candidate("Basismodell")) == BASE
    assert present_candidate(None) is None


def test_a_head_without_answers_and_a_whole_one_say_what_they_are() -> None:
    assert not kept_comparison(ComparisonHead(), ()).has_answers
    one = comparison(conversation("a", "b"))
    assert (one.has_answers, one.is_whole, one.note) == (True, True, "")
    later = replace(one, head=replace(one.head, key="x", made=1.0, answered=2.0, taken=3.0, version=9))
    assert one.is_same(later)
    assert not one.is_same(replace(one, head=replace(one.head, blind=not one.head.blind)))
    assert not one.is_same(replace(one, pages=()))
    newer = replace(one, head=replace(one.head, version=COMPARISON_VERSION + 1), left_out=2)
    assert (newer.is_whole, replace(one, left_out=1).is_whole) == (False, False)
    assert newer.note == (
        "It was kept by a newer Luthier: what this one does not know is left out."
        " Left out, since it cannot be read: 2 questions."
    )


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnusableError) as told:
        read(tmp_path / "gone.jsonl")
    (problem,) = told.value.problems
    assert (problem.message, problem.file) == (
        "The kept comparison cannot be read: No such file or directory.", str(tmp_path / "gone.jsonl"),
    )  # fmt: skip


def test_figures_of_an_answer_that_are_none_cost_only_themselves() -> None:
    good = _last_piece({"finish_reason": "stop", "generation_tokens": 5, "odd": 1, "request": 9, "done": False}, 1)
    assert (good.finish_reason, good.generation_tokens, good.column, good.request, good.done) == (
        "stop",
        5,
        1,
        0,
        True,
    )
    bad = _last_piece({"finish_reason": "length", "generation_tokens": "many"}, 1)
    assert (bad.finish_reason, bad.generation_tokens, bad.column, bad.done) == ("length", 0, 1, True)
    assert _last_piece({"finish_reason": ["x"], "generation_tokens": [1]}, 0).finish_reason == ""


def test_with_what_a_question_was_asked_is_kept_with_its_answers(tmp_path: Path) -> None:
    page = conversation("one", "two")
    page.last.settings, page.last.weights = {"temp": 0.7, "seed": 3, "repetition_penalty": None}, ["", "ab12"]
    found = read(written(tmp_path, comparison(page, conversation("three", "four")))).pages
    assert (found[0].last.settings, found[0].last.weights) == (page.last.settings, ["", "ab12"])
    assert (found[0].brings_system, found[1].last.settings, found[1].last.weights) == (False, {}, ["", ""])


def test_a_comparison_of_before_says_nothing_of_settings_and_keeps_its_system_prompt(tmp_path: Path) -> None:
    path = written(tmp_path, comparison())
    head, line = path.read_text().splitlines()
    page = json.loads(line)
    del page["brings_system"], page["turns"][0]["settings"], page["turns"][0]["weights"]
    path.write_text(f"{head}\n{json.dumps(page)}\n")
    found = read(path)
    assert (found.is_whole, found.pages[0].last.settings, found.pages[0].last.weights) == (True, {}, ["", ""])
    found.pages[0].set_system("Whisper.")
    assert found.pages[0].opening == ({"role": "system", "content": "Sing."},)
