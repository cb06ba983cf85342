"""Each example's loss: what validation finds of all, whatever is read together and however the model ends."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx_lm.utils import load_model

from app.worker.batch.examples import Examples
from app.worker.model.head import NoHead, find_head
from app.worker.objective.example_loss import example_losses
from app.worker.objective.supervised import supervised
from app.worker.objective.validation import ValidationSet, measure
from app.worker.token.token_set import Example, TokenSet
from tests.worker.tiny_model import write_model

LONGEST = 90


def examples() -> TokenSet:
    """23 of unlike lengths, some longer than the longest; of number 3 nothing counts, number 4 is one token."""
    numbers = np.random.default_rng(7)
    found = []
    for number in range(23):
        length = 1 if number == 4 else int(numbers.integers(2, 120))
        trained = (numbers.random(length) < numbers.random()) & (number != 3)
        found.append(Example(numbers.integers(0, 250, length).astype(np.int32), trained))
    return TokenSet.from_examples(found)


def model_of(folder: Path, **more: object) -> nn.Module:
    model, _ = load_model(write_model(folder, **more))  # type: ignore[arg-type]
    model.eval()
    return model


def alone(model: nn.Module, one: Example) -> float:
    """The sum of one example's losses from the definition, without a batch."""
    tokens, trained = one.tokens[:LONGEST], one.trained[:LONGEST]
    if len(tokens) < 2:
        return 0.0
    logits = model(mx.array(tokens[None, :-1]))[0].astype(mx.float32)
    each = nn.losses.cross_entropy(logits, mx.array(tokens[1:]))
    return float((each * mx.array(trained[1:].astype(np.float32))).sum())


@pytest.mark.parametrize("at_once", [1, 200, 100_000])
def test_losses_are_those_of_each_example_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr("app.worker.objective.example_loss.LARGEST_PIECE", at_once)
    model, given, told = model_of(tmp_path), examples(), []
    sums, counts = example_losses(model, given, LONGEST, lambda done, total: told.append((done, total)))
    each = [given[number] for number in range(len(given))]
    assert sums == pytest.approx([alone(model, one) for one in each], rel=1e-5)
    assert counts.tolist() == [int(one.trained[1:LONGEST].sum()) for one in each]
    assert told[-1] == (23, 23)
    assert sorted(told) == told
    assert not model.training


def test_all_together_are_what_validation_measures(tmp_path: Path) -> None:
    model, given = model_of(tmp_path), examples()
    sums, counts = example_losses(model, given, LONGEST, lambda *_: None)
    model.freeze()
    found = measure(model, supervised(find_head(model)), ValidationSet(Examples.of(given, LONGEST), 5, -1))
    assert sums.sum() / counts.sum() == pytest.approx(found, rel=1e-6)


def test_a_model_that_cannot_be_taken_apart_is_measured_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, given = model_of(tmp_path), examples()
    wanted, _ = example_losses(model, given, LONGEST, lambda *_: None)
    whole = NoHead("for a test", 260)
    monkeypatch.setattr("app.worker.objective.example_loss.find_head", lambda *_, **__: whole)
    found, _ = example_losses(model, given, LONGEST, lambda *_: None)
    assert found == pytest.approx(wanted, rel=1e-5)


def test_a_large_vocabulary_is_never_held_for_all_positions(tmp_path: Path) -> None:
    """One answer token a row: the logits of all positions would be 131 MB, those that count are 0.5."""
    model = model_of(tmp_path, vocabulary=32_000)
    rows = [Example(np.arange(128, dtype=np.int32), np.arange(128) == 127) for _ in range(8)]
    given = TokenSet.from_examples(rows)
    example_losses(model, given, 128, lambda *_: None)
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    example_losses(model, given, 128, lambda *_: None)
    assert mx.get_peak_memory() - before < 40e6


def test_a_head_that_is_trained_itself_is_taken_apart_where_it_is_only_measured(tmp_path: Path) -> None:
    model = model_of(tmp_path, tied=False)
    assert isinstance(find_head(model), NoHead)
    assert not isinstance(find_head(model, trained=False), NoHead)
