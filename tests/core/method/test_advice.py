"""Advice: every combination of answers leads to a method that exists and trains on such examples."""

from itertools import product

import pytest

from app.core.method.advice import AIMS, MATERIALS, MEMORIES, Aim, HeldExamples, MemoryAtHand, advise
from app.core.method.table import METHODS


@pytest.mark.parametrize(("material", "memory", "aim"), list(product(MATERIALS, MEMORIES, AIMS)))
def test_a_method_that_fits(material: HeldExamples, memory: MemoryAtHand, aim: Aim) -> None:
    found = advise(material, memory, aim)
    method = METHODS[found.method]
    fits = {
        "answers": method.data == "examples",
        "pairs": method.data == "pairs",
        "labels": method.takes_labels,
        "checked": method.is_sampled,
        "prompts": method.is_judged,
    }
    assert fits[material]
    assert found.why.endswith(".")


def test_what_lacks_memory_is_not_given_a_reference_of_pairs() -> None:
    assert all(METHODS[advise("pairs", "short", aim).method].reference == "never" for aim in AIMS)


def test_the_well_known_cases() -> None:
    assert advise("answers", "short", "light").method == "sft"
    assert advise("pairs", "room", "proven").method == "dpo"
    assert advise("checked", "room", "proven").method == "grpo"
    assert advise("pairs", "room", "length").method == "simpo"
