"""The built-in rewards score what they say; files of the user's own are understood without being run."""

from __future__ import annotations

import pytest

from app.core.method import reward
from app.core.method.reward import (
    BUILT_IN,
    Declared,
    RewardFunction,
    declared,
    explanation,
    register_reward_function,
    reward_doubts,
)

TAGGED = "<think>Two and three.</think>\n<answer>5</answer>"


def score(name: str, text: str, answer: str = "5") -> float:
    (found,) = BUILT_IN[name](["?"], [text], answer=[answer], types=None)
    return float(found)


@pytest.mark.parametrize(
    "name, text, expected",
    [
        ("contains_answer", "There are 5 coins.", 1),
        ("contains_answer", "It is (5).", 1),
        ("contains_answer", "15 or 50", 0),
        ("contains_answer", "5.2 or 1.5", 0),
        ("contains_answer", "", 0),
        ("exact_match", " 5\n", 1),
        ("exact_match", "5 coins", 0),
        ("exact_match", "", 0),
        ("last_number", "3 and 2 make 5.", 1),
        ("last_number", "5 is 3 and 2", 0),
        ("last_number", "none", 0),
        ("tagged_answer", TAGGED, 2),
        ("tagged_answer", "5", 0),
        ("tagged_integer", TAGGED, 0.5),
        ("tagged_integer", "<answer>five</answer>", 0),
        ("strict_format", TAGGED, 0.5),
        ("strict_format", f"Well: {TAGGED}", 0),
        ("strict_format", "<think> </think><answer>5</answer>", 0),
        ("soft_format", f"Well: {TAGGED}", 0.5),
        ("soft_format", "<answer>5</answer><think>x</think>", 0),
        ("count_tags", TAGGED, 0.5),
        ("count_tags", f"{TAGGED} and so on", 0.491),
        ("count_tags", "nothing", 0),
        ("short", "x" * 200, 1),
        ("short", "x" * 400, 0.5),
        ("short", " ", 0),
    ],
)
def test_scores(name: str, text: str, expected: float) -> None:
    assert score(name, text) == pytest.approx(expected)


def test_numbers_are_compared_as_numbers() -> None:
    assert score("last_number", "That makes 1,200.0 in all", "1200") == 1
    for text, wanted, right in (
        ("Das macht 3,5 kg", "3.5", 1), ("3,5", "35", 0), ("0,500", "0.5", 1), ("1,2,3", "3", 1),
        ("1,2,3", "123", 0), ("12,345,678", "12345678", 1), ("1,0000", "1", 1),
        ("−1,234.5.", "-1234.5", 1), ("1,234, or so", "1234", 1),
    ):  # fmt: skip
        assert score("last_number", text, wanted) == right, text
    for text, wanted, right in (
        ("1/4", "3/4", 0),
        ("It is 3/4.", "3/4", 1),
        ("0.75", "3/4", 1),
        (".75", "3/4", 1),
        ("-3/4", "3/4", 0),
        ("\\boxed{\\frac{3}{4}}", "3/4", 1),
        ("-\\dfrac{1}{4}", "\\frac{1}{4}", 0),
        ("1/4", "4", 0),
        ("4/2", "2", 1),
        ("5/0", "0", 0),
        ("3 km/h", "3", 1),
    ):
        assert score("last_number", text, wanted) == right, (text, wanted)
    for text, wanted, right in (
        ("x = -5", "5", 0),
        ("-5", "5", 0),
        ("(-5)", "5", 0),
        ("x = −5", "-5", 1),
        ("3-5 days", "5", 1),
        ("COVID-19", "19", 1),
        ("3/5", "5", 0),
        ("5/6", "5", 0),
        ("and/or", "or", 1),
        ("-rw", "rw", 1),
        ("- 5", "5", 1),
    ):
        assert score("contains_answer", text, wanted) == right, (text, wanted)
    assert score("contains_answer", "Paris is the CAPITAL", "capital") == 1


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_is_explained_and_scores_nothing_with_nothing(name: str) -> None:
    assert explanation(name).endswith(".")
    assert BUILT_IN[name]([], [], answer=[], types=None) == []


def test_a_function_is_registered_by_its_own_name_or_the_one_that_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: dict[str, RewardFunction] = {}
    monkeypatch.setattr(reward, "REGISTERED", found)

    @register_reward_function()
    def plain(_prompts: list[str], completions: list[str], **_: object) -> list[float]:
        return [1.5 for _ in completions]

    @register_reward_function("given")
    def other(_prompts: list[str], completions: list[str], **_: object) -> list[float]:
        return [2.5 for _ in completions]

    assert list(found) == ["plain", "given"]
    assert [found[name](["?"], ["a"]) for name in found] == [[1.5], [2.5]]
    assert (plain(["?"], ["a", "b"]), other(["?"], [])) == ([1.5, 1.5], [])


def test_functions_of_a_file_are_found_without_running_it() -> None:
    source = '''
raise SystemExit
@register_reward_function()
def first(prompts, completions, answer, types=None):
    """Counts."""
@rewards.register_reward_function("named")
def second(p, c, a, types=None): ...
@register_reward_function(name="also")
def third(p, c, a): ...
def plain(prompts, completions, answer): ...
def helper(text): ...
'''
    assert declared(source) == [
        Declared("first", 4, "Counts."), Declared("named", 7, ""), Declared("also", 9, ""),
        Declared("plain", 10, ""),
    ]  # fmt: skip


def test_decorators_of_others_register_nothing() -> None:
    source = """
@functools.cache
def one(prompts, completions, answer): ...
@other()
def two(text): ...
@register_reward_function
def three(text): ...
@register_reward_function(3)
def four(text): ...
@register_reward_function(name=word)
def five(text): ...
class Six:
    def six(self, prompts, completions, answer): ...
def seven(prompts, completions): ...
"""
    assert [one.name for one in declared(source)] == ["one", "four", "five"]


LONG_TEXT = "So many ships, " * 7


@pytest.mark.parametrize(
    ("name", "references", "said"),
    [
        ("contains_answer", ["", " "],
         "`contains_answer` compares with a reference answer, and the rows have none: all answers earn 0."),
        ("last_number", [""],
         "`last_number` compares with a reference answer, and the rows have none: all answers earn 0."),
        ("exact_match", ["", "", "a"],
         "`exact_match` can hardly give a right answer its point: 2 of 3 reference answers are empty."),
        ("exact_match", ["", "a"], ""),
        ("tagged_answer", [LONG_TEXT, "a\nb", "a"],
         "`tagged_answer` can hardly give a right answer its point: 2 of 3 reference answers are long, and it "
         "would have to hold all of it."),
        ("tagged_answer", [LONG_TEXT, "a"], ""),
        ("exact_match", ["a" * 100, "a\n"], ""),
        ("exact_match", ["a" * 101],
         "`exact_match` can hardly give a right answer its point: the reference answer is long, and it would have "
         "to hold all of it."),
        ("last_number", ["a", "b", "3"],
         "`last_number` can hardly give a right answer its point: 2 of 3 reference answers are without a number."),
        ("last_number", ["a", "3"], ""),
        ("last_number", [LONG_TEXT + "3"], ""),
        ("short", ["", ""], ""),
        ("short", [], ""),
    ],
)  # fmt: skip
def test_a_function_that_can_hardly_give_its_point_is_doubted(name: str, references: list[str], said: str) -> None:
    assert reward_doubts([name], references) == ([said] if said else [])
    assert reward_doubts([name, "mine"], references) == ([said] if said else [])
