"""The neutral set as tokens: text that has nothing to do with the data, kept in the run's folder."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.nn as nn
import numpy as np

from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.run.folder import NEUTRAL_FILE
from app.core.setup.memory_term import LARGEST_PIECE
from app.core.system.atomic_file import write_text
from app.worker.batch.examples import Examples
from app.worker.model.head import Head, NoHead
from app.worker.objective.supervised import supervised
from app.worker.objective.validation import ValidationSet, measure
from app.worker.token.token_set import Example, TokenSet

TEXT_FORMAT = 1
# How an answer begins, and that it ends, is what tuning is meant to change. What counts is whether the model can go
# on as it could: the first tokens of an answer are given, and its end token is left out.
GIVEN_TOKENS = 2


@dataclass(frozen=True, slots=True)
class NeutralText:
    """The rows of a neutral set, where they are from (``sampled``, ``starter``), and the base's loss on them."""

    token_set: TokenSet
    source: str
    base_loss: float

    @property
    def tokens(self) -> int:
        """How many of them count."""
        return int(self.token_set.trained.sum())


def loss_on(model: nn.Module, head: Head | NoHead, token_set: TokenSet, positions: int = LARGEST_PIECE) -> float:
    """The model's mean loss on a neutral set, nats a token that counts, whatever the run itself optimizes.

    As many rows are read together as have ``positions``, one at least.

    Leaves the model in training mode. MLX's random state is neither read nor changed.
    """
    longest = int(token_set.lengths.max())
    rows = max(1, positions // longest)
    found = measure(model, supervised(head), ValidationSet(Examples.of(token_set, longest), rows, -1))
    assert found is not None
    return found


def counted_rows(rows: Iterable[Example], ends: Collection[int], most: int) -> TokenSet:
    """The rows without the edges of their answers, up to ``most`` counted tokens in all.

    ``trained`` marks each answer. Rows of which nothing is left are left out.
    """
    kept: list[Example] = []
    left = most
    for row in rows:
        places = np.flatnonzero(row.trained)
        while len(places) and int(row.tokens[places[-1]]) in ends:
            places = places[:-1]
        places = places[GIVEN_TOKENS:][:left]
        if not len(places):
            continue
        counted = np.zeros(len(row.tokens), np.bool_)
        counted[places] = True
        end = int(places[-1]) + 1
        kept.append(Example(row.tokens[:end], counted[:end]))
        left -= len(places)
        if not left:
            break
    return TokenSet.from_examples(kept)


def save_text(folder: Path, text: NeutralText) -> None:
    """Writes the set into a run's folder, so that its measurements mean the same for as long as the run lives."""
    rows = [
        {"tokens": row.tokens.tolist(), "counted": np.flatnonzero(row.trained).tolist()}
        for row in (text.token_set[number] for number in range(len(text.token_set)))
    ]
    tree = {"format": TEXT_FORMAT, "source": text.source, "base_loss": text.base_loss, "rows": rows}
    write_text(folder / NEUTRAL_FILE, json.dumps(tree) + "\n")


def kept_text(folder: Path) -> NeutralText | None:
    """The set that a run's folder keeps; None if there is none that can be read."""
    try:
        return _parsed(parsed_json((folder / NEUTRAL_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, IndexError, OverflowError):
        return None


def _parsed(tree: Any) -> NeutralText:
    if tree["format"] != TEXT_FORMAT:
        raise ValueError(tr("of another format"))
    rows = []
    for row in tree["rows"]:
        tokens = np.array(row["tokens"], np.int32)
        counted = np.zeros(len(tokens), np.bool_)
        counted[np.array(row["counted"], np.int64)] = True
        rows.append(Example(tokens, counted))
    return NeutralText(TokenSet.from_examples(rows), str(tree["source"]), float(tree["base_loss"]))
