"""The certificate's judgement, on readings made by hand: what agrees, what differs, and how each is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.core.export.certificate import Agreement, Certificate, Readings, certify

TUNED = Readings(
    "mlx", [[1, 2, 3, 4], [5, 6]], [[1, 2, 9, 3, 9], [4, 9]], frozenset({8, 9}), [[7, 7], [6]],
    [[1.0, 0.5], [0.04]], [[-1.0, -1.0], [-1.0, -1.0], []],
)  # fmt: skip
BASE = replace(TUNED, log_probabilities=[[-2.0, -2.0], [-2.0, -2.0], []])


def found(**changes: Any) -> Certificate:
    return certify(TUNED, BASE, replace(TUNED, engine="it", **changes), float_bytes=2, material="2 rows")


def said(certificate: Certificate) -> dict[str, tuple[bool, str]]:
    return {one.name: (one.agrees, one.said) for one in certificate.findings}


def test_what_is_the_same_agrees_in_everything() -> None:
    same = found()
    assert said(same) == {
        "prompts": (True, "2 prompts of the same tokens."),
        "end of turn": (True, "2 whole conversations of the same tokens."),
        "end tokens": (True, "It stops where a turn ends (9)."),
        "answers": (True, "2 of 2 answers the same."),
        "loss": (
            True,
            "Log-probabilities are 0 away on average, where the adapter moves them by 1; "
            "held-out loss +0.0000 (+0.0000 to +0.0000).",
        ),
    }
    assert (same.engine, same.own_reader, same.material, same.agrees) == ("it", False, "2 rows", True)
    assert same.sentence() == "it agrees with the run's model."
    assert replace(same, own_reader=True).sentence() == (
        "Opened again here, by no other program: it agrees with the run's model."
    )
    tree = same.as_dict()
    assert (tree["agrees"], tree["sentence"]) == (True, same.sentence())
    assert Certificate.from_dict(tree) == same


def test_other_tokens_are_told_with_the_first_place() -> None:
    other = found(prompts=[[1, 2, 3, 4], [5, 7, 8, 9, 10]], conversations=[[1, 2, 9, 3], [4, 9]])
    assert said(other)["prompts"] == (
        False,
        "1 of 2 prompts have other tokens, the first from token 2 on ([6] here, [7, 8, 9] there): "
        "another template or tokenizer.",
    )
    assert said(other)["end of turn"] == (
        False,
        "1 of 2 whole conversations have other tokens, the first from token 5 on ([9] here, [] there): "
        "another template or tokenizer.",
    )
    assert not other.agrees
    assert other.sentence() == f"it differs: {said(other)['prompts'][1]} {said(other)['end of turn'][1]}"


def test_every_token_that_ends_a_turn_must_end_an_answer() -> None:
    assert said(found(ends=frozenset({9})))["end tokens"][0]
    assert said(found(ends=frozenset({8})))["end tokens"] == (
        False,
        "It does not stop at 9, where a turn ends: answers would never end.",
    )
    silent = replace(TUNED, conversations=[[1], [2]])  # whose turns end with none of them: then each counts
    judged = certify(silent, BASE, replace(silent, ends=frozenset()), float_bytes=2)
    assert said(judged)["end tokens"] == (
        False,
        "It does not stop at 8, 9, where a turn ends: answers would never end.",
    )


@pytest.mark.parametrize(
    ("answers", "agrees", "words"),
    [
        ([[7, 7], [5]], True, "1 of 2 answers the same, 1 after a tie."),
        ([[7, 8], [6]], False, "1 of 2 answers the same, 1 otherwise."),
        ([[8, 7], [5]], False, "0 of 2 answers the same, 1 after a tie, 1 otherwise."),
    ],
)
def test_an_answer_may_go_on_otherwise_only_after_a_tie(answers: list[list[int]], agrees: bool, words: str) -> None:
    assert said(found(answers=answers))["answers"] == (agrees, words)
    lossy = certify(TUNED, BASE, replace(TUNED, answers=answers), float_bytes=2, lossy=True)
    assert said(lossy)["answers"] == (True, words)


def test_a_tie_is_looked_for_where_the_answers_part() -> None:
    tuned = replace(TUNED, answers=[[1, 2, 3]], margins=[[0.01, 0.01, 2.0, 0.01]])
    for seen, agrees in (([1, 2, 4], False), ([1, 5, 3], True), ([1, 2], False), ([1, 2, 3, 4], True)):
        judged = certify(tuned, BASE, replace(tuned, answers=[seen]), float_bytes=2)
        assert said(judged)["answers"][0] is agrees, seen
    at_the_edge = replace(TUNED, answers=[[1]], margins=[[0.05]])
    assert not said(certify(at_the_edge, BASE, replace(at_the_edge, answers=[[2]]), float_bytes=2))["answers"][0]


@pytest.mark.parametrize(
    ("away", "change", "float_bytes", "agrees"),
    [
        (0.049, 1.0, 2, True), (0.051, 1.0, 2, False),  # a twentieth of what the adapter changes
        (0.029, 0.1, 2, True), (0.031, 0.1, 2, False),  # or what rounding to 16 bits moves
        (0.0029, 0.01, 4, True), (0.0031, 0.01, 4, False),  # or to 32
    ],
)  # fmt: skip
def test_floats_may_be_away_as_far_as_rounding_goes(
    away: float, change: float, float_bytes: int, agrees: bool
) -> None:
    base = replace(TUNED, log_probabilities=[[-1 - change, -1 - change], [-1 + change, -1 + change], []])
    seen = replace(TUNED, log_probabilities=[[-1 - away, -1 + away], [-1 + away, -1 - away], []])
    judged = certify(TUNED, base, seen, float_bytes=float_bytes)
    assert said(judged)["loss"] == (
        agrees,
        f"Log-probabilities are {away:.2g} away on average, where the adapter moves them by {change:.2g}; "
        "held-out loss +0.0000 (+0.0000 to +0.0000).",
    )


def test_what_is_no_number_never_agrees() -> None:
    assert not said(found(log_probabilities=[[-1.0, float("nan")], [-1.0, -1.0], []]))["loss"][0]


@pytest.mark.parametrize(
    ("base", "cost", "agrees", "words"),
    [
        (-2.0, 0.04, True, "It keeps 96 % of what training gained; held-out loss +0.0400 (+0.0400 to +0.0400)."),
        (-2.0, 0.06, False, "It keeps 94 % of what training gained; held-out loss +0.0600 (+0.0600 to +0.0600)."),
        (-2.0, 1.5, False, "It keeps nothing of what training gained; held-out loss +1.5000 (+1.5000 to +1.5000)."),
        (-1.0, 0.04, True, "Training gained nothing on these rows; held-out loss +0.0400 (+0.0400 to +0.0400)."),
        (-1.0, 0.06, False, "Training gained nothing on these rows; held-out loss +0.0600 (+0.0600 to +0.0600)."),
    ],
)
def test_fewer_bits_keep_most_of_what_training_gained(base: float, cost: float, agrees: bool, words: str) -> None:
    untrained = replace(TUNED, log_probabilities=[[base, base], [base, base], []])
    seen = replace(TUNED, log_probabilities=[[-1 - cost] * 2, [-1 - cost] * 2, []])
    judged = certify(TUNED, untrained, seen, float_bytes=2, lossy=True)
    agreed, told = said(judged)["loss"]
    assert (agreed, told.replace("\u00a0", " ")) == (agrees, words)
    assert judged.loss is not None


def test_without_rows_no_loss_is_compared() -> None:
    bare = replace(TUNED, log_probabilities=[])
    judged = certify(bare, bare, bare, float_bytes=2, own_reader=True)
    assert list(said(judged)) == ["prompts", "end of turn", "end tokens", "answers"]
    assert (judged.loss, judged.own_reader, judged.as_dict()["loss"]) == (None, True, None)
    assert Certificate("a", False, (Agreement("x", False, "No."), Agreement("y", True, "Yes."))).sentence() == (
        "a differs: No."
    )
