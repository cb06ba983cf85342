"""Reward functions: the built-in ones, and the registry that a file of the user's own adds to.

A reward function is ``f(prompts, completions, answer, types=None) -> list[float]`` with one score an answer, the
signature of mlx-lm-lora, whose names work here as well.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.core.language import tr
from app.core.typed_path import typed_path

RewardFunction = Callable[..., Sequence[float]]
Texts = Sequence[str]

ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
ANSWER_FORMAT = re.compile(r"\s*<think>.*?\S.*?</think>\s*<answer>.*?\S.*?</answer>\s*", re.DOTALL)
THOUSANDS = r"[1-9]\d{0,2}(?:,\d{3})+"
NUMBER = re.compile(rf"[-−]?(?:{THOUSANDS}(?!\d)(?:\.\d+)?|\d+/\d+|\d+(?:[.,]\d+)?|(?<!\d)\.\d+)")
FRACTION = re.compile(r"\\[dt]?frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}")  # as TeX has it
TAGS = ("<think>", "</think>", "<answer>", "</answer>")
# Characters of an answer beyond which the reward for a short one falls.
SHORT = 200

BUILT_IN: dict[str, RewardFunction] = {}
REGISTERED: dict[str, RewardFunction] = {}


def register_reward_function(name: str | None = None) -> Callable[[RewardFunction], RewardFunction]:
    """A decorator for a reward function in a file of the user's own; its name is the function's unless given."""

    def register(function: RewardFunction) -> RewardFunction:
        REGISTERED[name or function.__name__] = function
        return function

    return register


def _built_in(*names: str) -> Callable[[RewardFunction], RewardFunction]:
    def add(function: RewardFunction) -> RewardFunction:
        for name in names or (function.__name__,):
            BUILT_IN[name] = function
        return function

    return add


@_built_in()
def contains_answer(_prompts: Texts, completions: Texts, answer: Texts, types: object = None) -> list[float]:  # noqa: ARG001
    """1 if the reference answer stands in the text as a whole word or number, whatever else does; else 0."""
    return [_share(_contains(text, wanted)) for text, wanted in zip(completions, answer, strict=True)]


@_built_in()
def exact_match(_prompts: Texts, completions: Texts, answer: Texts, types: object = None) -> list[float]:  # noqa: ARG001
    """1 if the text is the reference answer, but for case and white space around it; else 0."""
    pairs = zip(completions, answer, strict=True)
    return [_share(bool(text.strip()) and _folded(text) == _folded(wanted)) for text, wanted in pairs]


@_built_in()
def last_number(_prompts: Texts, completions: Texts, answer: Texts, types: object = None) -> list[float]:  # noqa: ARG001
    """1 if the last number in the text is the reference answer; else 0. For sums and word problems."""
    return [_share(_same_number(text, wanted)) for text, wanted in zip(completions, answer, strict=True)]


@_built_in("tagged_answer", "r1_accuracy_reward_func")
def tagged_answer(_prompts: Texts, completions: Texts, answer: Texts, types: object = None) -> list[float]:  # noqa: ARG001
    """2 if what stands between <answer> and </answer> is the reference answer; else 0."""
    pairs = zip(completions, answer, strict=True)
    return [2.0 if text and _tagged(text) == wanted.strip() else 0.0 for text, wanted in pairs]


@_built_in("tagged_integer", "r1_int_reward_func")
def tagged_integer(_prompts: Texts, completions: Texts, answer: Texts, types: object = None) -> list[float]:  # noqa: ARG001
    """0.5 if what stands between <answer> and </answer> is a whole number; else 0."""
    return [0.5 if _tagged(text).isdigit() else 0.0 for text in completions]


@_built_in("strict_format", "r1_strict_format_reward_func")
def strict_format(_prompts: Texts, completions: Texts, answer: Texts, types: object = None) -> list[float]:  # noqa: ARG001
    """0.5 if the text is <think>…</think> followed by <answer>…</answer> and nothing else; else 0."""
    return [0.5 if ANSWER_FORMAT.fullmatch(text) else 0.0 for text in completions]


@_built_in("soft_format", "r1_soft_format_reward_func")
def soft_format(_prompts: Texts, completions: Texts, answer: Texts, types: object = None) -> list[float]:  # noqa: ARG001
    """0.5 if a filled <think> part and then a filled <answer> part stand somewhere in the text; else 0."""
    return [0.5 if ANSWER_FORMAT.search(text) else 0.0 for text in completions]


@_built_in("count_tags", "r1_count_xml")
def count_tags(_prompts: Texts, completions: Texts, answer: Texts, types: object = None) -> list[float]:  # noqa: ARG001
    """0.125 for each of the four tags that stands there once, less 0.001 a character behind </answer>."""
    return [_tag_score(text) for text in completions]


@_built_in()
def short(_prompts: Texts, completions: Texts, answer: Texts, types: object = None) -> list[float]:  # noqa: ARG001
    """1 for an answer of up to 200 characters, less the longer it is: half at 400. An empty one earns 0."""
    return [min(1.0, SHORT / len(text)) if text.strip() else 0.0 for text in completions]


@dataclass(frozen=True, slots=True)
class Declared:
    """A reward function as a file declares it: its name, its line (from 1), and what its docstring says."""

    name: str
    line: int
    what: str


def declared(source: str) -> list[Declared]:
    """The reward functions of a file's text, found without running it; raises `SyntaxError`.

    A function counts if it is registered, or if it takes what a reward function takes.
    """
    found = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            registered = [_registered_name(item) for item in node.decorator_list]
            name = next((given or node.name for given in registered if given is not None), None)
            if name is None and [item.arg for item in node.args.args[:3]] == ["prompts", "completions", "answer"]:
                name = node.name
            if name is not None:
                found.append(Declared(name, node.lineno, ast.get_docstring(node) or ""))
    return found


def _registered_name(decorator: ast.expr) -> str | None:
    """The name that a decorator registers; empty for the function's own, None if it is another decorator."""
    if not isinstance(decorator, ast.Call):
        return None
    function = decorator.func
    called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if called != register_reward_function.__name__:
        return None
    given = [*decorator.args, *(item.value for item in decorator.keywords if item.arg == "name")]
    name = given[0].value if given and isinstance(given[0], ast.Constant) else ""
    return name if isinstance(name, str) else ""


