"""The rows of a comparison as people read them: which there are, and every cell of them."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.compare.figure_row import counts, figure_rows, signed, verdicts

LOSS = {
    "difference": -0.75,
    "low": -1.0,
    "high": -0.5,
    "better": 1041,
    "worse": 6,
    "same": 3,
    "lower_is_better": True,
}
SCORE = LOSS | {"difference": 0.25, "low": 0.125, "high": 0.5, "better": 3, "worse": 1, "same": 0,
                "lower_is_better": False}  # fmt: skip


def column(**more: Any) -> dict[str, Any]:
    return {"adapter": "/a", "loss": 1.25, "perplexity": 3.5, "difference": LOSS} | more


BASE = column(adapter=None, loss=2.0, perplexity=7.25, difference=None)


def rows_of(*columns: dict[str, Any], **more: Any) -> dict[str, tuple[str, ...]]:
    found = {"columns": list(columns), "examples": 1050} | more
    return {row.label: row.cells for row in figure_rows(found)}


def test_what_every_comparison_has() -> None:
    assert rows_of(BASE, column()) == {
        "Held-out loss": ("2.0000", "1.2500"), "Perplexity": ("7.250", "3.500"), "Difference": ("–", "−0.7500"),
        "… 95 % from": ("–", "−1.0000"), "… 95 % to": ("–", "−0.5000"),
        "Better / worse": ("–", "1,041 / 6 of 1,050"),
    }  # fmt: skip
    assert list(rows_of(BASE)) == ["Held-out loss", "Perplexity"]


def test_what_some_have() -> None:
    run = {"trainable_parameters": 1_500_000, "targets": "full", "peak_memory_gb": 2.5, "elapsed_s": 61.0}
    base = BASE | {"learned": 0.0, "forgot": 0.0, "strength": 1.0}
    tuned = column(strength=0.5, learned=0.75, forgot=0.125, trained_on=1000, run=run, parameters=9)
    plain = column(parameters=2000, run={"trainable_parameters": 0, "targets": "", "elapsed_s": 0.0})
    found = rows_of(base, tuned, plain)
    more = {name: cells for name, cells in found.items() if name not in rows_of(BASE, column())}
    assert more == {
        "Loss": ("2.0000", "1.2500", "1.2500"), "Trained on": ("–", "1,000 of 1,050", "–"),
        "Strength": ("–", "0.5", "1"), "Learned": ("–", "+0.7500", "–"), "Forgot": ("–", "+0.1250", "–"),
        "Trained parameters": ("–", "1.5\u00a0M", "2\u00a0k"), "Targets": ("–", "full", "–"),
        "Peak memory": ("–", "2.5 GB", "–"), "Training time": ("–", "1\u00a0min 1\u00a0s", "–"),
    }  # fmt: skip
    assert "Strength" not in rows_of(BASE | {"strength": 1.0}, column(strength=1.0), column())
    assert rows_of(column(strength=1.0), column(strength=2.0))["Strength"] == ("1", "2")


def test_each_reward_function_has_its_mean_and_interval() -> None:
    scores = {"short": {"mean": 0.5, "difference": None}, "mine": {"mean": 0.25, "difference": None}}
    better = {"short": {"mean": 0.75, "difference": SCORE}, "mine": {"mean": 1 / 3, "difference": SCORE}}
    found = {"columns": [BASE | {"scores": scores}, column(scores=better)], "examples": 4,
             "scored": {"functions": ["short", "mine"]}}  # fmt: skip
    rows = figure_rows(found)[-6:]
    assert [(row.label, row.cells) for row in rows] == [
        ("short", ("0.5", "0.75")), ("… 95 % from", ("–", "+0.1250")), ("… 95 % to", ("–", "+0.5000")),
        ("mine", ("0.25", "0.333")), ("… 95 % from", ("–", "+0.1250")), ("… 95 % to", ("–", "+0.5000")),
    ]  # fmt: skip
    said = "An end of the 95 % interval of the difference in {} to the first column, by resampling examples"
    assert [row.what for row in rows[1:3] + rows[4:]] == [said.format("short")] * 2 + [said.format("mine")] * 2


@pytest.mark.parametrize(
    ("neutral", "said"),
    [
        ({"tokens": 1200, "source": "starter"}, "1,200 tokens of plain answers of the starter's"),
        ({"tokens": 1200, "source": "sampled"}, "1,200 tokens of text of the base's own"),
        (None, "0 tokens of text of the base's own"),
    ],
)
def test_what_was_forgotten_says_of_which_text(neutral: dict[str, Any] | None, said: str) -> None:
    found = {"columns": [BASE, column(forgot=0.5)], "examples": 1050, "neutral": neutral}
    (forgot,) = [row for row in figure_rows(found) if row.label == "Forgot"]
    assert forgot.what == f"How far the loss on {said} lies above the base model's, nats a token"


def test_verdicts_say_what_was_traded_and_what_flatters() -> None:
    best = "Better on 1,041 of 1,050, worse on 6; the difference is beyond chance."
    columns = [
        BASE, column(), column(learned=0.75, forgot=0.125), column(learned=None, forgot=0.125),
        column(trained_on=1000), column(trained_on=1050), column(adapter=None, forgot=0.0, learned=0.0),
    ]  # fmt: skip
    found = {"columns": columns, "examples": 1050}
    assert verdicts(found, ["base", *"abcdef"]) == [
        f"a: {best}", f"b: {best} Learned 0.75, forgot 0.12.", f"c: {best} Forgot 0.12.",
        f"d: {best} It was trained on 1,000 of these 1,050 examples, so this is no held-out figure.",
        f"e: {best} It was trained on these very examples, so this is no held-out figure.", f"f: {best}",
    ]  # fmt: skip


def test_numbers_with_their_signs() -> None:
    assert [signed(value) for value in (0.00001, -0.00001, 0.5, -0.12345)] == [
        "0.0000",
        "0.0000",
        "+0.5000",
        "−0.1235",
    ]
    assert (counts(None), counts(SCORE)) == ("–", "3 / 1 of 4")
