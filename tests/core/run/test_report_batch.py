"""A file of events read in columns: the history is the one that its events make one by one, whatever it holds."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.core.protocol import event
from app.core.protocol.event import TrainReported, recorded_event
from app.core.run.event_file import BATCH_REPORTS, EventFile
from app.core.run.history import Axis, RunHistory
from app.core.run.report_batch import ReportBatch

AXES: tuple[Axis, ...] = ("iterations", "epochs", "tokens", "time")


def one_by_one(content: bytes) -> RunHistory:
    """The history of the events of a file, each read by its model."""
    history = RunHistory()
    for line in content.split(b"\n")[:-1]:
        with suppress(ValueError):
            history.feed(recorded_event(line))
    return history


def in_columns(path: Path, content: bytes) -> RunHistory:
    """The history of the same, as the window reads it."""
    path.write_bytes(content)
    history = RunHistory()
    assert EventFile(path).read_into(history, history.feed)
    return history


def said(*found: object) -> str:
    """Without the time of each event, which is now where a line lost it."""
    return re.sub(r"\btime=[^,]*, ", "", repr(found))


def known(history: RunHistory) -> dict[str, Any]:
    """All that can be seen of a history."""
    figures = (*history.figure_names, *history.reported_names)
    curves = [history.losses, history.valid_losses, history.forgot, history.learned]
    curves += [at(axis) for at in (history.x, history.valid_x, history.forgot_x) for axis in AXES]
    curves += [curve for name in figures for curve in (history.figures(name), history.figures_x(name, "time"))]
    return {
        "names": (history.figure_names, history.reported_names, history.is_rewarded),
        "curves": [curve.tobytes() for curve in curves],
        "csv": history.to_csv(),
        "report": said(history.last_report),
        "at": said(history.iteration, history.iterations, history.elapsed_s, history.remaining_s()),
        "best": said(history.best, history.best_index(), history.best_trained),
        "told": said(history.warnings, history.sampled, history.spoken, history.traded, history.neutral),
        "end": said(history.finished, history.failed, history.revision),
    }


def lines_of(seed: int, count: int = 400) -> Iterator[str]:
    """A run as it comes and as it should not: resumes, repeats, gaps, stretches, numbers of all kinds."""
    chance, iteration = random.Random(seed), 0
    yield event.Hello(task="train").to_line()
    yield event.Started(iterations=count, iterations_per_epoch=50, train_examples=9, valid_examples=9).to_line()
    for _ in range(count):
        counted = chance.choice((1, 1, 1, 2, 5))
        iteration += counted + chance.choice((0,) * 12 + (1, -1, -3))
        values = [
            chance.choice((math.nan, math.inf)) if chance.random() < 0.05 else chance.gauss(1, 1)
            for _ in range(counted)
        ]
        told: dict[str, Any] = {"grad_norm": chance.choice((None, 0.0, 0.5, math.nan)), "time": 1.5}
        if chance.random() < 0.5:
            told["figures"] = {"margin": chance.random(), "reward": chance.choice((1, 0.0))}
        yield TrainReported(
            iteration=iteration,
            train_loss=values[-1],
            losses=values if chance.random() < 0.9 else [],
            learning_rate=chance.choice((0.0, 1e-4)),
            iterations_per_second=2.0,
            tokens_per_second=chance.choice((0.0, 100.0)),
            trained_tokens=iteration * 7,
            epoch=iteration / 50,
            elapsed_s=iteration / 3 % 40,
            **told,
        ).to_line()
        match chance.randrange(30):
            case 0:
                yield event.Started(
                    iteration=max(iteration - 20, 0), iterations=count, iterations_per_epoch=50, train_examples=9,
                    valid_examples=9,
                ).to_line()  # fmt: skip
                iteration = max(iteration - 20, 0)
            case 1:
                yield event.Validated(iteration=iteration, val_loss=chance.random(), best=True).to_line()
            case 2:
                yield event.Warned(message="look", hint="there").to_line()
            case 3:
                yield event.Sampled(iteration=iteration, samples=[{"prompt": "a", "completion": "b"}]).to_line()
            case 4:
                yield event.NeutralMeasured(iteration=iteration, neutral_loss=2, base_loss=1, forgot=1).to_line()


@pytest.mark.parametrize("seed", range(12))
def test_what_is_shown_is_the_same_as_event_by_event(tmp_path: Path, seed: int) -> None:
    content = ("\n".join(lines_of(seed)) + "\n").encode()
    assert known(in_columns(tmp_path / "events.jsonl", content)) == known(one_by_one(content))


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_file_is_read_the_same(tmp_path: Path, seed: int) -> None:
    """Bytes that went, came or changed, and lines cut or joined anywhere."""
    chance, damaged = random.Random(seed), bytearray(("\n".join(lines_of(seed, 150)) + "\n").encode())
    for _ in range(60):
        at = chance.randrange(len(damaged))
        match chance.randrange(4):
            case 0:
                damaged[at] = chance.choice(b'0123456789eE.,-+"{}[]:\n \x00\xff')
            case 1:
                del damaged[at : at + chance.randrange(1, 30)]
            case 2:
                damaged[at:at] = bytes(chance.choices(b'0123456789,"[]{}tNn\n', k=chance.randrange(1, 6)))
            case 3:
                damaged[at:at] = damaged[max(at - 40, 0) : at]
    assert known(in_columns(tmp_path / "events.jsonl", bytes(damaged))) == known(one_by_one(bytes(damaged)))


ODD: dict[str, tuple[Any, ...]] = {
    "iteration": (3.0, "3", True, 2**53, 10**30, None, [3], -2),
    "train_loss": ("1", None, True, 10**400, 2**60),
    "losses": ([], [True], ["1"], [None], [[1.0]], {}, None, [10**400], [2**60], [1, 2.5]),
    "learning_rate": ("1e-4", 0, 1, 10**400),
    "trained_tokens": (5.0, 5.5, 2**53, "5"),
    "grad_norm": (True, "2", 2, 0, -0.0),
    "figures": (None, [], {"a": True}, {"a": "1"}, {"a": None}, {"a": {}}, {"a": 1}, {"a": 10**400}),
    "time": ("now", None, 5, True),
    "type": ("validated", "trained", None),
    "swap_gb": ("1", [], 1, None),
    "new": (1, "a", None, [1], {"a": {"b": 2}}),
}


@pytest.mark.parametrize("broken", ["", "NaN", "Infinity"])
def test_a_value_that_is_odd_is_taken_as_its_model_takes_it(tmp_path: Path, broken: str) -> None:
    """Also beside a number that only Python's JSON knows: its lines are read by another reader."""
    plain = {
        "type": "train_reported", "time": 1.0, "iteration": 3, "train_loss": 1.0, "losses": [1.0, 2.0, 3.0],
        "learning_rate": 1e-4, "iterations_per_second": 1.0, "tokens_per_second": 1.0, "trained_tokens": 5,
        "grad_norm": 1.0, "swap_gb": None, "figures": {"a": 1.0},
    }  # fmt: skip
    if broken:
        plain["peak_memory_gb"] = float(broken)
    odd = [plain | {key: value} for key, values in ODD.items() for value in values]
    odd += [{key: value for key, value in plain.items() if key != missing} for missing in plain]
    twice = json.dumps(plain)[:-1]
    lines = [
        *map(json.dumps, odd),
        f'{twice}, "type": "hello"}}',
        f'{twice}, "iteration": 4}}',
        f'{twice}, "a": 1e999}}',
    ]
    for line in lines:
        content = line.encode() + b"\n"
        assert known(in_columns(tmp_path / "events.jsonl", content)) == known(one_by_one(content)), line