def declared_in(file: Path) -> list[Declared]:
    """The same of a file; raises `SyntaxError` or `OSError`."""
    return declared(typed_path(file).read_text(encoding="utf-8"))


LONG = 100  # characters of a reference answer that an answer will hardly repeat word for word
_LITERAL = ("contains_answer", "exact_match", "tagged_answer", "r1_accuracy_reward_func")


def reward_doubts(names: Sequence[str], references: Sequence[str]) -> list[str]:
    """Which of the chosen built-in functions can hardly give a right answer its point, judged by references of the
    data: a sentence each. A function is doubted where more than half of the references are of no use to it."""
    if not references:
        return []
    long = [text for text in references if len(text) > LONG or "\n" in text.strip()]
    mute = [text for text in references if _last_number(text) is None]
    empty = [text for text in references if not text.strip()]
    found = []
    for name in names:
        told = tr("`{name}` can hardly give a right answer its point", name=name)
        if name in (*_LITERAL, "last_number") and len(empty) == len(references):
            found.append(
                tr(
                    "`{name}` compares with a reference answer, and the rows have none: all answers earn 0.",
                    name=name,
                )
            )
        elif name in (*_LITERAL, "last_number") and 2 * len(empty) > len(references):
            found.append(tr("{told}: {counted} empty.", told=told, counted=_counted(empty, references)))
        elif name in _LITERAL and 2 * len(long) > len(references):
            found.append(
                tr(
                    "{told}: {counted} long, and it would have to hold all of it.",
                    told=told,
                    counted=_counted(long, references),
                )
            )
        elif name == "last_number" and 2 * len(mute) > len(references):
            found.append(tr("{told}: {counted} without a number.", told=told, counted=_counted(mute, references)))
    return found


def _counted(some: Sequence[str], references: Sequence[str]) -> str:
    if len(references) == 1:
        return tr("the reference answer is")
    return tr("{some:,} of {references:,} reference answers are", some=len(some), references=len(references))


def explanation(name: str) -> str:
    """What a built-in function scores, in a sentence or two."""
    return tr(" ".join((BUILT_IN[name].__doc__ or "").split()))


def _share(is_right: bool) -> float:
    return 1.0 if is_right else 0.0


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _contains(text: str, wanted: str) -> bool:
    """As a word: 5 stands neither in 15 nor in 5.2, -5 or 3/5, but in "5." and "(5)"."""
    if not wanted.strip():
        return False
    text, wanted = _folded(text).replace("−", "-"), _folded(wanted).replace("−", "-")
    sign = r"(?<!\A-)(?<![^\w-]-)" if wanted[0].isdigit() else ""  # behind a word or a number it is a dash
    pattern = rf"(?<!\w)(?<!\d[.,/]){sign}{re.escape(wanted)}(?!\w)(?![.,/]\d)"
    return re.search(pattern, text) is not None


def _same_number(text: str, wanted: str) -> bool:
    found, meant = _last_number(text), _last_number(wanted)
    return found is not None and found == meant


def _last_number(text: str) -> float | None:
    """``1,234`` is a thousand and more; any other comma is a point, as many languages have it. A fraction is one
    number, as ``3/4`` and as TeX has it."""
    numbers = NUMBER.findall(FRACTION.sub(r"\1/\2", text))
    if not numbers:
        return None
    last = numbers[-1].replace("−", "-")
    if "/" in last:
        above, below = (float(part) for part in last.split("/"))
        return above / below if below else None
    is_grouped = re.fullmatch(rf"-?{THOUSANDS}(?:\.\d+)?", last)
    return float(last.replace(",", "" if is_grouped else "."))


def _tagged(text: str) -> str:
    """What stands in the last pair of answer tags; empty where there is none."""
    found = ANSWER.findall(text)
    return str(found[-1]).strip() if found else ""


def _tag_score(text: str) -> float:
    score = sum(0.125 for tag in TAGS if text.count(tag) == 1)
    behind = text.split("</answer>")[-1] if "</answer>" in text else ""
    return max(0.0, score - 0.001 * len(behind.strip()))
