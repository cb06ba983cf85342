"""A stop word ends an answer wherever its letters fall in the pieces, and nothing before it is lost."""

from __future__ import annotations

import random

import pytest
from mlx_lm.server import Response

from app.worker.endpoint.answer import until_stop


def pieces(texts: list[str], reason: str) -> list[Response]:
    last = len(texts) - 1
    return [Response(text, at, 0.0, reason if at == last else None, ()) for at, text in enumerate(texts)]


def read(found: list[Response]) -> str:
    """As mlx-lm's server does: what a piece says that ends with ``stop`` is not taken."""
    return "".join(piece.text for piece in found if piece.finish_reason != "stop")


@pytest.mark.parametrize("reason", ["length", "stop"])
def test_it_is_the_text_before_the_stop_word_that_is_whole_first(reason: str) -> None:
    chance = random.Random(7)
    for _ in range(500):
        text = "".join(chance.choices("ab", k=chance.randint(1, 12)))
        cuts = sorted(chance.choices(range(len(text) + 1), k=chance.randint(0, 4)))
        texts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        if reason == "stop":
            texts.append("")  # the token that ends a turn
        words = ["".join(chance.choices("ab", k=chance.randint(1, 5))) for _ in range(chance.randint(1, 3))]
        asked = pieces(texts, reason)
        found = list(until_stop(iter(asked), words))
        whole = [(text.find(word) + len(word), text.find(word)) for word in words if word in text]
        wanted = text[: min(whole)[1]] if whole else text
        assert read(found) == wanted
        assert [piece.token for piece in found] == list(range(len(found))), "no token is counted twice"
        assert (found[-1].finish_reason == "length") == (reason == "length" and not whole)


def test_what_can_no_longer_become_one_is_said_at_once() -> None:
    found = list(until_stop(iter(pieces(["x", "ab", "ab", "c", "abd", "!"], "length")), ["abd"]))
    assert [piece.text for piece in found] == ["x", "", "ab", "abc", ""]
