"""Advice on methods: three questions about examples, memory and aim, whose answers lead to one method each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from app.core.language import tr

HeldExamples = Literal["answers", "pairs", "labels", "checked", "prompts"]
MemoryAtHand = Literal["room", "short"]
Aim = Literal["proven", "light", "length", "single"]

# Each question's answers, as people read them, in the order in which they are offered.
MATERIALS: Mapping[HeldExamples, str] = {
    "answers": tr("Prompts with good answers, chats, or plain text"),
    "pairs": tr("Pairs of a better and a worse answer"),
    "labels": tr("Single answers that were called good or bad"),
    "checked": tr("Prompts, and a program that can check an answer"),
    "prompts": tr("Prompts only"),
}
MEMORIES: Mapping[MemoryAtHand, str] = {
    "room": tr("There is room for a second model"),
    "short": tr("It is short"),
}
AIMS: Mapping[Aim, str] = {
    "proven": tr("The simplest and most proven way"),
    "light": tr("The least memory and time"),
    "length": tr("That answers do not grow longer and longer"),
    "single": tr("One run from the base, no supervised one before"),
}


@dataclass(frozen=True, slots=True)
class Advice:
    """The ``method``, by its name in the table of methods, and a sentence ``why``."""

    method: str
    why: str


_ONLY = Advice(
    "sft",
    tr(
        "Good answers are learned as they are: no other method has anything to compare them with. "
        "The tab Setup trains every matrix for that; here it is the attention-only baseline to "
        "compare with."
    ),
)
_LABELS = Advice(
    "kto", tr("It is the one method that learns from single answers called good or bad, without pairs.")
)
_CPO = Advice(
    "cpo", tr("It learns from pairs without a reference, which saves memory and the pass that measures it.")
)
_SIMPO = Advice("simpo", tr("It compares the mean of a token, so that an answer gains nothing by being longer."))
_ORPO = Advice(
    "orpo", tr("It learns the better answers as examples in the same run, so that none has to come before.")
)
_DR_GRPO = Advice(
    "dr_grpo", tr("It does not divide by an answer's length, which is what makes wrong answers grow.")
)
_TWO = Advice(
    "online_dpo", tr("It samples two answers to a prompt where others sample a group; the program judges them.")
)
_GRPO = Advice(
    "grpo", tr("A program's score of each answer is all it needs, and it is the one that others build on.")
)
_OWN = Advice(
    "grpo",
    tr("It samples from the base itself. Where every answer scores nothing at first, a supervised run must help."),
)
_JUDGED = Advice(
    "online_dpo", tr("Nothing here says what is good, so that a second model has to judge: it is loaded too.")
)
_SMALL_JUDGE = Advice(
    "online_dpo",
    tr("Nothing here says what is good: choose a small model as the judge, or write a reward function."),
)
_PAIRS: dict[tuple[MemoryAtHand, Aim], Advice] = {
    ("room", "proven"): Advice("dpo", tr("It is the usual method for pairs, held to the base by a reference.")),
    ("room", "light"): _CPO, ("room", "length"): _SIMPO, ("room", "single"): _ORPO,
    ("short", "proven"): _CPO, ("short", "light"): _CPO, ("short", "length"): _SIMPO, ("short", "single"): _ORPO,
}  # fmt: skip
_CHECKED: dict[tuple[MemoryAtHand, Aim], Advice] = {
    ("room", "proven"): _GRPO, ("room", "light"): _TWO, ("room", "length"): _DR_GRPO, ("room", "single"): _OWN,
    ("short", "proven"): _TWO, ("short", "light"): _TWO, ("short", "length"): _DR_GRPO, ("short", "single"): _TWO,
}  # fmt: skip


def advise(material: HeldExamples, memory: MemoryAtHand, aim: Aim) -> Advice:
    """The method that these answers lead to. Every combination leads to one that trains on such examples."""
    match material:
        case "answers":
            return _ONLY
        case "labels":
            return _LABELS
        case "prompts":
            return _JUDGED if memory == "room" else _SMALL_JUDGE
        case "pairs":
            return _PAIRS[memory, aim]
        case "checked":
            return _CHECKED[memory, aim]