def test_every_report_that_this_version_writes_is_read_in_columns() -> None:
    batch = ReportBatch()
    whole = TrainReported(
        iteration=1, train_loss=1, losses=[1.0, math.nan], learning_rate=1, iterations_per_second=1,
        tokens_per_second=1, trained_tokens=1, grad_norm=1, swap_gb=1, figures={"reward": 1.0},
    )  # fmt: skip
    bare = whole.model_copy(update={"losses": [1.0], "grad_norm": None, "swap_gb": None, "figures": {}})
    assert [batch.take(one.to_line().encode() + b"\n") for one in (whole, bare)] == [True, True]
    assert not batch.take(event.Hello(task="train").to_line().encode())


def test_a_slice_ends_by_the_clock_and_is_read_on_from_there(tmp_path: Path) -> None:
    content = ("\n".join(lines_of(3, 2 * BATCH_REPORTS)) + "\n").encode()
    path = tmp_path / "events.jsonl"
    path.write_bytes(content[:-5])
    file, history, slices = EventFile(path), RunHistory(), 1
    while not file.read_into(history, history.feed, 0.0):
        slices += 1
    assert slices > 2
    assert file.offset == content.rfind(b"\n", 0, -5) + 1
    path.write_bytes(content)
    assert file.read_into(history, history.feed)
    assert known(history) == known(one_by_one(content))
    assert not file.was_replaced
    path.write_bytes(content[:100])
    assert file.was_replaced


def test_a_long_run_is_not_copied_while_it_grows() -> None:
    """The room for its rows is made when it says how many there will be; more than that come in as well."""
    history = RunHistory()
    history.feed(event.Started(iterations=5000, iterations_per_epoch=9, train_examples=9, valid_examples=9))
    history.feed(
        TrainReported(
            iteration=1,
            train_loss=1,
            learning_rate=1,
            iterations_per_second=1,
            tokens_per_second=1,
            trained_tokens=1,
        )
    )
    began = history.losses.__array_interface__["data"][0]
    for first in range(2, 6001, 1000):
        history.feed(
            TrainReported(
                iteration=first + 999, train_loss=1, losses=np.arange(1000.0).tolist(), learning_rate=1,
                iterations_per_second=1, tokens_per_second=1, trained_tokens=1,
            )
        )  # fmt: skip
        assert (history.losses.__array_interface__["data"][0] == began) == (first + 999 <= 5000)
    assert len(history) == 6001
