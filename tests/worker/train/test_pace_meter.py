"""The pace meter: seconds taken apart into pieces and work; and the estimate that a run tells before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.protocol.event import Estimated, Started
from app.core.setup.duration import WorkCosts
from app.core.setup.speed import speeds_path
from app.worker.batch.batch import Batch
from app.worker.batch.shape import Shape
from app.worker.train.pace_meter import PaceMeter
from tests.worker.tiny_model import write_data, write_model
from tests.worker.training import config_for, start


def batch(*shapes: Shape) -> Batch:
    return Batch(tuple({} for _ in shapes), 0, 0, 0, shapes)


def test_steps_are_taken_apart() -> None:
    """A piece takes 2 s, a unit of work 0.1 s, a new shape 5 s beside."""
    meter = PaceMeter(WorkCosts(), example_work=10, measured_examples=3, start_s=4.0)
    small, large = Shape(1, 10, 10), Shape(2, 50, 100)
    for shapes, seconds in (
        ((small,), 2 + 1 + 5), ((large,), 2 + 10 + 5), ((small, small), 6), ((large, small), 15), ((large,), 12),
    ):  # fmt: skip
        meter.step(batch(*shapes), seconds)
    assert meter.is_enough
    meter.measuring(9.0)  # the first compiles
    meter.measuring(6.0)
    meter.saved += [1.0, 3.0, 2.0]
    found = meter.pace()
    assert [found.piece_s, found.unit_s] == pytest.approx([2, 0.1])
    assert found.shape_s == pytest.approx(5)
    assert found.measure_unit_s == pytest.approx(6 / 30)
    assert (found.start_s, found.save_s) == (4.0, 2.0)


def test_like_steps_are_told_by_their_work_alone() -> None:
    meter = PaceMeter(WorkCosts())
    for seconds in (9.0, 1.0, 1.2, 1.4):
        meter.step(batch(Shape(1, 10, 10)), seconds)
    found = meter.pace()
    assert [found.piece_s, found.unit_s] == pytest.approx([0, 0.12])


def test_a_run_tells_what_it_will_take_and_the_next_how_long(tmp_path: Path) -> None:
    model, data = write_model(tmp_path / "model"), write_data(tmp_path / "data")
    config = config_for(model, data)
    _, channel = start(config, tmp_path / "first")
    (said,) = channel.of(Estimated)
    assert channel.events.index(said) < channel.events.index(channel.of(Started)[0])
    assert said.seconds is None
    assert said.memory_bytes == sum(said.memory_parts.values())
    assert speeds_path().exists()
    _, channel = start(config, tmp_path / "second")
    (again,) = channel.of(Estimated)
    assert again.seconds is not None
    assert again.memory_bytes == said.memory_bytes
    assert {"start", "steps", "measuring", "saving"} <= set(again.time_parts)
