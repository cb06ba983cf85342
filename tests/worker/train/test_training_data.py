"""What is told of rows as they are tokenized, and the name by which a saved state knows its data."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from app.core.data.prepare import Origins, PreparedData
from app.core.problem import Severity
from app.core.protocol.event import Warned
from app.core.source.finding import KINDS
from app.worker.train.training_data import Surroundings, joined_fingerprint
from tests.worker.training import Collector


@pytest.fixture
def said(tmp_path: Path) -> Collector:
    return Collector(tmp_path / "events.jsonl")


def data_of(folder: Path) -> PreparedData:
    """Rows of two files in one: the first, second and third row, from line 7 of a, lines 2 and 9 of b."""
    origins = {"train": Origins(("a.csv", "b.csv"), np.array([0, 1, 1], np.int32), np.array([7, 2, 9]))}
    none = cast("Any", None)
    return PreparedData(folder, folder / "train.jsonl", None, None, "chat", {"train": 3}, [], none, origins)


def test_each_kind_of_warning_is_told_once_at_its_first_row_as_the_user_knows_it(
    said: Collector, tmp_path: Path
) -> None:
    of = {
        severity: [kind for kind in KINDS if KINDS[kind].severity is severity and KINDS[kind].hint]
        for severity in Severity
    }
    (first, second, *_), note, error = of[Severity.WARNING], of[Severity.NOTE][0], of[Severity.ERROR][0]
    none = cast("Any", None)
    around = Surroundings(said, none, tmp_path, none, none, none)
    data = data_of(tmp_path)
    faults = [(note, 1, "N."), (first, 2, "A."), (error, 1, "E."), (second, 3, "B."), (first, 3, "C.")]
    around.tell_rows(data, data.train, faults, {first: 1200, second: 1, note: 4, error: 1})
    assert [(one.message, one.hint) for one in said.of(Warned)] == [
        ("b.csv:2: A. (1,200 rows)", KINDS[first].hint), ("b.csv:9: B.", KINDS[second].hint)
    ]  # fmt: skip


class Part:
    """Tokens of some rows, as far as their name goes."""

    def __init__(self, name: bytes) -> None:
        self._name = name

    def fingerprint(self) -> bytes:
        return self._name


def test_a_saved_state_knows_its_data_by_all_parts_of_them() -> None:
    """States of earlier versions hold these names: were they made otherwise, no such run could be resumed."""

    def name(*parts: bytes | None) -> str:
        return joined_fingerprint(*cast("Any", [None if one is None else Part(one) for one in parts]))

    assert name(b"train", None, b"valid") == hashlib.blake2b(b"trainvalid", digest_size=16).hexdigest()
    assert name() == "cae66941d9efbd404e4d88758ea67670"  # BLAKE2b's name of nothing, in 16 bytes
    assert name(b"a") != name(b"b") != name(b"a", b"b")
