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


def test_each_answer_leads_where_it_says() -> None:
    found = {
        (material, memory): " ".join(advise(material, memory, aim).method for aim in AIMS)
        for material, memory in product(MATERIALS, MEMORIES)
    }
    assert list(AIMS) == ["proven", "light", "length", "single"]
    assert found == {
        ("answers", "room"): "sft sft sft sft", ("answers", "short"): "sft sft sft sft",
        ("labels", "room"): "kto kto kto kto", ("labels", "short"): "kto kto kto kto",
        ("pairs", "room"): "dpo cpo simpo orpo", ("pairs", "short"): "cpo cpo simpo orpo",
        ("checked", "room"): "grpo online_dpo dr_grpo grpo",
        ("checked", "short"): "online_dpo online_dpo dr_grpo online_dpo",
        ("prompts", "room"): " ".join(["online_dpo"] * 4), ("prompts", "short"): " ".join(["online_dpo"] * 4),
    }  # fmt: skip
    assert "it is loaded too" in advise("prompts", "room", "light").why
    assert "choose a small model" in advise("prompts", "short", "light").why
